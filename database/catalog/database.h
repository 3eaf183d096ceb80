// The connection to SQLite or PostgreSQL: opens it, migrates it, and runs units of work on it. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "database/catalog/session.h"

namespace chunkvault::catalog {

struct DatabaseOptions {
    std::string sqliteFile;   // one of
    std::string postgresUrl;  // these two: "postgresql://user:password@host/name?sslmode=..."
    int sessions = 16;        // connections at most
    std::chrono::milliseconds waitTimeout{10'000};  // for a free connection, and for locks
};

class Database {
  public:
    // Opens and migrates, under a lock; throws Error unavailable with the reason (never the password).
    explicit Database(const DatabaseOptions& options);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Runs work on a connection. read sees one consistent snapshot per statement. Throws what work throws; unavailable
    // when the database cannot be reached or no connection was free in time.
    void read(const std::function<void(Session&)>& work);

    // Runs work in a transaction and returns when it is durably committed; a throw rolls all of it back.
    // work may run on another thread and, after a serialization failure or a lost connection before COMMIT, again: it
    // must have no effects but on the session and on variables that it sets anew each time. On SQLite several threads'
    // works share one transaction and one fsync, each in its own savepoint.
    void write(const std::function<void(Session&)>& work);

    [[nodiscard]] bool isPostgres() const;
    [[nodiscard]] Timestamp now();  // the database's clock
    [[nodiscard]] int schemaVersion();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace chunkvault::catalog
