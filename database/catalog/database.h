// The connection to SQLite or PostgreSQL: opens it, migrates it, and runs units of work on it. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "database/catalog/session.h"
#include "database/catalog/types.h"

namespace chunkvault::catalog {

struct DatabaseOptions {
    std::string sqliteFile;                         // one of
    std::string postgresUrl;                        // these two: "postgresql://user:password@host/name?sslmode=..."
    int sessions = 16;                              // connections at most
    std::chrono::milliseconds waitTimeout{10'000};  // for a free connection, and for locks
};

class Engine;

// Thrown by write when the connection broke during COMMIT: the transaction happened wholly or not at all, and reading
// tells which. Not retried by write.
class CommitUnknown : public Error {
  public:
    explicit CommitUnknown(std::string privateDetail);
};

class Database {
  public:
    // SQLite is opened at once. Throws Error unavailable with the reason (never the password), and invalidValue for a
    // URL that cannot be parsed.
    explicit Database(const DatabaseOptions& options);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Reaches PostgreSQL, looks whether it can be used, and migrates, under a lock. Until then all other calls throw
    // unavailable. May be called again, and does nothing once it went well. Throws Error unavailable with the reason
    // (never the password).
    void open();
    [[nodiscard]] bool isOpen() const { return open_; }
    // Tries until it goes well: true; or stop is requested: false. onTrouble is told of each new reason.
    [[nodiscard]] bool openPatiently(const std::stop_token& stop, const std::function<void(const Error&)>& onTrouble);

    // Runs work on a connection; it cannot write. Each statement sees one consistent snapshot. Throws what work throws;
    // unavailable when the database cannot be reached or no connection was free in time. A connection that is found
    // lost at the first statement is opened again, and work runs again: what it did before was without any answer.
    void read(const std::function<void(Session&)>& work);

    // Runs work in a transaction and returns when it is durably committed; a throw rolls all of it back.
    // work may run on another thread and, after a serialization failure or a lost connection before COMMIT, again: it
    // must have no effects but on the session and on variables that it sets anew each time. On SQLite several threads'
    // works share one transaction and one fsync, each in its own savepoint.
    void write(const std::function<void(Session&)>& work);

    // The same, for works of one group that would wait for each other's locks: on PostgreSQL too, those that come while
    // one of them commits share a transaction, each in its own savepoint.
    void writeOf(UserId group, const std::function<void(Session&)>& work);

    [[nodiscard]] bool isPostgres() const;
    [[nodiscard]] Timestamp now();  // the database's clock
    [[nodiscard]] int schemaVersion();

  private:
    [[nodiscard]] Engine& engine();

    std::unique_ptr<Engine> engine_;
    std::mutex opening_;
    std::atomic<bool> open_ = false;
};

}  // namespace chunkvault::catalog
