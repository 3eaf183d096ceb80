// Whether this server may be given requests.
#pragma once

#include <string>

#include "common/wire/timestamp.h"

namespace chunkvault::catalog {
class Database;
}

namespace chunkvault::server {

// What keeps the server from serving requests, as a sentence for the operator; empty when nothing does.
[[nodiscard]] std::string notReadyReason(catalog::Database& database, const Clock& clock);

}  // namespace chunkvault::server
