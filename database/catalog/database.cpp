#include "database/catalog/database.h"

#include <cassert>
#include <condition_variable>
#include <utility>

#include "database/catalog/engine.h"
#include "database/catalog/migrations.h"

namespace chunkvault::catalog {

namespace {

constexpr std::chrono::seconds openAgainAfter{1};

}  // namespace

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

bool Database::openPatiently(const std::stop_token& stop, const std::function<void(const Error&)>& onTrouble) {
    std::string told;
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
        try {
            open();
            return true;
        } catch (const Error& error) {
            if (told != error.what()) onTrouble(error);
            told = error.what();
        }
        (void)wake.wait_for(lock, stop, openAgainAfter, [] { return false; });
    }
    return false;
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

void Database::writeOf(UserId group, const std::function<void(Session&)>& work) {
    engine().writeOf(valueOf(group), work);
}
bool Database::isPostgres() const { return engine_->isPostgres(); }
Timestamp Database::now() { return engine().now(); }
int Database::schemaVersion() { return catalog::schemaVersion(engine()); }

}  // namespace chunkvault::catalog
