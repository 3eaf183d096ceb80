#include "server/api/readiness.h"

#include "common/error/error.h"
#include "database/catalog/database.h"

namespace chunkvault::server {

std::string notReadyReason(catalog::Database& database, const Clock& clock) {
    // The database's answer is from between the two: a slow one is no wrong clock.
    const Timestamp before = clock();
    Timestamp theirs = 0;
    try {
        (void)database.schemaVersion();  // of SQLite the clock says nothing: it is the system's
        theirs = database.now();
    } catch (const Error&) {
        return "The database does not answer.";
    }
    const Timestamp after = clock();
    const bool ahead = before > theirs + maxClockDifference, behind = after < theirs - maxClockDifference;
    if (!ahead && !behind) return {};
    const Timestamp difference = ahead ? before - theirs : theirs - after;
    return "This server's clock is " + std::to_string((difference + secondUs / 2) / secondUs) + " s " +
           (ahead ? "ahead of" : "behind") + " the database's, and at most " +
           std::to_string(maxClockDifference / secondUs) + " s are allowed. Set the time of both by NTP.";
}

}  // namespace chunkvault::server
