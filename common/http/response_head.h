// The header block of an answer, read as strictly as that of a request. Pure; no sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/http/message.h"

namespace chunkvault::http {

struct ResponseHead {
    int status = 0;  // 200 to 599
    std::vector<Header> headers;
    std::optional<std::uint64_t> contentLength;  // bytes
    bool chunked = false;
    bool keepAlive = true;
};

// block ends with its empty line. Throws Error badRequest: malformed, of another version than HTTP/1.1 or 1.0, an
// interim answer (1xx, which nobody here asks for), more than maxHeaderCount headers, a body whose length is not given
// or given twice, or another transfer coding than chunked.
[[nodiscard]] ResponseHead parseResponseHead(std::string_view block);

}  // namespace chunkvault::http
