#include "common/http/range.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

// Digits only; a number beyond 64 bits counts as the largest.
std::optional<std::uint64_t> number(std::string_view text) {
    if (text.empty() || !std::all_of(text.begin(), text.end(), isDigit)) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failure == std::errc::result_out_of_range ? UINT64_MAX : value;
}

std::string_view withoutWeakness(std::string_view tag) {
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    return tag;
}

}  // namespace

ParsedRange parseRange(std::string_view header, std::uint64_t size) {
    constexpr std::string_view unit = "bytes=";
    if (header.size() < unit.size() || !equalsIgnoringCase(header.substr(0, unit.size()), unit)) return {RangeOutcome::ignore};
    const std::string_view range = trim(header.substr(unit.size()));
    const auto dash = range.find('-');
    if (dash == std::string_view::npos) return {RangeOutcome::ignore};
    const std::string_view firstText = trim(range.substr(0, dash)), lastText = trim(range.substr(dash + 1));
    if (firstText.empty()) {
        const auto suffix = number(lastText);
        if (!suffix) return {RangeOutcome::ignore};
        if (*suffix == 0 || size == 0) return {RangeOutcome::unsatisfiable};
        const std::uint64_t length = std::min(*suffix, size);
        return {RangeOutcome::satisfiable, size - length, length};
    }
    const auto first = number(firstText);
    const auto last = lastText.empty() ? std::optional(UINT64_MAX) : number(lastText);
    if (!first || !last || *last < *first) return {RangeOutcome::ignore};
    if (*first >= size) return {RangeOutcome::unsatisfiable};
    return {RangeOutcome::satisfiable, *first, std::min(*last, size - 1) - *first + 1};
}

bool ifRangeMatches(std::string_view header, std::string_view etag) {
    const std::string_view tag = trim(header);
    return !tag.starts_with("W/") && !etag.starts_with("W/") && tag == etag;
}

bool ifNoneMatchMatches(std::string_view header, std::string_view etag) {
    if (trim(header) == "*") return true;
    while (true) {
        const std::string_view tag = nextListElement(header);
        if (tag.empty()) return false;
        if (withoutWeakness(tag) == withoutWeakness(etag)) return true;
    }
}

}  // namespace chunkvault::http
