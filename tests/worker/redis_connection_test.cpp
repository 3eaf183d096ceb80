#include "worker/queue/redis_connection.h"

#include <functional>
#include <thread>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/redis.h"

namespace chunkvault::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

Error errorOf(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorCode::internal, "");
}

TEST(RedisAddress, IsReadFromAUrl) {
    struct Case {
        const char* url;
        RedisAddress expected;
    };
    for (const auto& [url, expected] : {
             Case{"redis://redis", {"redis", 6379, "", "", 0}},
             Case{"redis://10.0.0.1:7000", {"10.0.0.1", 7000, "", "", 0}},
             Case{"redis://redis/", {"redis", 6379, "", "", 0}},
             Case{"redis://redis:7000/3", {"redis", 7000, "", "", 3}},
             Case{"redis://:secret@redis", {"redis", 6379, "", "secret", 0}},
             Case{"redis://me:p%40ss%3A%2F%25@redis:1/15", {"redis", 1, "me", "p@ss:/%", 15}},
             Case{"redis://:a/b@c@redis/1", {"redis", 6379, "", "a/b@c", 1}},
             Case{"redis://[::1]", {"::1", 6379, "", "", 0}},
             Case{"redis://:s@[fe80::1]:7000/2", {"fe80::1", 7000, "", "s", 2}},
         }) {
        const RedisAddress read = RedisAddress::parse(url);
        EXPECT_EQ(read.host, expected.host) << url;
        EXPECT_EQ(read.port, expected.port) << url;
        EXPECT_EQ(read.user, expected.user) << url;
        EXPECT_EQ(read.password, expected.password) << url;
        EXPECT_EQ(read.database, expected.database) << url;
    }
    EXPECT_EQ(RedisAddress::parse("redis://me:secret@[::1]:7/2").text(), "redis://[::1]:7/2");
}

TEST(RedisAddress, ThatIsNoneIsRefusedWithoutShowingIt) {
    for (const char* url : {"",
                            "redis",
                            "http://secret",
                            "rediss://:secret@redis",
                            "redis://",
                            "redis://:secret@",
                            "redis://secret@redis",
                            "redis://secret:@redis",
                            "redis://:secret%@redis",
                            "redis://:secret%00@redis",
                            "redis://redis:",
                            "redis://redis:0",
                            "redis://redis:65536",
                            "redis://redis:secret",
                            "redis://redis/secret",
                            "redis://redis/-1",
                            "redis://redis/0/1",
                            "redis://[::1",
                            "redis://[::1]secret",
                            "redis://redis?password=secret",
                            "redis://re dis"}) {
        const Error error = errorOf([&] { (void)RedisAddress::parse(url); });
        EXPECT_EQ(error.code(), ErrorCode::invalidValue) << url;
        EXPECT_THAT(error.publicMessage(), HasSubstr("REDIS_URL")) << url;
        EXPECT_THAT(error.publicMessage(), Not(HasSubstr("secret"))) << url;
    }
    EXPECT_THAT(errorOf([] { (void)RedisAddress::parse("rediss://redis"); }).publicMessage(), HasSubstr("TLS"));
}

TEST(RedisConnection, TakesAnswersOfEveryKind) {
    RedisConnection redis(test::redisAddress(), {});
    const std::string key = test::freshPrefix(), bytes("a\r\n\0b $-1\r\n", 11);
    EXPECT_EQ(redis.call({"PING"}).text, "PONG");
    EXPECT_TRUE(redis.call({"GET", key}).isNil());
    redis.call({"SET", key, bytes});
    EXPECT_EQ(redis.call({"GET", key}).text, bytes);
    redis.call({"SET", key, ""});
    EXPECT_EQ(redis.call({"GET", key}).text, "");
    EXPECT_EQ(redis.call({"GET", key}).kind, RedisReply::Kind::text);
    const std::string large(3 << 20, 'x');
    redis.call({"SET", key, large});
    EXPECT_EQ(redis.call({"GET", key}).text, large);
    EXPECT_EQ(redis.call({"DEL", key}).integer, 1);
    const RedisReply list = redis.call({"EVAL", "return {1, {'a', false}, {}}", "0"});
    ASSERT_EQ(list.items.size(), 3u);
    EXPECT_EQ(list.items[0].integer, 1);
    EXPECT_EQ(list.items[1].items[0].text, "a");
    EXPECT_TRUE(list.items[1].items[1].isNil());
    EXPECT_TRUE(list.items[2].items.empty());
    EXPECT_TRUE(redis.ask({"NONSENSE"}).isError("ERR"));
    const Error refused = errorOf([&] { redis.call({"NONSENSE"}); });
    EXPECT_EQ(refused.code(), ErrorCode::unavailable);
    EXPECT_TRUE(redis.connected()) << "an error of Redis is an answer";
}

