// Percent-encoding (RFC 3986 section 2.1) as request targets use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chunkvault::http {

// nullopt when an escape is incomplete or not hexadecimal, or when the result holds NUL or is not UTF-8.
[[nodiscard]] std::optional<std::string> percentDecode(std::string_view text);

// "a=1&b=x+y" in order, names and values decoded ('+' is a space); a name without '=' has an empty value. Throws Error
// badRequest where percentDecode has no result.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parseQuery(std::string_view query);

}  // namespace chunkvault::http
