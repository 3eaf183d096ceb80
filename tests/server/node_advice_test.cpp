#include "server/storage/node_advice.h"

#include <gtest/gtest.h>

namespace chunkvault::server {
namespace {

using catalog::Store;
using catalog::StoreRole;
using catalog::StoreState;
using enum Advice::Answer;

constexpr NodeRules rules{.replicationFactor = 3, .writeQuorum = 2};

Store storeIn(int number, StoreState state) {
    Store store{};
    store.row = static_cast<catalog::StoreRow>(number);
    store.nodeId = "node-" + std::to_string(number);
    store.state = state;
    store.freeBytes = 1000;
    store.drain = state == StoreState::draining;
    return store;
}

// The first is the one that is asked about.
std::vector<Store> nodesIn(const std::vector<StoreState>& states) {
    std::vector<Store> stores;
    for (const StoreState state : states) stores.push_back(storeIn(static_cast<int>(stores.size()) + 1, state));
    return stores;
}

constexpr auto up = StoreState::up, down = StoreState::down, suspect = StoreState::suspect,
               draining = StoreState::draining, removed = StoreState::removed;

struct Case {
    const char* name;
    std::vector<StoreState> states;
    StoreRole role;
    Advice::Answer mayStop, mayRemove, mayDrain;
    std::vector<std::size_t> full = {};  // of the states
};

class NodeAdvice : public testing::TestWithParam<Case> {};

TEST_P(NodeAdvice, AnswersWithAReason) {
    const Case& c = GetParam();
    auto nodes = nodesIn(c.states);
    for (const std::size_t full : c.full) nodes[full].freeBytes = 0;
    for (const auto& [ask, expected] :
         {std::pair(&mayStop, c.mayStop), {&mayRemove, c.mayRemove}, {&mayDrain, c.mayDrain}}) {
        const Advice advice = ask(nodes.front(), c.role, nodes, rules);
        EXPECT_EQ(advice.answer, expected) << advice.reason;
        EXPECT_EQ(advice.copiesToMake > 0, expected == later) << advice.reason;
        EXPECT_FALSE(advice.reason.empty());
    }
}

constexpr StoreRole empty{0, 0, 0, 0, 0}, whole{10, 100, 0, 0, 10}, spare{10, 100, 0, 0, 0}, only{10, 100, 2, 2, 10},
    silent{10, 100, 0, 3, 10}, big{10, 100'000, 0, 0, 10}, placeless{10, 100, 0, 0, 10, 4};

INSTANTIATE_TEST_SUITE_P(
    Table, NodeAdvice,
    testing::Values(Case{"OneOfThree", {up, up, up}, whole, yes, no, no},
                    Case{"OneOfFour", {up, up, up, up}, whole, yes, no, yes},
                    Case{"OneOfFourWithOneDown", {up, up, up, down}, whole, yes, no, no},
                    Case{"OneOfTwo", {up, up}, whole, no, no, no},
                    Case{"WithTheOnlyCopies", {up, up, up, up}, only, later, no, yes},
                    Case{"WithCopiesOnSilentNodesOnly", {up, suspect, up, up, up}, silent, later, no, yes},
                    Case{"Draining", {draining, up, up, up}, whole, yes, later, yes},
                    Case{"DrainedOfAllThatIsShort", {draining, up, up, up}, spare, yes, yes, yes},
                    Case{"Empty", {up, up, up}, empty, yes, yes, no},
                    Case{"DownAndBeingCopied", {down, up, up, up}, whole, yes, later, yes},
                    Case{"DownWithTheOnlyCopies", {down, up, up, up}, only, yes, no, yes},
                    Case{"DownAndCopied", {down, up, up, up}, spare, yes, yes, yes},
                    Case{"SuspectOthersDoNotCount", {up, suspect, suspect, up}, whole, no, no, no},
                    Case{"Removed", {removed, up, up, up}, empty, yes, yes, no},
                    Case{"TooBigForTheOthers", {up, up, up, up}, big, yes, no, no},
                    Case{"BesideOneFull", {up, up, up, up}, whole, yes, no, yes, {1}},
                    Case{"BesideTwoFull", {up, up, up, up}, whole, no, no, yes, {1, 2}},
                    Case{"BesideFullOnesOnly", {up, up, up, up}, whole, no, no, no, {1, 2, 3}},
                    Case{"FullItself", {up, up, up, up}, whole, yes, no, yes, {0}},
                    Case{"WithChunksThatHaveNoThirdPlace", {up, up, up, up}, placeless, no, no, no, {1, 2}},
                    Case{"DrainingThoughTheOthersBecameFull", {draining, up, up, up}, placeless, no, no, no, {1, 2}},
                    Case{"DownWhileTheOthersAreFull", {down, up, up, up}, placeless, yes, no, no, {1, 2}}),
    [](const auto& tested) { return tested.param.name; });

TEST(CountsKept, ForLongerWhereCountingTakesLong) {
    EXPECT_EQ(countsKeptUs(0), 0);
    EXPECT_EQ(countsKeptUs(9'999), 0);
    EXPECT_EQ(countsKeptUs(100'000), 10 * secondUs);
    EXPECT_EQ(countsKeptUs(1'000'000'000), minuteUs);
}

TEST(DrainedAt, GoesByThePaceSoFar) {
    Store node = storeIn(1, draining);
    node.drainStartedAt = 1000 * secondUs;
    node.drainReplicas = 100;
    node.replicas = 75;
    EXPECT_EQ(drainedAt(node, 1100 * secondUs), 1400 * secondUs);
    node.replicas = 0;
    EXPECT_EQ(drainedAt(node, 1100 * secondUs), 1100 * secondUs);
    node.replicas = 100;
    EXPECT_EQ(drainedAt(node, 1100 * secondUs), std::nullopt) << "nothing is done yet";
    node.drain = false;
    EXPECT_EQ(drainedAt(node, 1100 * secondUs), std::nullopt);
}

TEST(CopyPace, GoesByTheThrottleUntilAPaceIsSeen) {
    CopyPace pace(1000);
    constexpr Timestamp begin = 5000 * secondUs;
    EXPECT_EQ(pace.doneAt("remove n", 100, 60'000, begin), begin + 60 * secondUs);
    EXPECT_EQ(pace.doneAt("remove n", 75, 45'000, begin + 10 * secondUs), begin + 40 * secondUs);
    EXPECT_EQ(pace.doneAt("remove n", 50, 30'000, begin + 30 * secondUs), begin + 60 * secondUs);
    EXPECT_EQ(pace.doneAt("stop n", 10, 6'000, begin + 30 * secondUs), begin + 36 * secondUs) << "is another question";
    EXPECT_EQ(pace.doneAt("remove n", 80, 48'000, begin + 40 * secondUs), begin + 88 * secondUs)
        << "more than before: it begins anew";
    EXPECT_EQ(pace.doneAt("remove n", 80, 48'000, begin + 240 * secondUs), begin + 440 * secondUs)
        << "nothing was done for 200 s";
    EXPECT_EQ(pace.doneAt("remove n", 40, 24'000, begin + 2 * hourUs), begin + 2 * hourUs + 24 * secondUs)
        << "nobody asked for long";
}

TEST(CopyPace, HasAnEstimateWithoutAThrottleToo) {
    CopyPace pace(0);
    EXPECT_EQ(pace.doneAt("remove n", 100, 500'000'000, secondUs), 6 * secondUs);
}

}  // namespace
}  // namespace chunkvault::server
