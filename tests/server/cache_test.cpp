// What every Cache does, and what becomes of one whose Redis is down.
#include <atomic>
#include <memory>
#include <thread>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "server/cache/local_cache.h"
#include "server/cache/redis_cache.h"
#include "tests/support/redis.h"

namespace chunkvault::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

RedisCacheSettings redisSettings() {
    RedisCacheSettings settings;
    settings.address = test::redisAddress();
    settings.prefix = test::freshPrefix();
    settings.pool.times = {milliseconds(5'000), milliseconds(5'000)};
    return settings;
}

struct Maker {
    const char* name;
    std::unique_ptr<Cache> (*make)();
};

class CacheTest : public testing::TestWithParam<Maker> {
  protected:
    std::string get(const std::string& key, const std::string& value) {
        return *cache->getOrMake(key, [&] {
            ++made;
            return value;
        });
    }
    const std::unique_ptr<Cache> cache = GetParam().make();
    std::atomic<int> made = 0;
};

INSTANTIATE_TEST_SUITE_P(
    Caches, CacheTest,
    testing::Values(Maker{"Local", []() -> std::unique_ptr<Cache> { return std::make_unique<LocalCache>(16 << 20); }},
                    Maker{"Redis",
                          []() -> std::unique_ptr<Cache> { return std::make_unique<RedisCache>(redisSettings()); }}),
    [](const auto& of) { return of.param.name; });

