// Times are microseconds since 1970-01-01 UTC inside, negative before it, RFC 3339 outside. Free of Qt and Poco.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace chunkvault {

using Timestamp = std::int64_t;            // microseconds UTC
using Clock = std::function<Timestamp()>;  // thread-safe; passed in, so that a test can stop it

inline constexpr Timestamp secondUs = 1'000'000;
inline constexpr Timestamp minuteUs = 60 * secondUs;
inline constexpr Timestamp hourUs = 60 * minuteUs;
inline constexpr Timestamp dayUs = 24 * hourUs;

[[nodiscard]] Timestamp systemNow();

// "2026-11-23T09:36:04.123456Z"; the fraction is left out when it is zero.
[[nodiscard]] std::string toRfc3339(Timestamp time);
// RFC 3339 section 5.6 with any offset, up to 9 fraction digits (cut to 6), years 0 to 9999 in UTC. nullopt
// otherwise.
[[nodiscard]] std::optional<Timestamp> parseRfc3339(std::string_view text);

}  // namespace chunkvault
