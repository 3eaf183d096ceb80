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
    if (!engine_->isPostgres()) open();
}

Database::~Database() = default;

void Database::open() {
    const std::lock_guard lock(opening_);
    if (open_) return;
    engine_->open();
    migrate(*engine_, migrations());
    open_ = true;
}

Engine& Database::engine() {
    if (!open_)
        throw Error(ErrorCode::unavailable, "The database cannot be reached. Try again in a few seconds.",
                    "the database was not reached since the start")
            .retryAfter(2);
    return *engine_;
}

void Database::read(const std::function<void(Session&)>& work) { engine().read(work); }
void Database::write(const std::function<void(Session&)>& work) { engine().write(work); }
bool Database::isPostgres() const { return engine_->isPostgres(); }
Timestamp Database::now() { return engine().now(); }
int Database::schemaVersion() { return catalog::schemaVersion(engine()); }

}  // namespace chunkvault::catalog
