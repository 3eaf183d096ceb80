#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Data/Session.h>
#include <Poco/Exception.h>
#include <sqlite3.h>

#include "database/catalog/engine.h"
#include "database/catalog/shared_commits.h"

namespace chunkvault::catalog {

namespace {

SqlFailure failureOf(sqlite3* db) {
    const int code = sqlite3_extended_errcode(db);
    switch (code) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID: return SqlFailure::unique;
        case SQLITE_CONSTRAINT_FOREIGNKEY: return SqlFailure::foreignKey;
        case SQLITE_CONSTRAINT_CHECK:
        case SQLITE_CONSTRAINT_NOTNULL: return SqlFailure::check;
        default: break;
    }
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return SqlFailure::busy;
        case SQLITE_FULL: return SqlFailure::full;
        case SQLITE_IOERR: {
            const int reason = sqlite3_system_errno(db);
            return reason == ENOSPC || reason == EDQUOT ? SqlFailure::full : SqlFailure::other;
        }
        default: return SqlFailure::other;
    }
}

[[noreturn]] void throwSqlite(sqlite3* db, std::string_view sql) {
    throw SqlError(failureOf(db), "SQLite " + std::to_string(sqlite3_extended_errcode(db)) + ": " + sqlite3_errmsg(db) +
                                      " in: " + std::string(sql));
}

[[noreturn]] void throwType(int column, std::string_view expected) {
    throw Error(ErrorCode::internal, "Something went wrong on the server.",
                "column " + std::to_string(column) + " is not " + std::string(expected));
}

struct Statement {
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
    };
    std::unique_ptr<sqlite3_stmt, Finalize> handle;
    std::vector<std::size_t> valueOf;  // of each SQLite parameter: which value; it numbers $-names as they first appear
    std::size_t valueCount = 0;
};

class SqliteRow : public Row {
  public:
    explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}

    [[nodiscard]] bool isNull(int column) const override { return type(column) == SQLITE_NULL; }
    [[nodiscard]] std::int64_t integer(int column) const override {
        if (type(column) != SQLITE_INTEGER) throwType(column, "an integer");
        return sqlite3_column_int64(statement_, column);
    }
    [[nodiscard]] std::string text(int column) const override {
        if (type(column) != SQLITE_TEXT) throwType(column, "text");
        const auto* start = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
        return {start, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }
    [[nodiscard]] Sha256Digest digest(int column) const override {
        if (type(column) != SQLITE_BLOB) throwType(column, "a digest");
        const auto* start = static_cast<const char*>(sqlite3_column_blob(statement_, column));
        const auto digest =
            Sha256Digest::fromBytes({start, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))});
        if (!digest) throwType(column, "a digest");
        return *digest;
    }
    [[nodiscard]] std::string bytes(int column) const override {
        if (type(column) != SQLITE_BLOB) throwType(column, "bytes");
        const auto* start = static_cast<const char*>(sqlite3_column_blob(statement_, column));
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
        return size == 0 ? std::string() : std::string(start, size);
    }

  private:
    [[nodiscard]] int type(int column) const {
        if (column < 0 || column >= sqlite3_data_count(statement_)) throwType(column, "in the result");
        return sqlite3_column_type(statement_, column);
    }

    sqlite3_stmt* statement_;
};

class SqliteSession : public Session {
  public:
    SqliteSession(const std::string& file, std::chrono::milliseconds busyTimeout)
        : owner_(Poco::Data::SQLite::Connector().createSession(file)),
          db_(Poco::Data::SQLite::Utility::dbHandle(owner_)) {
        sqlite3_extended_result_codes(db_, 1);
        sqlite3_busy_timeout(db_, static_cast<int>(busyTimeout.count()));
    }

    [[nodiscard]] bool isReusable() const { return sqlite3_get_autocommit(db_) != 0; }
    [[nodiscard]] bool isPostgres() const override { return false; }

    void script(const std::string& sql) override {
        if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throwSqlite(db_, sql);
    }

    void copyIn(const std::string& sql, const std::function<void(const Send&)>& /*work*/) override {
        throw SqlError(SqlFailure::other, "SQLite has no COPY: " + sql);
    }