TEST(RedisConnection, UsesUserPasswordAndDatabase) {
    RedisConnection admin(test::redisAddress(), {});
    const std::string password = "p@ss:/% ö";
    admin.call({"ACL", "SETUSER", "someone", "on", ">" + password, "~*", "+@all"});
    RedisAddress address = test::redisAddress();
    address.user = "someone";
    address.password = password;
    address.database = 3;
    RedisConnection redis(address, {});
    EXPECT_EQ(redis.call({"ACL", "WHOAMI"}).text, "someone");
    EXPECT_THAT(redis.call({"CLIENT", "INFO"}).text, HasSubstr(" db=3 "));

    address.password = "secret";
    RedisConnection wrong(address, {});
    const Error error = errorOf([&] { wrong.call({"PING"}); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_THAT(error.privateDetail(), HasSubstr("AUTH was refused: WRONGPASS"));
    EXPECT_THAT(error.privateDetail(), Not(HasSubstr("secret")));
    EXPECT_THAT(error.publicMessage(), Not(HasSubstr("WRONGPASS")));
    EXPECT_FALSE(wrong.connected());
    admin.call({"ACL", "DELUSER", "someone"});
}

TEST(RedisConnection, ConnectsAgainAfterItWasCut) {
    RedisConnection redis(test::redisAddress(), {}), other(test::redisAddress(), {});
    const std::string id = std::to_string(redis.call({"CLIENT", "ID"}).integer);
    other.call({"CLIENT", "KILL", "ID", id});
    EXPECT_EQ(errorOf([&] { redis.call({"PING"}); }).code(), ErrorCode::unavailable);
    EXPECT_EQ(redis.call({"PING"}).text, "PONG");
}

TEST(RedisConnection, NeverTakesALateAnswerForAnothers) {
    RedisConnection redis(test::redisAddress(), {milliseconds(1'000), milliseconds(30)});
    const std::string key = test::freshPrefix();
    EXPECT_THAT(errorOf([&] { redis.call({"BLPOP", key, "0.2"}); }).privateDetail(), HasSubstr("within 30 ms"));
    EXPECT_TRUE(redis.call({"BLPOP", key, "0.05"}, milliseconds(1'000)).isNil()) << "this one may wait";
    EXPECT_EQ(redis.call({"PING"}).text, "PONG");
}

TEST(RedisConnection, GivesUpWhenNobodyListens) {
    RedisConnection redis(test::nobodysAddress(), {});
    EXPECT_THAT(errorOf([&] { redis.call({"PING"}); }).privateDetail(), HasSubstr("no connection"));
    RedisConnection nowhere({.host = "no-such-host.invalid"}, {});
    EXPECT_EQ(errorOf([&] { nowhere.call({"PING"}); }).code(), ErrorCode::unavailable);
}

// Reads one command and answers with a text, then closes; or keeps silent until the client closes.
class FalseRedis {
  public:
    explicit FalseRedis(std::string answer, bool closes = true)
        : listener_(Poco::Net::SocketAddress("127.0.0.1", 0)), thread_([this, answer = std::move(answer), closes] {
              Poco::Net::StreamSocket client = listener_.acceptConnection();
              char command[256];
              (void)client.receiveBytes(command, sizeof command);
              if (!answer.empty()) client.sendBytes(answer.data(), static_cast<int>(answer.size()));
              if (closes) return;
              while (client.receiveBytes(command, sizeof command) > 0) {
              }
          }) {}
    ~FalseRedis() { thread_.join(); }
    [[nodiscard]] RedisAddress address() const { return {.host = "127.0.0.1", .port = listener_.address().port()}; }

  private:
    Poco::Net::ServerSocket listener_;
    std::thread thread_;
};

TEST(RedisConnection, TakesNoAnswerThatIsCutShort) {
    for (const char* answer :
         {"", "$", "$10", "$10\r\n", "$10\r\nabc", "$3\r\nabc", "$3\r\nabc\r", "*2\r\n", "*2\r\n:1\r\n", ":1", "+OK",
          "x", "HTTP/1.1 400\r\n\r\n", "$x\r\n", "*x\r\n", ":x\r\n"}) {
        const FalseRedis server(answer);
        RedisConnection redis(server.address(), {});
        EXPECT_EQ(errorOf([&] { redis.call({"GET", "key"}); }).code(), ErrorCode::unavailable) << answer;
        EXPECT_FALSE(redis.connected());
    }
}

TEST(RedisConnection, WaitsForASilentServerOnlyForItsTime) {
    const FalseRedis server("$10\r\nabc", false);
    RedisConnection redis(server.address(), {milliseconds(1'000), milliseconds(50)});
    const auto begin = steady_clock::now();
    EXPECT_EQ(errorOf([&] { redis.call({"GET", "key"}); }).code(), ErrorCode::unavailable);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(1'000));
    EXPECT_FALSE(redis.connected());
}

TEST(RedisConnection, HidesAPasswordThatTheServerRepeats) {
    const FalseRedis server("-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n");
    RedisAddress address = server.address();
    address.password = "secret";
    RedisConnection redis(address, {});
    EXPECT_THAT(errorOf([&] { redis.call({"PING"}); }).privateDetail(), Not(HasSubstr("secret")));
}

TEST(RedisPool, ServesManyThreadsWithFewConnections) {
    RedisPool pool(test::redisAddress(), {.connections = 2, .times = {milliseconds(5'000), milliseconds(5'000)}});
    const std::string key = test::freshPrefix();
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 100; ++j) pool.call({"INCR", key});
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool.call({"GET", key}).text, "800");
}

TEST(RedisPool, DoesNotNoticeARestartWhileItLayIdle) {
    RedisPool pool(test::redisAddress(), {.times = {milliseconds(5'000), milliseconds(5'000)}});
    RedisConnection other(test::redisAddress(), {});
    const std::string id = std::to_string(pool.call({"CLIENT", "ID"}).integer);
    other.call({"CLIENT", "KILL", "ID", id});
    EXPECT_EQ(pool.call({"PING"}).text, "PONG");
}

TEST(RedisPool, LeavesARedisAloneThatHasJustFailed) {
    RedisPool pool(test::nobodysAddress(), {.rest = std::chrono::hours(1)});
    EXPECT_THAT(errorOf([&] { pool.call({"PING"}); }).privateDetail(), HasSubstr("no connection"));
    for (int i = 0; i < 100; ++i)
        EXPECT_THAT(errorOf([&] { pool.call({"PING"}); }).privateDetail(), HasSubstr("left alone"));
}

TEST(RedisPool, AsksAgainAfterItsRest) {
    RedisPool pool(test::redisAddress(),
                   {.times = {milliseconds(5'000), milliseconds(5'000)}, .rest = milliseconds(1)});
    EXPECT_EQ(errorOf([&] { pool.call({"NONSENSE"}); }).code(), ErrorCode::unavailable);
    EXPECT_TRUE(test::eventually([&] {
        try {
            return pool.call({"PING"}).text == "PONG";
        } catch (const Error&) {
            return false;
        }
    }));
}

}  // namespace
}  // namespace chunkvault::worker
