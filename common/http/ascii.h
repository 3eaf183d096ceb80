// The character classes of HTTP's grammar (RFC 9110 section 5.6), independent of any locale.
#pragma once

#include <algorithm>
#include <string_view>

namespace chunkvault::http {

[[nodiscard]] constexpr bool isDigit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool isAlphanumeric(char c) {
    return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr bool isControl(char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }
[[nodiscard]] constexpr char toLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; }

[[nodiscard]] constexpr bool isTokenChar(char c) {
    return isAlphanumeric(c) || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
[[nodiscard]] constexpr bool isToken(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), isTokenChar);
}
// What a header's value may hold besides tab: visible characters, spaces, and bytes above ASCII.
[[nodiscard]] constexpr bool isFieldValue(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return isControl(c) && c != '\t'; });
}

[[nodiscard]] constexpr bool equalsIgnoringCase(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return toLower(x) == toLower(y); });
}

// Without the spaces and tabs around it.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// Takes the next element of a comma-separated list off the front of list; trimmed, empty ones skipped; empty at the
// end.
[[nodiscard]] constexpr std::string_view nextListElement(std::string_view& list) {
    while (!list.empty()) {
        const std::string_view raw = list.substr(0, list.find(','));
        list.remove_prefix(std::min(raw.size() + 1, list.size()));
        if (const std::string_view element = trim(raw); !element.empty()) return element;
    }
    return {};
}

}  // namespace chunkvault::http