    void begin() {
        execute("BEGIN IMMEDIATE");
        inTransaction_ = true;
        lostTo_.reset();
    }
    void commit() {
        execute("COMMIT");
        inTransaction_ = false;
    }
    void rollback() noexcept {
        inTransaction_ = false;
        if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    // On a full disk or a failed read, SQLite rolls the whole transaction back by itself.
    [[nodiscard]] bool transactionLost() const { return inTransaction_ && sqlite3_get_autocommit(db_) != 0; }
    [[nodiscard]] SqlError lossError() const {
        return SqlError(lostTo_.value_or(SqlFailure::other), "SQLite rolled the transaction back");
    }

  protected:
    std::int64_t run(std::string_view sql, const Value* values, std::size_t count, RowCallback callback,
                     void* context) override {
        if (transactionLost()) throw lossError();
        Use use(*this, sql);
        sqlite3_stmt* statement = use.statement->handle.get();
        bind(*use.statement, values, count, sql);
        std::int64_t rows = 0;
        const SqliteRow row(statement);
        int result;
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
            ++rows;
            if (callback != nullptr) callback(context, row);
        }
        if (result != SQLITE_DONE) {
            if (transactionLost()) lostTo_ = failureOf(db_);
            throwSqlite(db_, sql);
        }
        return sqlite3_column_count(statement) > 0 ? rows : sqlite3_changes64(db_);
    }
    void beginSavepoint() override { execute("SAVEPOINT s"); }
    void rollbackSavepoint() noexcept override {
        if (transactionLost()) return;  // every later statement says so
        sqlite3_exec(db_, "ROLLBACK TO s; RELEASE s", nullptr, nullptr, nullptr);
    }
    void releaseSavepoint() override { execute("RELEASE s"); }

  private:
    // A prepared statement while it runs; a second run of the same text inside its rows gets one of its own.
    struct Use {
        Use(SqliteSession& session, std::string_view sql) {
            auto found = session.statements_.find(sql);
            if (found == session.statements_.end())
                found = session.statements_.emplace(std::string(sql), session.prepare(sql)).first;
            statement = &found->second;
            if (sqlite3_stmt_busy(statement->handle.get()) != 0) {
                temporary = session.prepare(sql);
                statement = &temporary;
            }
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() {
            sqlite3_reset(statement->handle.get());
            sqlite3_clear_bindings(statement->handle.get());
        }
        Statement temporary;
        Statement* statement;
    };

    Statement prepare(std::string_view sql) {
        Statement statement;
        sqlite3_stmt* handle = nullptr;
        if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle,
                               nullptr) != SQLITE_OK)
            throwSqlite(db_, sql);
        statement.handle.reset(handle);
        for (int i = 1; i <= sqlite3_bind_parameter_count(handle); ++i) {
            const char* name = sqlite3_bind_parameter_name(handle, i);
            const std::size_t number = name == nullptr || name[0] != '$' ? 0 : std::strtoul(name + 1, nullptr, 10);
            if (number == 0)
                throw SqlError(SqlFailure::other, "a placeholder is not $1, $2, ... in: " + std::string(sql));
            statement.valueOf.push_back(number - 1);
            statement.valueCount = std::max(statement.valueCount, number);
        }
        return statement;
    }

    void bind(const Statement& statement, const Value* values, std::size_t count, std::string_view sql) {
        if (statement.valueCount != count)
            throw SqlError(SqlFailure::other, "wrong number of values for: " + std::string(sql));
        for (std::size_t i = 0; i < statement.valueOf.size(); ++i) {
            const auto& value = values[statement.valueOf[i]].variant();
            sqlite3_stmt* handle = statement.handle.get();
            const int index = static_cast<int>(i) + 1;
            int result = SQLITE_OK;
            if (const auto* number = std::get_if<std::int64_t>(&value)) {
                result = sqlite3_bind_int64(handle, index, *number);
            } else if (const auto* text = std::get_if<std::string_view>(&value)) {
                if (text->find('\0') != std::string_view::npos)
                    throw SqlError(SqlFailure::badText, "text with a NUL character");
                result = sqlite3_bind_text64(handle, index, text->empty() ? "" : text->data(), text->size(),
                                             SQLITE_STATIC, SQLITE_UTF8);
            } else if (const auto* blob = std::get_if<Value::Blob>(&value)) {
                result = sqlite3_bind_blob64(handle, index, blob->bytes.empty() ? "" : blob->bytes.data(),
                                             blob->bytes.size(), SQLITE_STATIC);
            } else {
                result = sqlite3_bind_null(handle, index);
            }
            if (result != SQLITE_OK) throwSqlite(db_, sql);
        }
    }

    Poco::Data::Session owner_;
    sqlite3* db_;
    std::unordered_map<std::string, Statement, TextHash, std::equal_to<>>
        statements_;  // finalized before owner_ closes
    bool inTransaction_ = false;
    std::optional<SqlFailure> lostTo_;
};

