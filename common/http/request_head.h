// The header block of a request, read strictly by RFC 9112: what two parsers could understand differently is refused.
// Pure; no sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.h"

namespace chunkvault::http {

struct RequestHead {
    Method method = Method::get;
    std::string target;
    std::string path;    // still percent-encoded; "*" for OPTIONS *
    bool http11 = true;  // false: HTTP/1.0
    std::vector<Header> headers;
    std::optional<std::uint64_t> contentLength;  // bytes
    bool chunked = false;
    bool keepAlive = true;  // the client's wish and its version together
    bool expectsContinue = false;

    [[nodiscard]] bool hasBody() const { return chunked || contentLength.value_or(0) > 0; }
};

inline constexpr std::size_t maxHeaderCount = 100;

// Finds the end of a header block while it arrives, and refuses a bare LF as soon as it is seen.
class HeadScanner {
  public:
    // data is all that has arrived, beginning where it did in earlier calls. The length of the block with its empty
    // line; nullopt: not all there yet. Throws Error badRequest.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view data);
    [[nodiscard]] bool requestLineSeen() const { return lineStart_ > 0; }

  private:
    std::size_t lineStart_ = 0;
    std::size_t scanned_ = 0;
};

// block ends with its empty line. Throws Error badRequest, uriTooLong, headersTooLarge (too many), notImplemented
// (method or transfer coding), httpVersionNotSupported, expectationFailed.
[[nodiscard]] RequestHead parseRequestHead(std::string_view block, std::size_t maxTargetBytes);

// The size in a chunk's first line, without its CR LF (RFC 9112 section 7.1); extensions are ignored. nullopt:
// malformed or too large.
[[nodiscard]] std::optional<std::uint64_t> parseChunkSize(std::string_view line);

}  // namespace chunkvault::http
