#include "worker/jobs/stores.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "worker/jobs/throttle.h"

namespace chunkvault::worker {
namespace {

using catalog::StoreRow;

LiveStore storeThat(int row, bool answers, bool stays) {
    return {static_cast<StoreRow>(row), nullptr, "", 1, answers && stays, answers, stays};
}

struct Case {
    const char* name;
    std::vector<int> good;
    bool lacks;
};

class LacksCopies : public testing::TestWithParam<Case> {};

// Stores 1 to 3 are well, 4 and 5 are suspect, 6 is being drained, 7 is not live.
TEST_P(LacksCopies, IsDecidedByWhereTheGoodOnesAre) {
    std::vector<LiveStore> stores;
    for (const int row : {1, 2, 3}) stores.push_back(storeThat(row, true, true));
    for (const int row : {4, 5}) stores.push_back(storeThat(row, false, true));
    stores.push_back(storeThat(6, true, false));
    std::vector<StoreRow> good;
    for (const int row : GetParam().good) good.push_back(static_cast<StoreRow>(row));
    EXPECT_EQ(lacksCopies(countCopies(good, stores), 3), GetParam().lacks);
}

INSTANTIATE_TEST_SUITE_P(Table, LacksCopies,
                         testing::Values(Case{"Whole", {1, 2, 3}, false}, Case{"Two", {1, 2}, true},
                                         Case{"None", {}, true}, Case{"OneSuspect", {1, 2, 4}, false},
                                         Case{"TwoSuspects", {1, 4, 5}, true},
                                         Case{"OneOnANodeThatIsDrained", {1, 2, 6}, true},
                                         Case{"WholeBesideTheDrainedOne", {1, 2, 3, 6}, false},
                                         Case{"OneOnAStoreThatIsNotLive", {1, 2, 7}, true}),
                         [](const auto& tested) { return tested.param.name; });

TEST(LacksCopies, IsContentWithOneWhereOneIsWanted) {
    const std::vector<LiveStore> stores{storeThat(1, true, true)};
    const std::vector<StoreRow> good{static_cast<StoreRow>(1)};
    EXPECT_FALSE(lacksCopies(countCopies(good, stores), 1));
}

struct HomesCase {
    const char* name;
    std::string_view zones;    // of stores 1, 2, ...: a letter each
    std::vector<int> without;  // those that take no new chunks
    std::vector<int> leaving;  // those of them that are being drained
    std::vector<int> good;
    std::vector<int> homes;  // the first three, which the case's copies should have, in any order
};

class HomesOf : public testing::TestWithParam<HomesCase> {};

TEST_P(HomesOf, AreTheStoresThatTakeItAndThoseThatHaveItAndStay) {
    const HomesCase& c = GetParam();
    const auto is = [](const std::vector<int>& rows, int row) { return std::ranges::find(rows, row) != rows.end(); };
    std::vector<LiveStore> stores;
    for (int row = 1; row <= static_cast<int>(c.zones.size()); ++row) {
        LiveStore store = storeThat(row, true, !is(c.leaving, row));
        store.zone = c.zones.substr(static_cast<std::size_t>(row) - 1, 1);
        store.acceptsNewChunks = !is(c.without, row);
        stores.push_back(store);
    }
    std::vector<StoreRow> good;
    for (const int row : c.good) good.push_back(static_cast<StoreRow>(row));
    for (int i = 0; i < 50; ++i) {
        std::vector<int> homes;
        for (const LiveStore* store : homesOf(ChunkId::of(std::to_string(i)), good, stores))
            if (homes.size() < 3) homes.push_back(static_cast<int>(catalog::valueOf(store->row)));
        EXPECT_THAT(homes, testing::UnorderedElementsAreArray(c.homes)) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Table, HomesOf,
                         testing::Values(HomesCase{"New", "abc", {}, {}, {}, {1, 2, 3}},
                                         HomesCase{"NewWithOneFull", "abcd", {2}, {}, {}, {1, 3, 4}},
                                         HomesCase{"OnAFullOneOfThree", "abc", {1}, {}, {1, 2, 3}, {1, 2, 3}},
                                         HomesCase{"NotOnTheFullOne", "abcd", {2}, {}, {1, 3, 4}, {1, 3, 4}},
                                         HomesCase{
                                             "OnAFullOneInAZoneOfItsOwn", "aabc", {1, 3}, {}, {2, 3, 4}, {2, 3, 4}},
                                         HomesCase{"OnAllOfWhichOneLeaves", "abcd", {1}, {1}, {1, 2, 3, 4}, {2, 3, 4}},
                                         HomesCase{"AllFull", "abcd", {1, 2, 3, 4}, {}, {1, 2, 4}, {1, 2, 4}}),
                         [](const auto& tested) { return tested.param.name; });

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Throttle, LetsASecondsWorthGoAtOnceAndTheRestAtItsRate) {
    Throttle throttle(1000);
    const Throttle::Time begin{seconds(100)};
    EXPECT_EQ(throttle.reserve(1000, begin), milliseconds(0));
    EXPECT_EQ(throttle.reserve(500, begin), milliseconds(500));
    EXPECT_EQ(throttle.reserve(500, begin), milliseconds(1000)) << "behind the one that waits";
    EXPECT_EQ(throttle.reserve(0, begin + seconds(1)), milliseconds(0));
    EXPECT_EQ(throttle.reserve(1000, begin + seconds(100)), milliseconds(0));
    EXPECT_EQ(throttle.reserve(1, begin + seconds(100)), milliseconds(1)) << "it saves up one second, not more";
}

TEST(Throttle, LetsEverythingGoWithoutALimit) {
    Throttle throttle(0);
    EXPECT_EQ(throttle.reserve(1'000'000'000, Throttle::Time{}), milliseconds(0));
    throttle.take(1'000'000'000);
}

TEST(Throttle, KeepsNobodyWaitingWhenItIsStopped) {
    Throttle throttle(1);
    throttle.stop();
    throttle.take(1'000'000);
}

}  // namespace
}  // namespace chunkvault::worker