std::unique_ptr<SqliteSession> openFile(const DatabaseOptions& options) {
    try {
        return std::make_unique<SqliteSession>(options.sqliteFile, options.waitTimeout);
    } catch (const Poco::Exception& error) {
        throw Error(ErrorCode::unavailable, "The database cannot be opened.",
                    "cannot open " + options.sqliteFile + ": " + error.displayText());
    }
}

// SQLite would make it with the umask's mode, and gives its -wal and -shm files the mode of the database.
void createPrivate(const std::string& file) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
        throw Error(ErrorCode::unavailable, "The database cannot be opened.",
                    "cannot open " + file + ": " + std::strerror(errno));
    ::close(descriptor);
    std::string folder = std::filesystem::path(file).parent_path().string();
    if (folder.empty()) folder = ".";
    const int folderDescriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folderDescriptor >= 0) {
        ::fsync(folderDescriptor);
        ::close(folderDescriptor);
    }
}

class SqliteEngine : public Engine {
  public:
    explicit SqliteEngine(const DatabaseOptions& options)
        : writer_(openWriter(options)),
          readers_(options.sessions, options.waitTimeout,
                   [options] {
                       auto session = openFile(options);
                       session->script("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;");
                       return session;
                   }),
          commits_(options.waitTimeout,
                   [this](std::vector<SharedCommits::Work*> batch) { runBatch(std::move(batch)); }) {}

    void read(const std::function<void(Session&)>& work) override { work(*readers_.acquire()); }

    void write(const std::function<void(Session&)>& work) override { commits_.run(work); }
    void writeOf(std::int64_t, const std::function<void(Session&)>& work) override { commits_.run(work); }

    void open() override {}

    void migrate(const std::function<void(Session&)>& work) override {
        writer_->script("BEGIN EXCLUSIVE");
        try {
            work(*writer_);
            writer_->script("COMMIT");
        } catch (...) {
            writer_->rollback();
            throw;
        }
    }

    [[nodiscard]] bool isPostgres() const override { return false; }
    [[nodiscard]] Timestamp now() override { return systemNow(); }

  private:
    // Two that switch at the same time hold what the other one waits for; SQLite gives up at once then.
    static std::string switchToWal(Session& session, std::chrono::milliseconds patience) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        for (;;) {
            try {
                std::string mode;
                session.query("PRAGMA journal_mode = WAL", {}, [&](const Row& row) { mode = row.text(0); });
                return mode;
            } catch (const SqlError& error) {
                if (error.failure() != SqlFailure::busy || std::chrono::steady_clock::now() >= deadline) throw;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    static std::unique_ptr<SqliteSession> openWriter(const DatabaseOptions& options) {
        createPrivate(options.sqliteFile);
        auto session = openFile(options);
        session->script(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = "
            "-8192;"
            "PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864;");
        const std::string mode = switchToWal(*session, options.waitTimeout);
        if (mode != "wal")
            throw Error(ErrorCode::unavailable, "The database cannot be opened.",
                        options.sqliteFile + " is on a file system without the shared memory that SQLite's WAL needs");
        return session;
    }

    void runBatch(std::vector<SharedCommits::Work*> batch) noexcept {
        while (!batch.empty() && !tryBatch(batch)) {
        }
    }

    // False: SQLite took the transaction away while a work ran; that one has its error and has left the batch.
    bool tryBatch(std::vector<SharedCommits::Work*>& batch) noexcept {
        try {
            writer_->begin();
            for (SharedCommits::Work* work : batch) {
                work->error = nullptr;
                try {
                    writer_->savepoint([&] { work->run(*writer_); });
                } catch (...) {
                    work->error = std::current_exception();
                }
                if (writer_->transactionLost()) {
                    if (!work->error) work->error = std::make_exception_ptr(writer_->lossError());
                    writer_->rollback();
                    std::erase(batch, work);
                    return false;
                }
            }
            writer_->commit();
        } catch (...) {
            writer_->rollback();
            for (SharedCommits::Work* work : batch)
                if (!work->error) work->error = std::current_exception();
        }
        return true;
    }

    const std::unique_ptr<SqliteSession> writer_;  // used by the thread that commits only
    Pool<SqliteSession> readers_;
    SharedCommits commits_;
};

}  // namespace

std::unique_ptr<Engine> openSqlite(const DatabaseOptions& options) {
    // Locks that nothing here needs: a session belongs to one thread at a time, and nobody asks how much memory SQLite
    // uses, which it would count under one lock for the whole process. Refused, and no matter, once SQLite is in use.
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return std::make_unique<SqliteEngine>(options);
}

}  // namespace chunkvault::catalog