TEST_P(CacheTest, GivesWhatWasMadeOnce) {
    for (const std::string& value :
         {std::string(), std::string("x"), std::string("a\r\n\0$-1\r\n", 9), std::string(100'000, 'y')}) {
        const std::string key = "key " + std::to_string(value.size());
        EXPECT_EQ(get(key, value), value);
        EXPECT_EQ(get(key, "another"), value);
    }
    EXPECT_EQ(made, 4);
    EXPECT_EQ(cache->hits(), 4u);
    EXPECT_EQ(cache->misses(), 4u);
}

TEST_P(CacheTest, TakesOnlyExactlyTheSameKey) {
    const std::string keys[] = {"list:1.2.",     "list:1.2",
                                "list:1.20",     "LIST:1.2.",
                                "list:1.2. ",    "list:1.2.*",
                                "list:1.?.",     std::string("list:1.2.\0", 10),
                                "list:1.2.\r\n", ""};
    for (const std::string& key : keys) EXPECT_EQ(get(key, "value of " + key), "value of " + key);
    for (const std::string& key : keys) EXPECT_EQ(get(key, "another"), "value of " + key);
}

TEST_P(CacheTest, KeepsNothingWhenMakingFails) {
    EXPECT_THROW((void)cache->getOrMake("key", []() -> std::string { throw Error(ErrorCode::notFound, "No."); }),
                 Error);
    EXPECT_EQ(get("key", "value"), "value");
    EXPECT_EQ(made, 1);
}

TEST_P(CacheTest, ServesManyThreads) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 200; ++j) {
                const std::string key = std::to_string(j % 20);
                EXPECT_EQ(get(key, "value " + key), "value " + key);
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(cache->hits() + cache->misses(), 1'600u);
    EXPECT_LE(made, 160);
}

TEST(LocalCache, ForgetsTheOldest) {
    LocalCache cache(4096);
    int made = 0;
    const auto make = [&] {
        ++made;
        return std::string(100, 'x');
    };
    (void)cache.getOrMake("a", make);
    for (int i = 0; i < 50; ++i) (void)cache.getOrMake(std::to_string(i), make);
    EXPECT_EQ(made, 51);
    (void)cache.getOrMake("49", make);
    EXPECT_EQ(made, 51);
    (void)cache.getOrMake("a", make);
    EXPECT_EQ(made, 52);
    EXPECT_EQ(cache.hits(), 1u);
}

TEST(LocalCache, KeepsNothingThatIsLargeAgainstIt) {
    LocalCache cache(4096);
    int made = 0;
    for (int i = 0; i < 2; ++i)
        (void)cache.getOrMake("large", [&] {
            ++made;
            return std::string(3000, 'x');
        });
    EXPECT_EQ(made, 2);
}

class RedisCacheTest : public testing::Test {
  protected:
    static std::string get(RedisCache& cache, const std::string& key, const std::string& value) {
        return *cache.getOrMake(key, [&] { return value; });
    }
    RedisCacheSettings settings = redisSettings();
    worker::RedisConnection redis{test::redisAddress(), {}};
};

TEST_F(RedisCacheTest, IsSharedByServersWithTheSamePrefixOnly) {
    RedisCache one(settings), same(settings);
    settings.prefix += "other";
    RedisCache other(settings);
    EXPECT_EQ(get(one, "key", "1"), "1");
    EXPECT_EQ(get(same, "key", "2"), "1");
    EXPECT_EQ(get(other, "key", "3"), "3");
}

TEST_F(RedisCacheTest, KeepsEntriesForTheirTime) {
    RedisCache cache(settings);
    (void)get(cache, "key", "1");
    const auto left = redis.call({"TTL", settings.prefix + "key"}).integer;
    EXPECT_GT(left, 3'500);
    EXPECT_LE(left, 3'600);
}

TEST_F(RedisCacheTest, KeepsNothingThatIsLarge) {
    settings.maxValueBytes = 1'000;
    settings.maxKeyBytes = 100;
    RedisCache cache(settings);
    (void)get(cache, "large", std::string(1'001, 'x'));
    EXPECT_EQ(get(cache, "large", "2"), "2");
    (void)get(cache, std::string(101, 'k'), "1");
    EXPECT_EQ(get(cache, std::string(101, 'k'), "2"), "2");
}

TEST_F(RedisCacheTest, MakesAgainWhatRedisForgot) {
    RedisCache cache(settings);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(get(cache, "key", std::to_string(i)), std::to_string(i));
        EXPECT_EQ(get(cache, "key", "another"), std::to_string(i));
        redis.call({"FLUSHALL"});
    }
    EXPECT_EQ(cache.failures(), 0u);
}

TEST_F(RedisCacheTest, GoesOnAfterItsConnectionsWereCut) {
    RedisCache cache(settings);
    (void)get(cache, "key", "1");
    redis.call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_EQ(get(cache, "key", "2"), "1");
    EXPECT_EQ(cache.failures(), 0u);
}

TEST_F(RedisCacheTest, ThatCannotBeReachedOnlyMakesThingsSlower) {
    settings.address = test::nobodysAddress();
    RedisCache cache(settings);
    const auto begin = steady_clock::now();
    for (int i = 0; i < 1'000; ++i) EXPECT_EQ(get(cache, "key", std::to_string(i)), std::to_string(i));
    EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_EQ(cache.failures(), 1'000u);
    EXPECT_EQ(cache.hits(), 0u);
}

TEST_F(RedisCacheTest, ThatIsSilentIsLeftAloneForAWhile) {
    const Poco::Net::ServerSocket silent(Poco::Net::SocketAddress("127.0.0.1", 0));
    settings.address = {.host = "127.0.0.1", .port = silent.address().port()};
    settings.pool = {.times = {milliseconds(50), milliseconds(50)}, .rest = std::chrono::hours(1)};
    RedisCache cache(settings);
    const auto begin = steady_clock::now();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(get(cache, "key", std::to_string(i)), std::to_string(i));
    EXPECT_LT(steady_clock::now() - begin, milliseconds(1'000)) << "one wait of 50 ms, not a hundred";
}

TEST_F(RedisCacheTest, UsesRedisAgainWhenItIsBack) {
    redis.call({"ACL", "SETUSER", "cache", "on", ">secret", "~*", "-@all"});
    settings.address.user = "cache";
    settings.address.password = "secret";
    settings.pool.rest = milliseconds(10);
    RedisCache cache(settings);
    EXPECT_EQ(get(cache, "key", "1"), "1");
    EXPECT_EQ(get(cache, "key", "2"), "2");
    redis.call({"ACL", "SETUSER", "cache", "+@all"});
    EXPECT_TRUE(test::eventually([&] { return get(cache, "key", "3") == get(cache, "key", "4"); }));
    redis.call({"ACL", "DELUSER", "cache"});
}

}  // namespace
}  // namespace chunkvault::server
