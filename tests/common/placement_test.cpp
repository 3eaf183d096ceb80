#include "common/chunk/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chunkvault {
namespace {

constexpr int chunks = 20'000;

ChunkId idOf(int i) { return ChunkId::of(std::to_string(i)); }

std::vector<PlacementCandidate> stores(int count) {
    std::vector<PlacementCandidate> candidates;
    for (int i = 0; i < count; ++i) candidates.push_back({100 + i, "", 1.0});
    return candidates;
}

std::vector<std::int64_t> chosen(const ChunkId& id, const std::vector<PlacementCandidate>& candidates,
                                 std::size_t copies) {
    std::vector<std::int64_t> result;
    for (const std::size_t i : placementOrder(id, candidates)) result.push_back(candidates[i].store);
    result.resize(std::min(copies, result.size()));
    return result;
}

TEST(Placement, OrdersEveryCandidateOnceAndAlwaysTheSame) {
    const auto candidates = stores(7);
    auto shuffled = candidates;
    std::reverse(shuffled.begin(), shuffled.end());
    for (int i = 0; i < 100; ++i) {
        const auto order = chosen(idOf(i), candidates, 7);
        EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 7u);
        EXPECT_EQ(chosen(idOf(i), shuffled, 7), order);
    }
    EXPECT_TRUE(placementOrder(idOf(1), {}).empty());
}

TEST(Placement, GivesEveryStoreItsShare) {
    for (const int count : {3, 4, 10}) {
        const auto candidates = stores(count);
        std::map<std::int64_t, int> copies;
        for (int i = 0; i < chunks; ++i)
            for (const std::int64_t store : chosen(idOf(i), candidates, 3)) ++copies[store];
        const double share = 3.0 * chunks / count;
        for (const PlacementCandidate& candidate : candidates)
            EXPECT_NEAR(copies[candidate.store], share, 0.06 * share) << count << " stores";
    }
}

TEST(Placement, GivesTwiceTheWeightTwiceTheChunks) {
    auto candidates = stores(4);
    candidates[2].weight = 2.0;
    std::map<std::int64_t, int> first;
    for (int i = 0; i < chunks; ++i) ++first[chosen(idOf(i), candidates, 1)[0]];
    EXPECT_NEAR(first[102], 2.0 * chunks / 5, 0.03 * chunks);
    EXPECT_NEAR(first[100], 1.0 * chunks / 5, 0.03 * chunks);
}

TEST(Placement, MovesOnlyTheShareOfAStoreThatComesOrGoes) {
    const auto nine = stores(9), ten = stores(10);
    int moved = 0;
    for (int i = 0; i < chunks; ++i) {
        const auto before = chosen(idOf(i), nine, 3), after = chosen(idOf(i), ten, 3);
        for (const std::int64_t store : after) {
            if (std::find(before.begin(), before.end(), store) != before.end()) continue;
            EXPECT_EQ(store, 109) << "a copy moved between two old stores";
            ++moved;
        }
    }
    EXPECT_NEAR(moved, 3.0 * chunks / 10, 0.06 * chunks);
}

TEST(Placement, SpreadsCopiesOverZonesFirst) {
    std::vector<PlacementCandidate> candidates;
    for (int i = 0; i < 9; ++i) candidates.push_back({i, std::string(1, static_cast<char>('a' + i % 3)), 1.0});
    std::map<std::int64_t, int> copies;
    for (int i = 0; i < chunks; ++i) {
        const auto order = chosen(idOf(i), candidates, 9);
        for (std::size_t round = 0; round < 3; ++round)
            EXPECT_EQ((std::set<std::int64_t>{order[3 * round] % 3, order[3 * round + 1] % 3, order[3 * round + 2] % 3}
                           .size()),
                      3u);
        for (std::size_t copy = 0; copy < 3; ++copy) ++copies[order[copy]];
    }
    for (const auto& [store, count] : copies) EXPECT_NEAR(count, chunks / 3.0, 0.03 * chunks) << store;
}

TEST(Placement, UsesAZoneTwiceOnlyWhenThereAreTooFew) {
    const std::vector<PlacementCandidate> candidates{{1, "rack", 1}, {2, "rack", 1}, {3, "rack", 1}, {4, "other", 1}};
    for (int i = 0; i < 200; ++i) {
        const auto copies = chosen(idOf(i), candidates, 3);
        EXPECT_EQ(copies.size(), 3u);
        EXPECT_TRUE(copies[0] == 4 || copies[1] == 4);
    }
}

}  // namespace
}  // namespace chunkvault
