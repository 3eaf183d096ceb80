#include "common/wire/timestamp.h"

#include <chrono>
#include <cstdio>

namespace chunkvault {

namespace {

constexpr Timestamp firstUs = -62'167'219'200 * secondUs;  // 0000-01-01T00:00:00Z
constexpr Timestamp lastUs = 253'402'300'799 * secondUs;   // 9999-12-31T23:59:59Z

// Takes exactly count digits from the front of text.
std::optional<int> digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(0, count)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, std::string_view anyOf) {
    if (text.empty() || anyOf.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

Timestamp systemNow() {
    using namespace std::chrono;
    return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::string toRfc3339(Timestamp time) {
    using namespace std::chrono;
    const sys_time<microseconds> point{microseconds(time)};
    const auto day = floor<days>(point);
    const year_month_day date(day);
    const hh_mm_ss clock(point - day);
    char text[48];
    int length = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                               static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                               static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                               static_cast<int>(clock.seconds().count()));
    std::string result(text, static_cast<std::size_t>(length));
    if (const auto fraction = clock.subseconds().count(); fraction != 0) {
        length = std::snprintf(text, sizeof text, ".%06d", static_cast<int>(fraction));
        result.append(text, static_cast<std::size_t>(length));
    }
    return result + 'Z';
}

std::optional<Timestamp> parseRfc3339(std::string_view text) {
    using namespace std::chrono;
    const auto y = digits(text, 4);
    if (!y || !take(text, "-")) return std::nullopt;
    const auto m = digits(text, 2);
    if (!m || !take(text, "-")) return std::nullopt;
    const auto d = digits(text, 2);
    if (!d || !take(text, "Tt ")) return std::nullopt;
    const auto hour = digits(text, 2);
    if (!hour || !take(text, ":")) return std::nullopt;
    const auto minute = digits(text, 2);
    if (!minute || !take(text, ":")) return std::nullopt;
    const auto second = digits(text, 2);
    if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    const year_month_day date{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
    if (!date.ok()) return std::nullopt;

    Timestamp fractionUs = 0;
    if (take(text, ".")) {
        int count = 0;
        for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++count)
            if (count < 6) fractionUs = fractionUs * 10 + (text.front() - '0');
        if (count == 0 || count > 9) return std::nullopt;
        for (; count < 6; ++count) fractionUs *= 10;
    }
    Timestamp offsetUs = 0;
    if (!take(text, "Zz")) {
        const bool east = !text.empty() && text.front() == '+';
        if (!take(text, "+-")) return std::nullopt;
        const auto hours = digits(text, 2);
        if (!hours || !take(text, ":")) return std::nullopt;
        const auto minutes = digits(text, 2);
        if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
        offsetUs = (*hours * hourUs + *minutes * minuteUs) * (east ? 1 : -1);
    }
    if (!text.empty()) return std::nullopt;
    const Timestamp wholeUs = duration_cast<microseconds>(sys_days(date).time_since_epoch()).count() + *hour * hourUs +
                              *minute * minuteUs + *second * secondUs - offsetUs;
    // With its offset it may be in a year that has no four digits.
    if (wholeUs < firstUs || wholeUs > lastUs) return std::nullopt;
    return wholeUs + fractionUs;
}

}  // namespace chunkvault
