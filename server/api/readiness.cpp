#include "server/api/readiness.h"

#include "common/error/error.h"
#include "database/catalog/clock_check.h"
#include "database/catalog/database.h"

namespace chunkvault::server {

std::string notReadyReason(catalog::Database& database, const Clock& clock) {
    try {
        (void)database.schemaVersion();  // of SQLite the clock says nothing: it is the system's
        return catalog::clockFault(catalog::clockAhead(database, clock), "This server's");
    } catch (const Error&) {
        return "The database does not answer.";
    }
}

}  // namespace chunkvault::server
