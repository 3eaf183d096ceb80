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

}  // namespace
}  // namespace chunkvault::http
