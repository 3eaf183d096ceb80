// What can happen to Redis and to other workers while jobs wait and run.
#include "worker/queue/redis_queue.h"

#include <atomic>
#include <future>
#include <memory>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/redis.h"

namespace chunkvault::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::eventually;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Job job(std::int64_t id) { return {JobKind::repairChunk, id}; }

class RedisQueueTest : public testing::Test {
  protected:
    RedisQueueTest() : raw_(test::redisAddress(), {}) {
        settings.address = test::redisAddress();
        settings.prefix = test::freshPrefix();
        settings.firstBackoff = milliseconds(5);
        settings.block = milliseconds(20);
        settings.posting.times = {milliseconds(5'000), milliseconds(5'000)};
        settings.posting.rest = milliseconds(50);
    }

    std::unique_ptr<RedisQueue> make(std::function<void(const Job&)> run) {
        return std::make_unique<RedisQueue>(
            settings, std::move(run), [](const Job&, const char*, bool) {},
            [this](const std::string& what) {
                const std::lock_guard lock(mutex);
                troubles.push_back(what);
            });
    }
    RedisReply redis(const std::vector<std::string>& command) { return raw_.call(command); }
    // As a worker of that lease that takes a job and dies.
    void takeAndDie(milliseconds lease) {
        const RedisReply taken = redis({"XREADGROUP", "GROUP", "workers", "dead/" + std::to_string(lease.count()),
                                        "COUNT", "1", "BLOCK", "5000", "STREAMS", settings.prefix + ":jobs", ">"});
        ASSERT_FALSE(taken.isNil());
    }
    void awaitStreams() {
        for (const char* name : {":jobs", ":later"})
            ASSERT_TRUE(eventually([&] { return redis({"EXISTS", settings.prefix + name}).integer == 1; }));
    }
    static bool emptied(const RedisQueue& queue) {
        return eventually([&] { return queue.length() == 0; });
    }
    std::size_t troubleCount() {
        const std::lock_guard lock(mutex);
        return troubles.size();
    }
    // All connections of this Redis but the test's own.
    void cutConnections() { redis({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); }

    RedisQueueSettings settings;
    std::mutex mutex;
    std::vector<std::string> troubles;

  private:
    RedisConnection raw_;
};

TEST_F(RedisQueueTest, PassesJobsFromOneProcessToAnother) {
    std::atomic<int> ran = 0;
    const auto worker = make([&](const Job&) { ++ran; });
    settings.consumers = 0;
    const auto poster = make([](const Job&) { ADD_FAILURE() << "this process only posts"; });
    for (int id = 1; id <= 20; ++id) poster->post(job(id));
    ASSERT_TRUE(emptied(*poster));
    EXPECT_EQ(ran, 20);
    EXPECT_EQ(poster->dropped(), 0u);
}

TEST_F(RedisQueueTest, GivesTheJobOfADeadWorkerToAnotherWhoseOwnLeaseIsLonger) {
    settings.lease = std::chrono::hours(1);
    settings.consumers = 0;
    const auto poster = make([](const Job&) {});
    awaitStreams();
    poster->post(job(1));
    takeAndDie(milliseconds(150));
    settings.consumers = 2;
    std::atomic<int> ran = 0;
    const auto worker = make([&](const Job&) { ++ran; });
    poster->post(job(2));
    ASSERT_TRUE(emptied(*poster));
    EXPECT_EQ(ran, 2);
}

TEST_F(RedisQueueTest, LeavesAJobToAWorkerWhoseLeaseIsLonger) {
    settings.consumers = 0;
    const auto poster = make([](const Job&) {});
    awaitStreams();
    poster->post(job(1));
    takeAndDie(std::chrono::hours(1));
    settings.lease = milliseconds(1);
    settings.consumers = 2;
    std::atomic<int> ran = 0;
    const auto worker = make([&](const Job&) { ++ran; });
    EXPECT_FALSE(eventually([&] { return ran > 0; }, milliseconds(500)));
    EXPECT_EQ(poster->length(), 1u);
}

TEST_F(RedisQueueTest, GivesUpAJobThatItsWorkersDieOf) {
    settings.tries = 2;
    settings.consumers = 0;
    const auto poster = make([](const Job&) {});
    awaitStreams();
    poster->post(job(1));
    takeAndDie(milliseconds(30));
    takeAndDie(milliseconds(30));
    ASSERT_TRUE(emptied(*poster));
    const auto dead = poster->dead(10);
    ASSERT_THAT(dead, SizeIs(1));
    EXPECT_EQ(dead[0].job, job(1));
    EXPECT_EQ(dead[0].failures, 2);
    EXPECT_THAT(dead[0].what, HasSubstr("silent"));
}

TEST_F(RedisQueueTest, RenewsTheLeaseOfALongJob) {
    settings.lease = milliseconds(600);
    std::atomic<int> ran = 0;
    std::promise<void> begun, mayEnd;
    auto end = mayEnd.get_future().share();
    const auto run = [&](const Job&) {
        if (ran++ == 0) begun.set_value();
        end.wait_for(std::chrono::seconds(20));
    };
    const auto one = make(run), other = make(run);
    one->post(job(1));
    begun.get_future().wait();
    EXPECT_FALSE(eventually([&] { return ran > 1; }, settings.lease * 3));
    mayEnd.set_value();
    ASSERT_TRUE(emptied(*one));
    EXPECT_EQ(ran, 1);
}

TEST_F(RedisQueueTest, GoesOnAfterRedisWasEmptied) {
    std::atomic<int> ran = 0;
    std::promise<void> begun, mayEnd;
    auto end = mayEnd.get_future().share();
    const auto queue = make([&](const Job& done) {
        if (done.id == 1) {
            begun.set_value();
            end.wait_for(std::chrono::seconds(20));
        }
        ++ran;
    });
    queue->post(job(1));
    begun.get_future().wait();
    redis({"FLUSHALL"});
    queue->post(job(2));
    ASSERT_TRUE(eventually([&] { return ran == 1; }));
    redis({"FLUSHALL"});
    mayEnd.set_value();
    ASSERT_TRUE(eventually([&] { return ran == 2; })) << "the running job ends as if nothing had been";
    for (int round = 0; round < 20; ++round) {
        redis({"FLUSHALL"});
        queue->post(job(100 + round));
        ASSERT_TRUE(emptied(*queue));
    }
    EXPECT_EQ(ran, 22);
    EXPECT_EQ(troubleCount(), 0u);
}

TEST_F(RedisQueueTest, GoesOnAfterItsConnectionsWereCut) {
    std::atomic<int> ran = 0;
    std::promise<void> begun, mayEnd;
    auto end = mayEnd.get_future().share();
    const auto queue = make([&](const Job& done) {
        if (done.id == 1) {
            begun.set_value();
            end.wait_for(std::chrono::seconds(20));
        }
        ++ran;
    });
    queue->post(job(1));
    begun.get_future().wait();
    cutConnections();
    queue->post(job(2));
    ASSERT_TRUE(eventually([&] { return ran == 1; }));
    cutConnections();
    mayEnd.set_value();
    ASSERT_TRUE(emptied(*queue)) << "the job's end is told on a new connection, long before its lease ends";
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(queue->dropped(), 0u);
    ASSERT_TRUE(eventually([&] { return queue->trouble().empty(); }));
}

TEST_F(RedisQueueTest, PutsJobsOfAnUnknownKindOnTheDeadList) {
    std::atomic<int> ran = 0;
    const auto queue = make([&](const Job&) { ++ran; });
    redis({"XADD", settings.prefix + ":jobs", "*", "job", "paint_wall:5", "failures", "0"});
    redis({"XADD", settings.prefix + ":jobs", "*", "job", "nonsense \xff", "failures", "x"});
    redis({"XADD", settings.prefix + ":jobs", "*", "something", "else"});
    ASSERT_TRUE(eventually([&] { return queue->dead(10).size() == 3; }));
    bool shown = false;
    for (const DeadJob& dead : queue->dead(10)) {
        EXPECT_EQ(dead.job.kind, JobKind::unknown);
        shown |= dead.job.id == 5 && dead.what.find("paint_wall:5") != std::string::npos;
    }
    EXPECT_TRUE(shown);
    queue->post(job(1));
    ASSERT_TRUE(emptied(*queue));
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(queue->retryDead(Job{JobKind::unknown, 5}), 1);
    ASSERT_TRUE(eventually([&] { return queue->dead(10).size() == 3; })) << "still unknown";
}

TEST_F(RedisQueueTest, FindsJobsAgainWhenRedisForgotWhichOnesItKnows) {
    settings.consumers = 0;
    const auto poster = make([](const Job&) {});
    poster->post(job(1));
    poster->post(job(2));
    redis({"DEL", settings.prefix + ":known"});
    ASSERT_TRUE(eventually([&] { return poster->length() == 2; }));
    redis({"DEL", settings.prefix + ":jobs"});
    ASSERT_TRUE(emptied(*poster)) << "jobs that are lost can be posted again";
    poster->post(job(1));
    EXPECT_EQ(poster->length(), 1u);
}

TEST_F(RedisQueueTest, DropsJobsAtOnceWhenRedisCannotBeReached) {
    settings.address = test::nobodysAddress();
    settings.posting = {};
    const auto queue = make([](const Job&) {});
    const auto begin = steady_clock::now();
    for (int id = 1; id <= 1'000; ++id) queue->post(job(id));
    EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(2));
    EXPECT_EQ(queue->dropped(), 1'000u);
    EXPECT_EQ(queue->length(), 0u);
    EXPECT_THROW((void)queue->dead(10), Error);
    EXPECT_THROW((void)queue->retryDead(std::nullopt), Error);
    ASSERT_TRUE(eventually([&] { return troubleCount() > 0; }));
    const auto stopping = steady_clock::now();
    queue->stop();
    EXPECT_LT(steady_clock::now() - stopping, std::chrono::seconds(2));
    EXPECT_EQ(troubleCount(), 1u) << "one line, not one for each try";
    EXPECT_THAT(troubles[0], HasSubstr(settings.address.text()));
}

TEST_F(RedisQueueTest, SaysThatThePasswordIsWrong) {
    settings.address.password = "hunter2";
    const auto queue = make([](const Job&) {});
    ASSERT_TRUE(eventually([&] { return troubleCount() > 0; }));
    EXPECT_THAT(queue->trouble(), HasSubstr("AUTH was refused"));
    EXPECT_THAT(queue->trouble(), testing::Not(HasSubstr("hunter2")));
}

TEST_F(RedisQueueTest, WaitsForRedisAndGoesOnWhenItIsBack) {
    redis({"ACL", "SETUSER", "late", "on", ">secret", "~*", "&*", "-@all"});
    settings.address.user = "late";
    settings.address.password = "secret";
    std::atomic<int> ran = 0;
    const auto queue = make([&](const Job&) { ++ran; });
    ASSERT_TRUE(eventually([&] { return troubleCount() == 1; }));
    redis({"ACL", "SETUSER", "late", "+@all"});
    ASSERT_TRUE(eventually([&] { return troubleCount() == 2; }));
    EXPECT_THAT(troubles, testing::ElementsAre(testing::Not(IsEmpty()), IsEmpty()));
    ASSERT_TRUE(eventually([&] {
        queue->post(job(1));
        return ran > 0;
    }));
    redis({"ACL", "DELUSER", "late"});
}

TEST_F(RedisQueueTest, StopsSoonWhileNothingWaits) {
    const auto queue = make([](const Job&) {});
    ASSERT_TRUE(eventually([&] { return redis({"EXISTS", settings.prefix + ":jobs"}).integer == 1; }));
    const auto begin = steady_clock::now();
    queue->stop();
    EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(1));
}

}  // namespace
}  // namespace chunkvault::worker
