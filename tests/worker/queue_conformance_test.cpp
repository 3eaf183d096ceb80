// What every JobQueue does, whatever it is made of.
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/redis.h"
#include "worker/queue/in_process_queue.h"
#include "worker/queue/redis_queue.h"

namespace chunkvault::worker {
namespace {

using std::chrono::milliseconds;
using test::eventually;
using testing::IsEmpty;
using testing::SizeIs;

struct Limits {
    int threads = 2;
    std::size_t queued = 1'000;
    int tries = 3;
    milliseconds firstBackoff{1};
    std::size_t dead = 100;
};

using Work = std::function<void(const Job&)>;
using OnFailure = std::function<void(const Job&, const char*, bool)>;

// A queue that can be ended.
struct Queue {
    std::unique_ptr<JobQueue> jobs;
    std::function<void()> stop;
    std::unique_ptr<JobQueue> bystander = nullptr;
    JobQueue* operator->() const { return jobs.get(); }
};

template <typename Made>
Queue wrap(std::unique_ptr<Made> made) {
    Made* const queue = made.get();
    return {std::move(made), [queue] { queue->stop(); }};
}

struct Maker {
    const char* name;
    Queue (*make)(const Limits&, Work, OnFailure);
};

Queue makeInProcess(const Limits& limits, Work work, OnFailure onFailure) {
    return wrap(std::make_unique<InProcessQueue>(InProcessLimits{.threads = limits.threads,
                                                                 .queued = limits.queued,
                                                                 .tries = limits.tries,
                                                                 .firstBackoff = limits.firstBackoff,
                                                                 .dead = limits.dead},
                                                 std::move(work), std::move(onFailure)));
}

// With a bystander, another process that only posts, whose own lease is over at once: it looks after the queue too.
Queue makeRedis(const Limits& limits, Work work, OnFailure onFailure) {
    RedisQueueSettings settings;
    settings.address = test::redisAddress();
    settings.prefix = test::freshPrefix();
    settings.consumers = limits.threads;
    settings.queued = limits.queued;
    settings.tries = limits.tries;
    settings.firstBackoff = limits.firstBackoff;
    settings.dead = limits.dead;
    settings.block = milliseconds(20);
    settings.posting.times = {milliseconds(5'000), milliseconds(5'000)};
    const auto onTrouble = [](const std::string& what) { ADD_FAILURE() << what; };
    auto queue = wrap(std::make_unique<RedisQueue>(settings, std::move(work), std::move(onFailure), onTrouble));
    settings.consumers = 0;
    settings.lease = milliseconds(1);
    queue.bystander = std::make_unique<RedisQueue>(
        settings, [](const Job&) {}, [](const Job&, const char*, bool) {}, onTrouble);
    return queue;
}

class JobQueueTest : public testing::TestWithParam<Maker> {
  protected:
    static Queue make(
        const Limits& limits, Work work, OnFailure onFailure = [](const Job&, const char*, bool) {}) {
        return GetParam().make(limits, std::move(work), std::move(onFailure));
    }
    static bool emptied(const Queue& queue) {
        return eventually([&] { return queue->length() == 0; });
    }
};

INSTANTIATE_TEST_SUITE_P(Queues, JobQueueTest,
                         testing::Values(Maker{"InProcess", makeInProcess}, Maker{"Redis", makeRedis}),
                         [](const auto& of) { return of.param.name; });

constexpr Job job(std::int64_t id) { return {JobKind::repairChunk, id}; }

TEST_P(JobQueueTest, RunsEachJobOnce) {
    std::mutex mutex;
    std::map<Job, int> ran;
    const Queue queue = make({.threads = 4}, [&](const Job& done) {
        const std::lock_guard lock(mutex);
        ++ran[done];
    });
    for (int id = 1; id <= 50; ++id) {
        queue->post(job(id));
        queue->post({JobKind::verifyContent, id});
    }
    ASSERT_TRUE(emptied(queue));
    EXPECT_THAT(ran, SizeIs(100));
    for (const auto& [done, times] : ran) EXPECT_EQ(times, 1) << toString(done);
}

// A queue of one thread that is busy with job 1 until the test lets it go.
struct Busy {
    std::promise<void> begun, mayEnd;
    std::shared_future<void> end = mayEnd.get_future().share();
    std::atomic<int> first = 0, others = 0;
    void run(const Job& done) {
        if (done.id != 1) {
            ++others;
        } else if (first++ == 0) {
            begun.set_value();
            end.wait_for(std::chrono::seconds(20));  // not for ever in a test that fails
        }
    }
};

TEST_P(JobQueueTest, KeepsAWaitingJobOnce) {
    Busy busy;
    const Queue queue = make({.threads = 1}, [&](const Job& done) { busy.run(done); });
    queue->post(job(1));
    busy.begun.get_future().wait();
    for (int i = 0; i < 5; ++i) queue->post(job(2));
    EXPECT_EQ(queue->length(), 2u);
    busy.mayEnd.set_value();
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(busy.others, 1);
}

TEST_P(JobQueueTest, DoesWhatIsUrgentFirst) {
    Busy busy;
    std::mutex mutex;
    std::vector<Job> order;
    const Queue queue = make({.threads = 1}, [&](const Job& done) {
        busy.run(done);
        const std::lock_guard lock(mutex);
        if (done.id != 1) order.push_back(done);
    });
    queue->post(job(1));
    busy.begun.get_future().wait();
    for (const std::int64_t id : {2, 3}) queue->post({JobKind::removeChunk, id});
    queue->post({JobKind::verifyContent, 4});
    for (const std::int64_t id : {5, 6}) queue->post({JobKind::repairChunk, id});
    queue->post({JobKind::verifyChunk, 7});
    busy.mayEnd.set_value();
    ASSERT_TRUE(emptied(queue));
    EXPECT_THAT(order, testing::ElementsAre(Job{JobKind::repairChunk, 5}, Job{JobKind::repairChunk, 6},
                                            Job{JobKind::verifyChunk, 7}, Job{JobKind::removeChunk, 2},
                                            Job{JobKind::removeChunk, 3}, Job{JobKind::verifyContent, 4}));
}

TEST_P(JobQueueTest, RunsAJobAgainThatIsPostedWhileItRuns) {
    Busy busy;
    const Queue queue = make({.threads = 2}, [&](const Job& done) { busy.run(done); });
    queue->post(job(1));
    busy.begun.get_future().wait();
    for (int i = 0; i < 5; ++i) queue->post(job(1));
    queue->post(job(2));
    ASSERT_TRUE(eventually([&] { return busy.others == 1; }));
    EXPECT_EQ(busy.first, 1) << "never the same job twice at once";
    busy.mayEnd.set_value();
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(busy.first, 2);
}

TEST_P(JobQueueTest, LeavesALongJobToWhoRunsIt) {
    Busy busy;
    const Queue queue = make({.threads = 2}, [&](const Job& done) { busy.run(done); });
    queue->post(job(1));
    busy.begun.get_future().wait();
    EXPECT_FALSE(eventually([&] { return busy.first > 1; }, milliseconds(500)));
    busy.mayEnd.set_value();
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(busy.first, 1);
}

TEST_P(JobQueueTest, DropsWhatIsAboveItsLimit) {
    Busy busy;
    const Queue queue = make({.threads = 1, .queued = 3}, [&](const Job& done) { busy.run(done); });
    queue->post(job(1));
    busy.begun.get_future().wait();
    for (int id = 2; id <= 10; ++id) queue->post(job(id));
    EXPECT_EQ(queue->length(), 3u);
    busy.mayEnd.set_value();
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(busy.others, 2);
}

TEST_P(JobQueueTest, TriesAFailingJobLaterEachTimeAndThenGivesItUp) {
    std::mutex mutex;
    std::vector<std::chrono::steady_clock::time_point> tries;
    std::atomic<int> failures = 0, givenUp = 0;
    const Queue queue = make(
        {.tries = 3, .firstBackoff = milliseconds(40)},
        [&](const Job&) {
            const std::lock_guard lock(mutex);
            tries.push_back(std::chrono::steady_clock::now());
            throw std::runtime_error("no\xff");
        },
        [&](const Job&, const char*, bool last) {
            ++failures;
            givenUp += last;
        });
    const Timestamp before = systemNow();
    queue->post(job(1));
    ASSERT_TRUE(emptied(queue));
    ASSERT_THAT(tries, SizeIs(3));
    EXPECT_GE(tries[1] - tries[0], milliseconds(39));
    EXPECT_GE(tries[2] - tries[1], milliseconds(79));
    EXPECT_EQ(failures, 3);
    EXPECT_EQ(givenUp, 1);
    const auto dead = queue->dead(10);
    ASSERT_THAT(dead, SizeIs(1));
    EXPECT_EQ(dead[0].job, job(1));
    EXPECT_EQ(dead[0].failures, 3);
    EXPECT_EQ(dead[0].what, "no\xef\xbf\xbd") << "fit for JSON";
    EXPECT_GE(dead[0].since, before);
    EXPECT_LE(dead[0].since, systemNow());
}

TEST_P(JobQueueTest, RunsAJobThatFailsForAWhile) {
    std::atomic<int> ran = 0;
    const Queue queue = make({.tries = 3}, [&](const Job&) {
        if (++ran < 3) throw std::runtime_error("not yet");
    });
    queue->post(job(1));
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(ran, 3);
    EXPECT_THAT(queue->dead(10), IsEmpty());
}

TEST_P(JobQueueTest, CountsNoTryOfAJobThatIsBrokenOffBecauseItsProgramEnds) {
    std::atomic<int> ran = 0, failures = 0;
    const Queue queue = make(
        {.tries = 2},
        [&](const Job&) {
            if (++ran < 4) throw JobStopped();
            if (ran == 4) throw std::runtime_error("one try");
        },
        [&](const Job&, const char*, bool) { ++failures; });
    queue->post(job(1));
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(ran, 5);
    EXPECT_EQ(failures, 1);
    EXPECT_THAT(queue->dead(10), IsEmpty());
}

TEST_P(JobQueueTest, RetriesDeadJobsWhenAsked) {
    std::atomic<bool> works = false;
    std::atomic<int> ran = 0;
    const Queue queue = make({.threads = 1, .tries = 1}, [&](const Job&) {
        ++ran;
        if (!works) throw std::runtime_error("no");
    });
    for (int id = 1; id <= 3; ++id) {
        queue->post(job(id));
        ASSERT_TRUE(emptied(queue));
    }
    EXPECT_THAT(queue->dead(0), IsEmpty());
    const auto newest = queue->dead(2);
    ASSERT_THAT(newest, SizeIs(2));
    EXPECT_EQ(newest[0].job, job(3));
    EXPECT_EQ(newest[1].job, job(2));
    EXPECT_EQ(queue->retryDead(job(7)), 0);
    EXPECT_EQ(queue->retryDead(job(2)), 1);
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(ran, 4);
    EXPECT_THAT(queue->dead(10), SizeIs(3)) << "it failed again";
    works = true;
    EXPECT_EQ(queue->retryDead(std::nullopt), 3);
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(ran, 7);
    EXPECT_THAT(queue->dead(10), IsEmpty());
    EXPECT_EQ(queue->retryDead(std::nullopt), 0);
}

TEST_P(JobQueueTest, TakesAJobOffTheDeadListThatSucceedsAfterAll) {
    std::atomic<bool> works = false;
    const Queue queue = make({.tries = 1}, [&](const Job&) {
        if (!works) throw std::runtime_error("no");
    });
    queue->post(job(1));
    ASSERT_TRUE(emptied(queue));
    ASSERT_THAT(queue->dead(10), SizeIs(1));
    works = true;
    queue->post(job(1));
    ASSERT_TRUE(emptied(queue));
    EXPECT_THAT(queue->dead(10), IsEmpty());
}

TEST_P(JobQueueTest, ForgetsTheOldestDeadJobsAboveItsLimit) {
    const Queue queue =
        make({.threads = 1, .tries = 1, .dead = 2}, [&](const Job&) { throw std::runtime_error("no"); });
    for (int id = 1; id <= 4; ++id) {
        queue->post(job(id));
        ASSERT_TRUE(emptied(queue));
    }
    const auto dead = queue->dead(10);
    ASSERT_THAT(dead, SizeIs(2));
    EXPECT_EQ(dead[0].job, job(4));
    EXPECT_EQ(dead[1].job, job(3));
}

TEST_P(JobQueueTest, LetsSeveralThreadsShareWorkThatFails) {
    std::atomic<int> ran = 0;
    const Queue queue = make({.threads = 4, .tries = 4}, [&](const Job& done) {
        ++ran;
        if (done.id % 3 != 0) throw std::runtime_error("later");
    });
    for (int id = 1; id <= 150; ++id) queue->post(job(id));
    ASSERT_TRUE(emptied(queue));
    EXPECT_EQ(ran, 50 + 100 * 4);
}

TEST_P(JobQueueTest, WaitsForRunningJobsWhenItStopsAndBeginsNoMore) {
    Busy busy;
    const Queue queue = make({.threads = 1}, [&](const Job& done) { busy.run(done); });
    queue->post(job(1));
    busy.begun.get_future().wait();
    for (int id = 2; id <= 10; ++id) queue->post(job(id));
    std::atomic<bool> stopped = false;
    std::thread stopper([&] {
        queue.stop();
        stopped = true;
    });
    EXPECT_FALSE(eventually([&] { return stopped.load(); }, milliseconds(50)));
    busy.mayEnd.set_value();
    stopper.join();
    EXPECT_EQ(busy.first, 1);
    EXPECT_EQ(busy.others, 0);
    EXPECT_EQ(queue->length(), 9u);
}

TEST(Job, HasANameThatIsReadBack) {
    for (const JobKind kind : {JobKind::repairChunk, JobKind::verifyContent})
        for (const std::int64_t id : {std::int64_t{1}, std::int64_t{9'223'372'036'854'775'807}}) {
            EXPECT_EQ(parseJob(toString(Job{kind, id})), (Job{kind, id}));
            EXPECT_EQ(parseJobKind(toString(kind)), kind);
        }
    EXPECT_EQ(toString(Job{JobKind::repairChunk, 17}), "repair_chunk:17");
    EXPECT_EQ(parseJob("paint_wall:5"), (Job{JobKind::unknown, 5}));
    for (const char* bad : {"", ":", "repair_chunk", "repair_chunk:", "repair_chunk:x", "repair_chunk:1 ",
                            "repair_chunk:99999999999999999999", "unknown:"})
        EXPECT_EQ(parseJob(bad).kind, JobKind::unknown) << bad;
    EXPECT_EQ(parseJobKind("unknown"), std::nullopt);
}

}  // namespace
}  // namespace chunkvault::worker
