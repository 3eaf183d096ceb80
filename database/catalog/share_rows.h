// Upload requests as uploads meet them, inside a transaction. Private to database/catalog.
#pragma once

#include "database/catalog/session.h"

namespace chunkvault::catalog {

// Throws notFound when it was revoked, gone when it has expired.
[[nodiscard]] Share requireOpenRequest(Session& session, ShareId request, Timestamp now);
// Fills in how much is on its way by an upload request; nothing for other links.
void countOpen(Session& session, Share& share);
// A file has come by it. Under the owner's lock.
void countArrival(Session& session, ShareId request, std::int64_t bytes, Timestamp now);

}  // namespace chunkvault::catalog
