// The cache of a cluster: in Redis, shared by all API servers. A Redis that is down or slow makes answers slower, never
// wrong: nothing is ever invalidated, and what it has lost is made again.
#pragma once

#include <atomic>
#include <chrono>

#include "server/cache/cache.h"
#include "worker/queue/redis_connection.h"

namespace chunkvault::server {

struct RedisCacheSettings {
    worker::RedisAddress address;
    // Of all keys. It must name the cluster and the version of the program, which decides the form of the values.
    std::string prefix = "chunkvault:{}:cache:";
    std::chrono::seconds timeToLive{3'600};
    std::size_t maxKeyBytes = 1'024;         // longer ones are not kept
    std::size_t maxValueBytes = 512 * 1024;  // larger ones are not kept
    worker::RedisPoolLimits pool;
};

class RedisCache final : public Cache {
  public:
    explicit RedisCache(RedisCacheSettings settings);

    [[nodiscard]] std::shared_ptr<const std::string> getOrMake(const std::string& key,
                                                               const std::function<std::string()>& make) override;

    [[nodiscard]] std::uint64_t hits() const override { return hits_; }
    [[nodiscard]] std::uint64_t misses() const override { return misses_; }
    // Calls that Redis did not answer, or that were not even tried because it had just failed.
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

  private:
    const RedisCacheSettings settings_;
    worker::RedisPool pool_;
    std::atomic<std::uint64_t> hits_ = 0, misses_ = 0, failures_ = 0;
};

}  // namespace chunkvault::server
