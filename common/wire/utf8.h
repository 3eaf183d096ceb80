// Text of unknown origin, made fit to be passed on. Free of Qt and Poco.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chunkvault::wire {

// text, with each byte that is not part of valid UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string validUtf8(std::string_view text);
// The same, of at most maxBytes, ended between two characters.
[[nodiscard]] std::string validUtf8(std::string_view text, std::size_t maxBytes);

}  // namespace chunkvault::wire
