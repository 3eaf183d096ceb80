#include "common/http/range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

constexpr std::uint64_t maxValue = std::numeric_limits<std::uint64_t>::max();

// Digits only; a number too large for the type is its maximum, which is past the end of everything.
std::optional<std::uint64_t> saturatedNumber(std::string_view text) {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (!isDigit(c)) return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        value = value > (maxValue - digit) / 10 ? maxValue : value * 10 + digit;
    }
    return value;
}

bool isWeak(std::string_view etag) { return etag.starts_with("W/"); }

std::string_view opaque(std::string_view etag) { return isWeak(etag) ? etag.substr(2) : etag; }

bool isEtagChar(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

// Takes one entity-tag off the front of text.
std::optional<std::string_view> takeEtag(std::string_view& text) {
    const std::size_t quote = isWeak(text) ? 2 : 0;
    if (text.size() <= quote || text[quote] != '"') return std::nullopt;
    const std::size_t end = text.find('"', quote + 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view etag = text.substr(0, end + 1);
    if (!std::all_of(etag.begin() + static_cast<std::ptrdiff_t>(quote) + 1, etag.end() - 1, isEtagChar))
        return std::nullopt;
    text.remove_prefix(etag.size());
    return etag;
}

}  // namespace

ParsedRange parseRange(std::string_view header, std::uint64_t size) {
    header = trim(header);
    constexpr std::string_view unit = "bytes=";
    if (!equalsIgnoringCase(header.substr(0, unit.size()), unit)) return {RangeOutcome::ignore};
    header.remove_prefix(unit.size());
    const std::string_view range = nextListElement(header);
    const std::size_t dash = range.find('-');
    if (dash == std::string_view::npos || !nextListElement(header).empty()) return {RangeOutcome::ignore};

    if (dash == 0) {
        const auto suffix = saturatedNumber(range.substr(1));
        if (!suffix) return {RangeOutcome::ignore};
        const std::uint64_t length = std::min(*suffix, size);
        if (length == 0) return {RangeOutcome::unsatisfiable};
        return {RangeOutcome::satisfiable, size - length, length};
    }
    const auto first = saturatedNumber(range.substr(0, dash));
    const bool open = dash + 1 == range.size();
    const auto last = open ? maxValue : saturatedNumber(range.substr(dash + 1));
    if (!first || !last || *last < *first) return {RangeOutcome::ignore};
    if (*first >= size) return {RangeOutcome::unsatisfiable};
    return {RangeOutcome::satisfiable, *first, std::min(*last, size - 1) - *first + 1};
}

bool ifRangeMatches(std::string_view header, std::string_view etag) { return !isWeak(etag) && trim(header) == etag; }

bool ifNoneMatchMatches(std::string_view header, std::string_view etag) {
    header = trim(header);
    if (header == "*") return true;
    bool matches = false;
    while (!header.empty()) {
        if (header.front() == ',') {
            header = trim(header.substr(1));
            continue;
        }
        const auto candidate = takeEtag(header);
        if (!candidate) return false;
        matches = matches || opaque(*candidate) == opaque(etag);
        header = trim(header);
        if (!header.empty() && header.front() != ',') return false;
    }
    return matches;
}

}  // namespace chunkvault::http
