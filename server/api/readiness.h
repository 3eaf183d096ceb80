// Whether this server may be given requests.
#pragma once

#include <string>

#include "common/wire/timestamp.h"

namespace chunkvault::catalog {
class Database;
}

namespace chunkvault::server {

// How far the clocks of the servers of one vault may be from the database's, so that they agree on what has expired.
constexpr Timestamp maxClockDifference = 30 * secondUs;

// What keeps the server from serving requests, as a sentence for the operator; empty when nothing does.
[[nodiscard]] std::string notReadyReason(catalog::Database& database, const Clock& clock);

}  // namespace chunkvault::server
