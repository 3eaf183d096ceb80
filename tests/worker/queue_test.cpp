#include <atomic>
#include <future>
#include <stdexcept>

#include <gtest/gtest.h>

#include "worker/queue/in_process_queue.h"

namespace chunkvault::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const InProcessLimits quick{.threads = 2, .queued = 100, .tries = 3, .firstBackoff = milliseconds(1)};
constexpr auto noFailure = [](const Job&, const char*, bool) {};

TEST(InProcessQueue, RunsEachJobOnce) {
    std::atomic<int> ran = 0;
    InProcessQueue queue(
        quick, [&](const Job&) { ++ran; }, noFailure);
    for (int id = 1; id <= 50; ++id) queue.post({JobKind::repairChunk, id});
    EXPECT_TRUE(queue.waitIdle(seconds(10)));
    EXPECT_EQ(ran, 50);
}

TEST(InProcessQueue, RunsAJobAgainThatIsPostedWhileItRuns) {
    std::promise<void> begun, mayEnd;
    std::atomic<int> ran = 0;
    auto end = mayEnd.get_future().share();
    InProcessQueue queue(
        quick,
        [&](const Job&) {
            if (ran++ == 0) {
                begun.set_value();
                end.wait();
            }
        },
        noFailure);
    queue.post({JobKind::repairChunk, 1});
    begun.get_future().wait();
    for (int i = 0; i < 5; ++i) queue.post({JobKind::repairChunk, 1});
    EXPECT_EQ(queue.length(), 1u) << "never the same job twice at once";
    mayEnd.set_value();
    EXPECT_TRUE(queue.waitIdle(seconds(10)));
    EXPECT_EQ(ran, 2);
}

TEST(InProcessQueue, TriesAFailingJobAFewTimesAndThenGivesItUp) {
    std::atomic<int> ran = 0, failures = 0, givenUp = 0;
    InProcessQueue queue(
        quick,
        [&](const Job&) {
            ++ran;
            throw std::runtime_error("no");
        },
        [&](const Job&, const char*, bool last) {
            ++failures;
            givenUp += last;
        });
    queue.post({JobKind::repairChunk, 1});
    EXPECT_TRUE(queue.waitIdle(seconds(10)));
    EXPECT_EQ(ran, 3);
    EXPECT_EQ(failures, 3);
    EXPECT_EQ(givenUp, 1);
    queue.post({JobKind::repairChunk, 1});
    EXPECT_TRUE(queue.waitIdle(seconds(10)));
    EXPECT_EQ(ran, 6) << "a sweep may post it again";
}

// The threads wait for times of jobs that others take away: what AddressSanitizer watches here.
TEST(InProcessQueue, LetsSeveralThreadsWaitForJobsThatOthersTake) {
    std::atomic<int> ran = 0;
    InProcessQueue queue(
        {.threads = 4, .queued = 1000, .tries = 6, .firstBackoff = milliseconds(1)},
        [&](const Job& job) {
            ++ran;
            if (job.id % 3 != 0) throw std::runtime_error("later");
        },
        noFailure);
    for (int id = 1; id <= 300; ++id) queue.post({JobKind::repairChunk, id});
    EXPECT_TRUE(queue.waitIdle(seconds(30)));
    EXPECT_EQ(ran, 100 + 200 * 6);
}

TEST(InProcessQueue, DropsWhatIsAboveItsLimit) {
    std::promise<void> mayEnd;
    auto end = mayEnd.get_future().share();
    std::atomic<int> ran = 0;
    InProcessQueue queue(
        {.threads = 1, .queued = 3},
        [&](const Job&) {
            end.wait();
            ++ran;
        },
        noFailure);
    for (int id = 1; id <= 10; ++id) queue.post({JobKind::repairChunk, id});
    EXPECT_EQ(queue.length(), 3u);
    mayEnd.set_value();
    EXPECT_TRUE(queue.waitIdle(seconds(10)));
    EXPECT_EQ(ran, 3);
}

TEST(InProcessQueue, EndsWithoutWaitingForWhatHasNotBegun) {
    std::atomic<int> ran = 0;
    InProcessQueue queue(
        {.threads = 1, .tries = 2, .firstBackoff = std::chrono::hours(1)},
        [&](const Job&) {
            ++ran;
            throw std::runtime_error("later");
        },
        noFailure);
    queue.post({JobKind::repairChunk, 1});
    EXPECT_FALSE(queue.waitIdle(milliseconds(20)));
    queue.stop();
    queue.post({JobKind::repairChunk, 2});
    EXPECT_LE(ran, 1);
}

}  // namespace
}  // namespace chunkvault::worker
