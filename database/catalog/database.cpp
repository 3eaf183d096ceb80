#include "database/catalog/database.h"

#include <cassert>
#include <utility>

#include "database/catalog/engine.h"
#include "database/catalog/migrations.h"

namespace chunkvault::catalog {

CommitUnknown::CommitUnknown(std::string privateDetail)
    : Error(ErrorCode::unavailable, "The connection to the database was lost. Look whether the change was made.",
            "the connection was lost during COMMIT: " + std::move(privateDetail)) {
    retryAfter(2);
}

Database::Database(const DatabaseOptions& options) {
    assert(options.sqliteFile.empty() != options.postgresUrl.empty());
    engine_ = options.postgresUrl.empty() ? openSqlite(options) : openPostgres(options);
    migrate(*engine_, migrations());
}

Database::~Database() = default;

void Database::read(const std::function<void(Session&)>& work) { engine_->read(work); }
void Database::write(const std::function<void(Session&)>& work) { engine_->write(work); }
bool Database::isPostgres() const { return engine_->isPostgres(); }
Timestamp Database::now() { return engine_->now(); }
int Database::schemaVersion() { return catalog::schemaVersion(*engine_); }

}  // namespace chunkvault::catalog
