// Whether the clock of a program agrees with the database's, by which all programs of a vault agree on what is old.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/timestamp.h"

namespace chunkvault::catalog {

class Database;

// How far a clock may be from the database's.
constexpr Timestamp maxClockDifference = 30 * secondUs;

// How far clock is at least ahead of the database's, in microseconds; negative when it is behind. The time that the
// database takes to answer is no difference. Throws Error unavailable.
[[nodiscard]] Timestamp clockAhead(Database& database, const Clock& clock);

// What is wrong with a clock that is so far ahead, as a sentence for the operator that begins with whose ("This
// server's"); empty while it is within maxClockDifference.
[[nodiscard]] std::string clockFault(Timestamp aheadUs, std::string_view whose);

}  // namespace chunkvault::catalog
