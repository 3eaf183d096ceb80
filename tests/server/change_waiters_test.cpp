#include "server/api/change_waiters.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::server {
namespace {

using namespace std::chrono_literals;
using catalog::Revision;
using catalog::UserId;
using State = catalog::Changes::State;

constexpr UserId ann{1}, bob{2};
constexpr auto longTime = 60s;  // of a wait that something else has to end

class ChangeWaitersTest : public testing::Test {
  protected:
    // Calls wait on a thread of its own, and returns when it waits.
    std::future<bool> begin(UserId owner, Revision seen, std::chrono::milliseconds time = longTime) {
        const std::size_t before = waiters.waiting();
        auto result = std::async(std::launch::async, [this, owner, seen, time] {
            return waiters.wait(owner, seen, std::chrono::steady_clock::now() + time, [this] { return gone.load(); });
        });
        await([&] { return waiters.waiting() > before; });
        return result;
    }
    template <typename Condition>
    static void await(Condition&& condition) {
        const auto end = std::chrono::steady_clock::now() + longTime;
        while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        EXPECT_TRUE(condition());
    }
    // Until a poll that began after this call is over.
    void awaitPoll() {
        const int now = polls;
        await([&] { return polls >= now + 2; });
    }
    void set(State state) {
        const std::lock_guard lock(mutex);
        states.insert_or_assign(state.owner, state);
    }
    std::optional<ErrorCode> refusal(UserId owner) {
        try {
            (void)waiters.wait(owner, {}, std::chrono::steady_clock::now() + longTime, [] { return false; });
        } catch (const Error& error) {
            EXPECT_TRUE(error.retryAfterS());
            return error.code();
        }
        return std::nullopt;
    }

    std::mutex mutex;
    std::map<UserId, State> states{{ann, {ann, {5, 50}, false}}, {bob, {bob, {7, 70}, false}}};
    std::atomic<int> polls = 0;
    std::atomic<bool> gone = false, broken = false;
    ChangeWaiters waiters{[this](std::span<const UserId> owners) {
                              ++polls;
                              if (broken) throw Error(ErrorCode::unavailable, "The database cannot be reached.");
                              std::vector<State> found;
                              const std::lock_guard lock(mutex);
                              for (const UserId owner : owners)
                                  if (states.contains(owner)) found.push_back(states.at(owner));
                              return found;
                          },
                          {.perServer = 3, .perAccount = 2, .pollEvery = 2ms}};
};

TEST_F(ChangeWaitersTest, AWaitEndsWithAChangeOfItsOwner) {
    const struct {
        const char* what;
        State state;
    } cases[] = {
        {"the next change", {ann, {6, 60}, false}},
        {"another history", {ann, {5, 51}, false}},
        {"a database that was put back", {ann, {4, 40}, false}},
        {"downloads", {ann, {5, 50}, true}},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.what);
        set({ann, {5, 50}, false});
        auto waiting = begin(ann, {5, 50}), other = begin(bob, {7, 70}, 200ms);
        set(c.state);
        EXPECT_TRUE(waiting.get());
        EXPECT_FALSE(other.get());
    }
    auto waiting = begin(ann, {5, 50});
    {
        const std::lock_guard lock(mutex);
        states.erase(ann);
    }
    EXPECT_TRUE(waiting.get()) << "no such account any more";
}

TEST_F(ChangeWaitersTest, AChangeBeforeTheWaitIsSeen) { EXPECT_TRUE(begin(ann, {4, 40}).get()); }

TEST_F(ChangeWaitersTest, AWaitEndsWhenItsTimeIsOver) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(waiters.wait(ann, {5, 50}, start + 50ms, [] { return false; }));
    EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
    EXPECT_FALSE(waiters.wait(ann, {4, 40}, start, [] { return false; })) << "in the past";
}

TEST_F(ChangeWaitersTest, AWaitEndsWhenTheClientIsGone) {
    auto waiting = begin(ann, {5, 50});
    gone = true;
    EXPECT_FALSE(waiting.get());
    EXPECT_EQ(waiters.waiting(), 0u);
}

TEST_F(ChangeWaitersTest, StopEndsAllWaiting) {
    auto first = begin(ann, {5, 50}), second = begin(bob, {7, 70});
    waiters.stop();
    EXPECT_FALSE(first.get());
    EXPECT_FALSE(second.get());
    EXPECT_FALSE(waiters.wait(ann, {5, 50}, std::chrono::steady_clock::now() + longTime, [] { return false; }));
}

TEST_F(ChangeWaitersTest, TooManyAreRefused) {
    auto first = begin(ann, {5, 50}), second = begin(ann, {5, 50});
    EXPECT_EQ(refusal(ann), ErrorCode::tooManyRequests) << "of one account";
    auto third = begin(bob, {7, 70});
    EXPECT_EQ(refusal(bob), ErrorCode::tooManyRequests) << "in all";
    set({ann, {6, 60}, false});
    EXPECT_TRUE(first.get());
    EXPECT_TRUE(second.get());
    auto again = begin(ann, {6, 60});
    set({ann, {7, 70}, false});
    EXPECT_TRUE(again.get());
    set({bob, {8, 80}, false});
    EXPECT_TRUE(third.get());
}

TEST_F(ChangeWaitersTest, APollThatFailsIsTriedAgain) {
    auto waiting = begin(ann, {5, 50});
    broken = true;
    set({ann, {6, 60}, false});
    awaitPoll();
    broken = false;
    EXPECT_TRUE(waiting.get());
}

TEST_F(ChangeWaitersTest, NobodyIsPolledWhileNobodyWaits) {
    set({ann, {6, 60}, false});
    EXPECT_TRUE(begin(ann, {5, 50}).get());
    await([&] { return waiters.waiting() == 0; });
    const int before = polls;
    std::this_thread::sleep_for(40ms);  // twenty polls, if there were any
    EXPECT_LE(polls, before + 1);
}

}  // namespace
}  // namespace chunkvault::server
