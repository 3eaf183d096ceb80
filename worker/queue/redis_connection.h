// Redis as the queue and the cache speak to it: one connection, and a pool that leaves a Redis alone that is down.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"

namespace chunkvault::worker {

struct RedisAddress {
    std::string host;
    std::uint16_t port = 6379;
    std::string user;      // empty: the default user
    std::string password;  // empty: no AUTH is sent
    int database = 0;

    // redis://[[user]:password@]host[:port][/database]; user and password are percent-decoded, an IPv6 address is in
    // brackets. Throws Error invalidValue with a sentence that names REDIS_URL and shows nothing of it.
    [[nodiscard]] static RedisAddress parse(std::string_view url);
    // "redis://host:port/database", without user and password.
    [[nodiscard]] std::string text() const;
};

struct RedisTimes {
    std::chrono::milliseconds connect{1'000};
    std::chrono::milliseconds answer{1'000};  // from the command's begin to the answer's last byte
};

struct RedisReply {
    enum class Kind { nil, integer, text, list, error };  // an empty list is nil
    Kind kind = Kind::nil;
    std::int64_t integer = 0;
    std::string text;  // a string's bytes, or the error
    std::vector<RedisReply> items;

    [[nodiscard]] bool isNil() const noexcept { return kind == Kind::nil; }
    [[nodiscard]] bool isError(std::string_view begin) const noexcept {
        return kind == Kind::error && text.starts_with(begin);
    }
};

// Connects at the first use, and again at the first use after it was lost. For one thread at a time.
class RedisConnection {
  public:
    RedisConnection(RedisAddress address, RedisTimes times);
    ~RedisConnection();
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;

    // Sends one command and reads its answer, which may be an error of Redis. blocking is how long the command itself
    // may wait (BLOCK). Throws Error unavailable when there is no connection or no answer in time; the connection is
    // closed then, so that a late answer is never taken for another command's. Whether the command was done is not
    // known in that case.
    [[nodiscard]] RedisReply ask(const std::vector<std::string>& command, std::chrono::milliseconds blocking = {});
    // The same, and an error of Redis is thrown as Error unavailable too.
    RedisReply call(const std::vector<std::string>& command, std::chrono::milliseconds blocking = {});

    [[nodiscard]] bool connected() const noexcept { return link_ != nullptr; }
    void close() noexcept;

  private:
    class Link;  // one TCP connection
    [[nodiscard]] Error trouble(const std::string& what) const;
    void connect();
    [[nodiscard]] RedisReply exchange(const std::vector<std::string>& command, std::chrono::milliseconds time);

    const RedisAddress address_;
    const RedisTimes times_;
    std::unique_ptr<Link> link_;
};

struct RedisPoolLimits {
    std::size_t connections = 8;
    RedisTimes times{std::chrono::milliseconds(100), std::chrono::milliseconds(100)};
    // After a failure nobody waits for Redis for so long: calls fail at once.
    std::chrono::milliseconds rest{1'000};
};

// A few connections for short commands from many threads. Thread-safe.
class RedisPool {
  public:
    RedisPool(RedisAddress address, const RedisPoolLimits& limits);

    // As RedisConnection::call; waits for a free connection no longer than for an answer. A command whose connection
    // turns out to be closed is sent once more, so it must be one that may be done twice.
    RedisReply call(const std::vector<std::string>& command);

  private:
    using Connection = std::unique_ptr<RedisConnection>;
    [[nodiscard]] Connection acquire();
    void giveBack(Connection connection, bool failed) noexcept;

    const RedisAddress address_;
    const RedisPoolLimits limits_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<Connection> free_;  // the one used last is used next
    std::size_t made_ = 0;
    bool failing_ = false;
    std::chrono::steady_clock::time_point restUntil_;
};

}  // namespace chunkvault::worker
