#include "database/catalog/clock_check.h"

#include <algorithm>
#include <cstdlib>

#include "database/catalog/database.h"

namespace chunkvault::catalog {

Timestamp clockAhead(Database& database, const Clock& clock) {
    // The database's answer is from between the two.
    const Timestamp before = clock(), theirs = database.now(), after = clock();
    return before > theirs ? before - theirs : std::min<Timestamp>(after - theirs, 0);
}

std::string clockFault(Timestamp aheadUs, std::string_view whose) {
    const Timestamp difference = std::abs(aheadUs);
    if (difference <= maxClockDifference) return {};
    return std::string(whose) + " clock is " + std::to_string((difference + secondUs / 2) / secondUs) + " s " +
           (aheadUs > 0 ? "ahead of" : "behind") + " the database's, and at most " +
           std::to_string(maxClockDifference / secondUs) + " s are allowed. Set the time of both by NTP.";
}

}  // namespace chunkvault::catalog
