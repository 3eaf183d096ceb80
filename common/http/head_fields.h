// The lines that the header blocks of requests and answers share (RFC 9112 sections 5 and 6). Pure.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "common/http/message.h"

namespace chunkvault::http {

// Sizes are added and compared as signed numbers elsewhere (off_t), so the upper half is refused.
inline constexpr auto maxBodyLength = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// The next line of the block, without its CR LF; taken off the front of block.
[[nodiscard]] std::string_view takeLine(std::string_view& block);
// Of a line that is not empty. Throws Error badRequest.
[[nodiscard]] Header parseHeader(std::string_view line);
// Throws Error badRequest.
[[nodiscard]] std::uint64_t parseContentLength(std::string_view text);

}  // namespace chunkvault::http
