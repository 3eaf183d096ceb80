#include "common/http/patience.h"

#include <gtest/gtest.h>

namespace chunkvault::http {
namespace {

using namespace std::chrono_literals;

TEST(Allowance, IsSpentByWaitingAlone) {
    Allowance allowance(100ms);
    EXPECT_TRUE(allowance.waited(60ms));
    allowance.moved(1 << 20);
    EXPECT_EQ(allowance.left(), 40ms);
    EXPECT_FALSE(allowance.waited(40ms));
}

TEST(TransferPace, EndsWhenNothingMovesForAStallTimeout) {
    TransferPace pace(10s, 0);
    EXPECT_TRUE(pace.waited(9s));
    EXPECT_EQ(pace.left(), 1s);
    EXPECT_FALSE(pace.waited(1s));
}

TEST(TransferPace, CountsAStallFromTheLastByteThatMoved) {
    TransferPace pace(10s, 0);
    EXPECT_TRUE(pace.waited(9s));
    pace.moved(1);
    EXPECT_TRUE(pace.waited(9s));
    EXPECT_EQ(pace.left(), 1s);
    EXPECT_FALSE(pace.waited(1s));
}

TEST(TransferPace, EndsBelowTheMinimumRate) {
    TransferPace pace(10s, 100);
    for (int second = 0; second < 9; ++second) {
        ASSERT_TRUE(pace.waited(1s));
        pace.moved(99);
    }
    EXPECT_FALSE(pace.waited(1s));
}

TEST(TransferPace, GoesOnForEverAtTheMinimumRate) {
    TransferPace pace(10s, 100);
    for (int second = 0; second < 1000; ++second) {
        pace.moved(100);
        ASSERT_TRUE(pace.waited(1s)) << second;
    }
}

TEST(TransferPace, JudgesEachStretchOfWaitingByItself) {
    TransferPace pace(10s, 100);
    pace.moved(1 << 20);
    int seconds = 0;
    for (; pace.waited(1s); ++seconds) pace.moved(1);
    EXPECT_EQ(seconds, 19);
}

constexpr auto kibPer = [](std::chrono::milliseconds time) {
    return static_cast<std::size_t>(HurriedPace::minBytesPerS * static_cast<std::uint64_t>(time.count()) / 1000);
};

TEST(HurriedPace, EndsWhoIsTwoSecondsBehindWhileOthersWait) {
    TransferPace pace(30s, 0);
    HurriedPace hurried(pace, [] { return true; });
    EXPECT_TRUE(hurried.waited(1900ms));
    EXPECT_EQ(hurried.left(), 100ms);
    hurried.moved(10);
    EXPECT_FALSE(hurried.waited(101ms));
    EXPECT_EQ(hurried.left(), 0ms);
}

TEST(HurriedPace, LeavesASlowClientAloneAsLongAsNobodyWaits) {
    TransferPace pace(30s, 0);
    bool wanted = false;
    HurriedPace hurried(pace, [&] { return wanted; });
    for (int i = 0; i < 25; ++i) ASSERT_TRUE(hurried.waited(1s));
    EXPECT_EQ(hurried.left(), 250ms);
    wanted = true;
    EXPECT_EQ(hurried.left(), 0ms);
    EXPECT_FALSE(hurried.waited(1ms));
}

TEST(HurriedPace, GoesOnForEverAtItsPace) {
    TransferPace pace(30s, 0);
    HurriedPace hurried(pace, [] { return true; });
    for (int i = 0; i < 1000; ++i) {
        hurried.moved(kibPer(1s));
        ASSERT_TRUE(hurried.waited(1s));
    }
}

TEST(HurriedPace, LetsWhoWasSilentForLongCatchUp) {
    TransferPace pace(60s, 0);
    bool wanted = false;
    HurriedPace hurried(pace, [&] { return wanted; });
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(hurried.waited(1s));
    wanted = true;
    hurried.moved(kibPer(1s));
    EXPECT_TRUE(hurried.waited(900ms));
    hurried.moved(1 << 30);
    EXPECT_TRUE(hurried.waited(1900ms));
    EXPECT_FALSE(hurried.waited(200ms));
}

TEST(HurriedPace, EndsWithThePatienceThatItIsBuiltOn) {
    TransferPace pace(1s, 0);
    HurriedPace hurried(pace, [] { return false; });
    EXPECT_EQ(hurried.left(), 1s);
    EXPECT_FALSE(hurried.waited(1s));
}

}  // namespace
}  // namespace chunkvault::http
