// Ranges and conditions of a request for bytes (RFC 9110 sections 13 and 14). Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace chunkvault::http {

enum class RangeOutcome {
    ignore,  // malformed, another unit, or several ranges: the whole is the answer
    satisfiable,
    unsatisfiable,  // 416
};

struct ParsedRange {
    RangeOutcome outcome;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // at least 1
};

// A Range header against a representation of size bytes.
[[nodiscard]] ParsedRange parseRange(std::string_view header, std::uint64_t size);

// Strong comparison; a date never matches, since it cannot tell two versions of one second apart.
[[nodiscard]] bool ifRangeMatches(std::string_view header, std::string_view etag);

// Weak comparison with each tag of the list; "*" matches.
[[nodiscard]] bool ifNoneMatchMatches(std::string_view header, std::string_view etag);

}  // namespace chunkvault::http
