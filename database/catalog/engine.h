// What Database runs on: one implementation for SQLite and one for PostgreSQL. Private to database/catalog.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "database/catalog/database.h"
#include "database/catalog/session.h"

namespace chunkvault::catalog {

// Thread-safe.
class Engine {
  public:
    virtual ~Engine() = default;
    // Reaches the database and looks whether it can be used. Throws Error unavailable.
    virtual void open() = 0;
    virtual void read(const std::function<void(Session&)>& work) = 0;
    virtual void write(const std::function<void(Session&)>& work) = 0;
    virtual void writeOf(std::int64_t group, const std::function<void(Session&)>& work) = 0;
    // Runs work alone in a transaction: no other process is in migrate at the same time.
    virtual void migrate(const std::function<void(Session&)>& work) = 0;
    [[nodiscard]] virtual bool isPostgres() const = 0;
    [[nodiscard]] virtual Timestamp now() = 0;
};

// Throws Error unavailable when the database cannot be opened, or the URL cannot be parsed. PostgreSQL is not reached
// yet.
[[nodiscard]] std::unique_ptr<Engine> openSqlite(const DatabaseOptions& options);
[[nodiscard]] std::unique_ptr<Engine> openPostgres(const DatabaseOptions& options);

// Connections on loan, opened when first needed, limit at most. Thread-safe; must outlive its leases.
template <typename Connection>
class Pool {
  public:
    using Open = std::function<std::unique_ptr<Connection>()>;

    Pool(int limit, std::chrono::milliseconds waitTimeout, Open open)
        : open_(std::move(open)), waitTimeout_(waitTimeout), unopened_(limit) {}

    class Lease {
      public:
        Lease(Pool& pool, std::unique_ptr<Connection> connection) : pool_(pool), connection_(std::move(connection)) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { pool_.giveBack(std::move(connection_)); }

        [[nodiscard]] Connection& operator*() const { return *connection_; }
        // In place of a connection that was lost. Throws what opening throws; the lease is of no use then.
        void reopen() {
            connection_.reset();
            connection_ = pool_.open_();
        }

      private:
        Pool& pool_;
        std::unique_ptr<Connection> connection_;
    };

    // Waits until a connection is free; throws Error unavailable (Retry-After) when that takes longer than waitTimeout.
    [[nodiscard]] Lease acquire() {
        std::unique_lock lock(mutex_);
        if (!freed_.wait_for(lock, waitTimeout_, [&] { return !free_.empty() || unopened_ > 0; }))
            throw Error(ErrorCode::unavailable, "The server is busy. Try again in a few seconds.",
                        "no database connection became free in time")
                .retryAfter(2);
        if (!free_.empty()) {
            auto connection = std::move(free_.back());
            free_.pop_back();
            return Lease(*this, std::move(connection));
        }
        --unopened_;
        lock.unlock();
        try {
            return Lease(*this, open_());
        } catch (...) {
            giveBack(nullptr);
            throw;
        }
    }

  private:
    void giveBack(std::unique_ptr<Connection> connection) {
        if (connection != nullptr && !connection->isReusable()) connection.reset();
        {
            const std::lock_guard lock(mutex_);
            if (connection != nullptr) free_.push_back(std::move(connection));
            else ++unopened_;
        }
        freed_.notify_one();
    }

    const Open open_;
    const std::chrono::milliseconds waitTimeout_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<std::unique_ptr<Connection>> free_;  // the one used last is used next: its caches are warm
    int unopened_;
};

// Finds strings in an unordered_map<std::string, ...> without making one.
struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};

}  // namespace chunkvault::catalog
