#include "database/catalog/nodes.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "database/catalog/catalog.h"
#include "database/catalog/node_times_check.h"
#include "tests/catalog/vault_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Beside the folders a, b and c of the fixture there are nodes that report.
class NodesTest : public VaultTest {
  protected:
    [[nodiscard]] static NodeReport reportOf(const std::string& node) {
        return {.nodeId = node,
                .storeId = "store of " + node,
                .zone = "zone " + node,
                .url = "http://" + node + ":8001",
                .capacityBytes = 5000,
                .freeBytes = 4000,
                .mounted = false,
                .catalogSeq = 0,
                .problem = ""};
    }
    NodeVerdict beat(const std::string& node) { return nodes.report(reportOf(node)); }
    StoreRow join(const std::string& node) {
        const StoreRow row = beat(node).row;
        nodes.reached(row);
        return row;
    }
    // The node says that its disk cannot be used. What it reports with the next one.
    NodeReport replacedDiskOf(const std::string& node) {
        NodeReport report = reportOf(node);
        report.problem = "its disk failed";
        (void)nodes.report(report);
        report.problem.clear();
        report.storeId = "of the new disk";
        return report;
    }
    [[nodiscard]] StoreState stateOf(const std::string& node) { return nodes.find(node)->state; }
    // As if what was recorded had been recorded so much earlier.
    void elapse(std::int64_t us) {
        database().write([&](Session& session) {
            session.execute(
                "UPDATE stores SET last_seen_at = last_seen_at - $1, state_since = state_since - $1,"
                " drain_started_at = drain_started_at - $1",
                {us});
        });
    }
    [[nodiscard]] bool isNow(Timestamp at) { return std::abs(at - database().now()) < minuteUs; }
    // Lets time pass; the folders and the nodes named go on to report.
    void pass(std::int64_t us, const std::vector<std::string>& reporting = {}) {
        elapse(us);
        for (const char* folder : {"a", "b", "c"}) {
            NodeReport report = reportOf(folder);
            report.storeId = std::string("uuid-") + folder;
            report.url.clear();
            (void)nodes.report(report);
        }
        for (const std::string& node : reporting) (void)beat(node);
        (void)nodes.age(times);
    }
    [[nodiscard]] std::vector<ChunkRow> rows() {
        std::vector<ChunkRow> found;
        for (const ChunkAudit& audit : chunks.auditAfter(ChunkRow{0}, 100)) found.push_back(audit.row);
        return found;
    }

    Nodes nodes{database(), 3};
    // Long beside the time that a test takes.
    NodeTimes times{.suspectAfterUs = 10 * minuteUs, .downAfterUs = 600 * minuteUs};
};

TEST_P(NodesTest, ANodeIsUpWhenItWasReached) {
    const NodeVerdict first = beat("n");
    EXPECT_EQ(first.state, StoreState::joining);
    EXPECT_TRUE(first.mustBeReached);
    pass(minuteUs, {"n"});
    EXPECT_EQ(stateOf("n"), StoreState::joining);
    nodes.reached(first.row);
    const NodeVerdict second = beat("n");
    EXPECT_EQ(second.row, first.row);
    EXPECT_EQ(second.state, StoreState::up);
    EXPECT_FALSE(second.mustBeReached);
    const Store store = *nodes.find("n");
    EXPECT_EQ(store.uuid, "store of n");
    EXPECT_EQ(store.zone, "zone n");
    EXPECT_EQ(store.endpoint, "http://n:8001");
    EXPECT_EQ(store.capacityBytes, 5000);
    EXPECT_EQ(store.freeBytes, 4000);
    EXPECT_TRUE(isNow(store.lastSeenAt));
    EXPECT_TRUE(isNow(store.stateSince));
    EXPECT_FALSE(nodes.find("nobody"));
}

TEST_P(NodesTest, AFolderOfThisProcessIsUpAtOnceAndDownAtOnce) {
    NodeReport report = reportOf("n");
    report.url.clear();
    const NodeVerdict verdict = nodes.report(report);
    EXPECT_EQ(verdict.state, StoreState::up);
    EXPECT_FALSE(verdict.mustBeReached);
    report.problem = "its disk does not answer";
    EXPECT_EQ(nodes.report(report).state, StoreState::down);
    EXPECT_EQ(nodes.find("n")->problem, "its disk does not answer");
    report.problem.clear();
    EXPECT_EQ(nodes.report(report).state, StoreState::up);
    report.storeId = "of the new disk";
    EXPECT_EQ(nodes.report(report).state, StoreState::up);
}

TEST_P(NodesTest, SilenceMakesANodeSuspectAndThenDown) {
    const StoreRow row = join("n");
    pass(8 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::up);
    elapse(2 * minuteUs);
    const auto suspects = nodes.age(times);
    ASSERT_THAT(suspects, SizeIs(1));
    EXPECT_EQ(suspects[0].nodeId, "n");
    EXPECT_EQ(suspects[0].state, StoreState::suspect);
    EXPECT_TRUE(isNow(suspects[0].stateSince));
    EXPECT_THAT(nodes.age(times), IsEmpty());
    EXPECT_EQ(beat("n").state, StoreState::up) << "one that was not away for long need not be reached again";
    pass(11 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::suspect);
    pass(580 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::suspect);
    pass(10 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::down);
    const NodeVerdict back = beat("n");
    EXPECT_EQ(back.state, StoreState::down);
    EXPECT_TRUE(back.mustBeReached);
    pass(minuteUs, {"n"});
    EXPECT_EQ(stateOf("n"), StoreState::down);
    nodes.reached(row);
    EXPECT_EQ(stateOf("n"), StoreState::up);
}

TEST_P(NodesTest, ProgramsThatJudgeByOtherTimesAreToldOnce) {
    const NodeTimes usual{10 * secondUs, 600 * secondUs}, other{10 * secondUs, 60 * secondUs};
    NodeTimesCheck first(nodes, usual), second(nodes, usual), third(nodes, other);
    EXPECT_EQ(first.look(), "");
    EXPECT_EQ(second.look(), "");
    EXPECT_THAT(third.look(), AllOf(HasSubstr("by SUSPECT_AFTER 10000ms and DOWN_AFTER 60000ms"),
                                    HasSubstr("with SUSPECT_AFTER 10000ms and DOWN_AFTER 600000ms")));
    EXPECT_EQ(third.look(), "") << "its own are the last now";
    for (NodeTimesCheck* check : {&first, &second}) {
        EXPECT_THAT(check->look(), HasSubstr("with SUSPECT_AFTER 10000ms and DOWN_AFTER 60000ms"));
        EXPECT_EQ(check->look(), "") << "once";
    }
    NodeTimesCheck mended(nodes, usual);
    EXPECT_NE(mended.look(), "");
    EXPECT_EQ(first.look(), "");
}

TEST_P(NodesTest, SilenceIsMeasuredByTheDatabasesClock) {
    // A worker and an API server whose own clocks are wrong.
    Catalog ahead({.database = options(), .uploads = uploadLimits, .tree = treeLimits},
                  [] { return systemNow() + dayUs; }),
        behind({.database = options(), .uploads = uploadLimits, .tree = treeLimits},
               [] { return systemNow() - dayUs; });
    for (Catalog* catalog : {&ahead, &behind}) catalog->database.open();
    behind.nodes.reached(behind.nodes.report(reportOf("n")).row);
    EXPECT_THAT(ahead.nodes.age(times), IsEmpty());
    EXPECT_EQ(stateOf("n"), StoreState::up);
    EXPECT_LT(std::abs(nodes.find("n")->lastSeenAt - database().now()), hourUs);
    EXPECT_LT(std::abs(nodes.find("n")->stateSince - database().now()), hourUs);
}

TEST_P(NodesTest, AProblemMakesANodeSuspectAtOnceAndDownWhenItLasts) {
    const StoreRow row = join("n");
    NodeReport report = reportOf("n");
    report.problem = "its folder cannot be written";
    const NodeVerdict verdict = nodes.report(report);
    EXPECT_EQ(verdict.state, StoreState::suspect);
    EXPECT_FALSE(verdict.mustBeReached);
    nodes.reached(row);
    EXPECT_EQ(stateOf("n"), StoreState::suspect) << "it answers, and cannot be used";
    pass(5 * minuteUs);
    EXPECT_EQ(beat("n").state, StoreState::up);
    for (int hour = 0; hour < 10; ++hour) {
        EXPECT_EQ(nodes.report(report).state, StoreState::suspect) << hour;
        pass(hourUs);
    }
    EXPECT_EQ(stateOf("n"), StoreState::down);
    EXPECT_FALSE(nodes.report(report).mustBeReached);
    EXPECT_TRUE(beat("n").mustBeReached);
}

TEST_P(NodesTest, ANewUrlHasToBeReachedWhileTheCopiesStillCount) {
    const StoreRow row = join("n");
    NodeReport moved = reportOf("n");
    moved.url = "http://elsewhere:8001";
    EXPECT_EQ(nodes.report(moved).state, StoreState::suspect);
    EXPECT_TRUE(nodes.report(moved).mustBeReached);
    (void)nodes.age(times);
    EXPECT_EQ(stateOf("n"), StoreState::suspect);
    nodes.reached(row);
    EXPECT_EQ(nodes.report(moved).state, StoreState::up);
    EXPECT_TRUE(beat("n").mustBeReached);
    for (int hour = 0; hour <= 10; ++hour) pass(hourUs, {"n"});
    EXPECT_EQ(stateOf("n"), StoreState::down) << "nobody could reach it there";
}

TEST_P(NodesTest, TwoProcessesWithOneIdDoNotVoidEachOthersCopies) {
    stores.push_back(join("n"));
    (void)put(makeUser("alice"), "f", "x");
    NodeReport other = reportOf("n");
    other.storeId = "another store";
    other.url = "http://elsewhere:8001";
    for (int i = 0; i < 2; ++i) {
        try {
            (void)nodes.report(other, times);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::conflict);
            EXPECT_THAT(error.publicMessage(), HasSubstr("still reports with another store"));
        }
        EXPECT_EQ(errorOf([&] { nodes.requireMayFormat("n", other.url, false, times); }), ErrorCode::conflict);
        EXPECT_EQ(nodes.find("n")->uuid, "store of n");
        EXPECT_EQ(nodes.find("n")->endpoint, "http://n:8001");
        EXPECT_EQ(nodes.find("n")->replicas, 1);
        pass(580 * minuteUs);  // suspect, and it may come back
    }
    EXPECT_EQ(stateOf("n"), StoreState::down);
    nodes.requireMayFormat("n", other.url, false, times);
    EXPECT_EQ(nodes.report(other, times).state, StoreState::joining) << "it fell silent";
    EXPECT_EQ(errorOf([&] { (void)nodes.report(reportOf("n"), times); }), ErrorCode::conflict);
    EXPECT_EQ(nodes.find("n")->uuid, "another store");
    other.problem = "its folder cannot be read";
    (void)nodes.report(other, times);
    EXPECT_EQ(errorOf([&] { (void)nodes.report(reportOf("n"), times); }), ErrorCode::conflict) << "that may pass";
    nodes.requireMayFormat("n", other.url, false, times);
    other.problem = "it was stopped";
    other.stopping = true;
    (void)nodes.report(other, times);
    EXPECT_EQ(nodes.report(reportOf("n"), times).state, StoreState::joining) << "it said that it ends";
    EXPECT_EQ(errorOf([&] { (void)nodes.report(other, times); }), ErrorCode::conflict);
}

TEST_P(NodesTest, AReportThatWasSentBeforeChangesNothing) {
    NodeReport report = reportOf("n");
    report.number = 1'000'000;
    nodes.reached(nodes.report(report, times).row);
    NodeReport goodbye = report;
    goodbye.number = 2'000'000;
    goodbye.problem = "it was stopped";
    goodbye.stopping = true;
    EXPECT_EQ(nodes.report(goodbye, times).outdatedBy, std::nullopt);
    report.number = 3'000'000;
    EXPECT_EQ(nodes.report(report, times).state, StoreState::up);
    const auto seq = number("SELECT seq FROM vault");
    for (const std::int64_t sent : {1'000'000, 2'000'000, 2'999'999, 3'000'000}) {
        goodbye.number = sent;
        EXPECT_EQ(nodes.report(goodbye, times).outdatedBy, 3'000'000) << sent;
        EXPECT_EQ(stateOf("n"), StoreState::up);
        EXPECT_EQ(nodes.find("n")->problem, "");
    }
    EXPECT_EQ(number("SELECT seq FROM vault"), seq);

    // Also across a disk that was replaced.
    report.number = 3'000'001;
    report.problem = "its disk failed";
    EXPECT_EQ(nodes.report(report, times).outdatedBy, std::nullopt);
    const NodeReport old = report;
    report.number = 3'000'002;
    report.problem.clear();
    report.storeId = "of the new disk";
    nodes.reached(nodes.report(report, times).row);
    NodeReport again = report;
    again.number = 2;
    EXPECT_EQ(nodes.report(again, times).outdatedBy, 3'000'002);
    EXPECT_EQ(errorOf([&] { (void)nodes.report(old, times); }), ErrorCode::conflict);
    EXPECT_EQ(stateOf("n"), StoreState::up);
}

TEST_P(NodesTest, AnEmptyDiskVoidsItsCopiesAtOnce) {
    stores.push_back(join("n"));
    const User alice = makeUser("alice");
    for (int i = 0; i < 3; ++i) (void)put(alice, "f" + std::to_string(i), "text " + std::to_string(i));
    EXPECT_EQ(nodes.find("n")->replicas, 3);
    NodeReport report = reportOf("n");
    report.problem = "its disk failed";
    (void)nodes.report(report);
    EXPECT_EQ(nodes.find("n")->replicas, 3);
    report.problem.clear();
    report.storeId = "of the new disk";
    const NodeVerdict verdict = nodes.report(report);
    EXPECT_EQ(verdict.state, StoreState::joining);
    EXPECT_TRUE(verdict.mustBeReached);
    EXPECT_EQ(nodes.report(report).row, verdict.row);
    EXPECT_EQ(nodes.find("n")->row, verdict.row);
    EXPECT_EQ(nodes.find("n")->replicas, 0);
    EXPECT_THAT(chunks.stores(), SizeIs(4));
    EXPECT_THAT(chunks.audit(rows()[0])->good, UnorderedElementsAre(stores[0], stores[1], stores[2]));

    EXPECT_EQ(number("SELECT COUNT(*) FROM replicas"), 12) << "their rows are deleted bit by bit";
    EXPECT_EQ(nodes.forgetVoidCopies(2), 2);
    EXPECT_EQ(nodes.forgetVoidCopies(2), 1);
    EXPECT_EQ(nodes.forgetVoidCopies(2), 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM replicas"), 9);

    report.problem = "it was stopped";
    (void)nodes.report(report);
    EXPECT_EQ(beat("n").state, StoreState::joining) << "and the old disk is new when it comes back";
    EXPECT_EQ(nodes.find("n")->replicas, 0);
}

TEST_P(NodesTest, ACopyThatWasPutOnADiskCountsForThatDiskOnly) {
    stores.push_back(join("n"));
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "f", "x"));
    const PinnedChunk pinned = uploads.pin(upload.id, cut("x")[0]);
    const StoreRow now = nodes.report(replacedDiskOf("n")).row;
    nodes.reached(now);
    // The puts were answered before; they are recorded after.
    uploads.stored(upload.id, {0, pinned.row, pinned.generation, stores});
    EXPECT_THAT(chunks.audit(pinned.row)->good, UnorderedElementsAre(stores[0], stores[1], stores[2]));
    chunks.replicaGood(pinned.row, stores[3], pinned.generation);
    EXPECT_THAT(chunks.audit(pinned.row)->good, UnorderedElementsAre(stores[0], stores[1], stores[2]));
    EXPECT_EQ(nodes.forgetVoidCopies(10), 0);
    chunks.replicaGood(pinned.row, now, pinned.generation);
    EXPECT_EQ(nodes.find("n")->replicas, 1);
}

TEST_P(NodesTest, ANodeIsDrainedWhateverDiskItHas) {
    nodes.drain(join("n"));
    const auto began = nodes.find("n")->drainStartedAt;
    ASSERT_TRUE(began);
    nodes.reached(nodes.report(replacedDiskOf("n")).row);
    EXPECT_EQ(stateOf("n"), StoreState::draining);
    EXPECT_EQ(nodes.find("n")->drainStartedAt, began);
}

TEST_P(NodesTest, AnUnmountedDiskIsNotTakenForAnEmptyOne) {
    NodeReport report = reportOf("n");
    report.mounted = true;
    stores.push_back(nodes.report(report).row);
    nodes.reached(stores[3]);
    (void)put(makeUser("alice"), "f", "x");
    report.problem = "its folder has lost its vault.json";
    (void)nodes.report(report);
    nodes.requireMayFormat("n", "http://n:8001", true);
    nodes.requireMayFormat("new", "http://new:8001", false);
    EXPECT_EQ(errorOf([&] { nodes.requireMayFormat("n", "http://n:8001", false); }), ErrorCode::conflict);

    NodeReport pulledOut = report;
    pulledOut.mounted = false;
    pulledOut.problem = "the store folder has lost its vault.json";
    (void)nodes.report(pulledOut);
    EXPECT_EQ(errorOf([&] { nodes.requireMayFormat("n", "http://n:8001", false); }), ErrorCode::conflict)
        << "what a node says whose disk was taken away while it ran";

    NodeReport bare = reportOf("n");
    bare.storeId = "of the folder below";
    try {
        (void)nodes.report(bare);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::conflict);
        EXPECT_THAT(error.publicMessage(), HasSubstr("its disk is not mounted"));
    }
    EXPECT_EQ(nodes.find("n")->uuid, "store of n");
    EXPECT_EQ(nodes.find("n")->replicas, 1);

    bare.mounted = true;
    EXPECT_EQ(nodes.report(bare).state, StoreState::joining) << "another disk is mounted there";
    bare.mounted = false;
    EXPECT_EQ(nodes.report(bare).state, StoreState::joining) << "the same store is welcome wherever it lies";
}

TEST_P(NodesTest, AStoreBelongsToOneNode) {
    (void)join("n");
    NodeReport thief = reportOf("m");
    thief.storeId = "store of n";
    EXPECT_EQ(errorOf([&] { (void)nodes.report(thief); }), ErrorCode::conflict);
    EXPECT_FALSE(nodes.find("m"));
}

TEST_P(NodesTest, ADrainSaysHowFarItIsAndEnds) {
    stores.push_back(join("n"));
    const User alice = makeUser("alice");
    for (int i = 0; i < 3; ++i) (void)put(alice, "f" + std::to_string(i), "text " + std::to_string(i));
    nodes.drain(stores[3]);
    const Timestamp began = *nodes.find("n")->drainStartedAt;
    EXPECT_TRUE(isNow(began));
    elapse(minuteUs);
    nodes.drain(stores[3]);
    Store store = *nodes.find("n");
    EXPECT_EQ(store.state, StoreState::draining);
    EXPECT_TRUE(store.drain);
    EXPECT_EQ(store.drainStartedAt, began - minuteUs) << "it had begun already";
    EXPECT_EQ(store.drainReplicas, 3);
    EXPECT_EQ(beat("n").state, StoreState::draining);

    for (const ChunkRow row : rows()) {
        nodes.drained(stores[3]);
        EXPECT_EQ(stateOf("n"), StoreState::draining);
        forget(row, stores[3]);
    }
    nodes.drained(stores[3]);
    EXPECT_EQ(stateOf("n"), StoreState::drained);
    EXPECT_EQ(beat("n").state, StoreState::drained);
    pass(20 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::suspect);
    EXPECT_EQ(beat("n").state, StoreState::drained);

    const ChunkAudit audit = *chunks.audit(rows()[0]);
    chunks.replicaGood(audit.row, stores[3], audit.generation);  // of an upload that had begun before
    EXPECT_THAT(chunks.audit(audit.row)->good, SizeIs(3));
    pass(minuteUs, {"n"});
    EXPECT_EQ(stateOf("n"), StoreState::draining);

    nodes.keep(stores[3]);
    nodes.keep(stores[3]);
    store = *nodes.find("n");
    EXPECT_EQ(store.state, StoreState::up);
    EXPECT_FALSE(store.drain);
    EXPECT_EQ(store.drainStartedAt, std::nullopt);
}

TEST_P(NodesTest, ADrainOutlastsSilenceAndRestarts) {
    const StoreRow row = join("n");
    pass(20 * minuteUs);
    nodes.drain(row);
    EXPECT_EQ(stateOf("n"), StoreState::suspect);
    pass(600 * minuteUs);
    EXPECT_EQ(stateOf("n"), StoreState::down);
    nodes.drained(row);
    EXPECT_EQ(stateOf("n"), StoreState::down);
    EXPECT_TRUE(beat("n").mustBeReached);
    nodes.reached(row);
    EXPECT_EQ(stateOf("n"), StoreState::drained);
    nodes.drained(stores[0]);
    EXPECT_EQ(stateOf("a"), StoreState::up) << "nobody wants it empty";
}

TEST_P(NodesTest, ADrainOfAFolderOutlastsItsDisk) {
    NodeReport report = reportOf("a");
    report.storeId = "uuid-a";
    report.url.clear();
    nodes.drain(stores[0]);
    for (const StoreState state : {StoreState::draining, StoreState::drained}) {
        if (state == StoreState::drained) nodes.drained(stores[0]);
        chunks.setStoreState(stores[0], StoreState::down);
        EXPECT_EQ(stateOf("a"), StoreState::down);
        EXPECT_TRUE(nodes.find("a")->drain);
        EXPECT_EQ(nodes.report(report).state, state);
    }
    chunks.setStoreState(stores[0], StoreState::up);
    EXPECT_FALSE(nodes.find("a")->drain);
}

TEST_P(NodesTest, RemovingIsFinal) {
    stores.push_back(join("n"));
    (void)put(makeUser("alice"), "f", "x");
    nodes.remove(stores[3]);
    EXPECT_EQ(stateOf("n"), StoreState::removed);
    EXPECT_EQ(nodes.find("n")->replicas, 0);
    EXPECT_EQ(errorOf([&] { (void)beat("n"); }), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { nodes.requireMayFormat("n", "http://n:8001", false); }), ErrorCode::conflict);
    nodes.reached(stores[3]);
    (void)nodes.age(times);
    EXPECT_EQ(stateOf("n"), StoreState::removed);
    for (const StoreRow row : {stores[3], StoreRow{4711}}) {
        EXPECT_EQ(errorOf([&] { nodes.remove(row); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { nodes.drain(row); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { nodes.keep(row); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { nodes.drained(row); }), ErrorCode::notFound);
    }
}

TEST_P(NodesTest, SayWhatWouldBeMissingWithoutAStore) {
    const User alice = makeUser("alice");
    stores = {stores[0], stores[1]};
    (void)put(alice, "two copies", "12345");
    stores.push_back(join("n"));
    (void)put(alice, "three copies", "1234567");
    const StoreRole whole = nodes.role(stores[0]);
    EXPECT_EQ(whole.replicas, 2);
    EXPECT_EQ(whole.bytes, 12);
    EXPECT_EQ(whole.onlyCopies, 0);
    EXPECT_EQ(whole.shortCopies, 2) << "three are wanted, and there is no other place";
    nodes.drain(stores[1]);
    EXPECT_EQ(nodes.role(stores[0]).onlyCopies, 0) << "what drains can still be read";
    EXPECT_EQ(nodes.role(stores[0]).notReadable, 0);
    chunks.setStoreState(stores[1], StoreState::suspect);
    EXPECT_EQ(nodes.role(stores[0]).onlyCopies, 0) << "it may come back";
    EXPECT_EQ(nodes.role(stores[0]).notReadable, 1) << "but is silent now";
    chunks.setStoreState(stores[1], StoreState::down);
    EXPECT_EQ(nodes.role(stores[0]).onlyCopies, 1);
    for (const ChunkAudit& audit : chunks.auditAfter(ChunkRow{0}, 10))
        for (const char* more : {"o", "p", "q"}) chunks.replicaGood(audit.row, join(more), audit.generation);
    EXPECT_EQ(nodes.role(stores[0]).shortCopies, 0);
    EXPECT_EQ(nodes.role(stores[0]).onlyCopies, 0);
    EXPECT_EQ(nodes.role(join("empty")).replicas, 0);
}

TEST_P(NodesTest, CountTheChunksThatHaveNoOtherPlace) {
    const User alice = makeUser("alice");
    for (const char* node : {"n", "o", "p", "q"}) stores.push_back(join(node));
    const auto all = std::exchange(stores, {});
    const auto putOn = [&](const std::string& text, std::initializer_list<std::size_t> on) {
        for (const std::size_t node : on) stores.push_back(all[node]);
        (void)put(alice, text, text);
        stores.clear();
    };
    for (const std::size_t folder : {0u, 1u, 2u}) nodes.remove(all[folder]);
    constexpr std::size_t n = 3, o = 4, p = 5, q = 6;
    putOn("one", {n, o, p});
    putOn("two", {n, o, q});
    putOn("three", {n, q, p});
    const auto fill = [&](const char* node) {
        NodeReport report = reportOf(node);
        report.freeBytes = 0;
        (void)nodes.report(report);
    };
    EXPECT_EQ(nodes.role(all[n]).placeless, 0);
    fill("o");
    EXPECT_EQ(nodes.role(all[n]).placeless, 1) << "the third has no copy on the full one";
    fill("p");
    EXPECT_EQ(nodes.role(all[n]).placeless, 2) << "the first can go to the one with room";
    fill("q");
    EXPECT_EQ(nodes.role(all[n]).placeless, 3);
    const NodeReport room = reportOf("o");
    (void)nodes.report(room);
    nodes.drain(all[o]);
    EXPECT_EQ(nodes.role(all[n]).placeless, 3) << "what drains takes nothing";
}

TEST_P(NodesTest, NameTheFilesThatCanBeLost) {
    const User alice = makeUser("alice"), bob = makeUser("bob");
    const std::vector path = {FileName::parse("one"), FileName::parse("two")};
    const FileId folder = tree.makeFolders(alice.id, alice.root, path).id;
    std::vector<FileId> files;
    for (int i = 0; i < 4; ++i)
        files.push_back(put(i < 3 ? alice : bob, "f" + std::to_string(i), "text " + std::to_string(i)).entry.id);
    (void)tree.change(alice.id, files[1], {.folder = folder});
    EXPECT_THAT(nodes.filesAtRisk(FileId{0}, 10), IsEmpty());

    const std::vector<ChunkRow> all = rows();
    chunks.replicaBad(all[1], stores[0]);
    EXPECT_THAT(nodes.filesAtRisk(FileId{0}, 10), IsEmpty()) << "two are left";
    chunks.setStoreState(stores[1], StoreState::down);
    chunks.replicaBad(all[3], stores[0]);
    chunks.replicaBad(all[3], stores[2]);
    const auto found = nodes.filesAtRisk(FileId{0}, 10);
    ASSERT_THAT(found, SizeIs(2));
    EXPECT_EQ(found[0].file, files[1]);
    EXPECT_EQ(found[0].owner, alice.id);
    EXPECT_EQ(found[0].path, "/one/two/f1");
    EXPECT_EQ(found[0].copiesPresent, 1);
    EXPECT_EQ(found[1].file, files[3]);
    EXPECT_EQ(found[1].owner, bob.id);
    EXPECT_EQ(found[1].path, "/f3");
    EXPECT_EQ(found[1].copiesPresent, 0);
    EXPECT_THAT(nodes.filesAtRisk(FileId{0}, 1), SizeIs(1));
    EXPECT_THAT(nodes.filesAtRisk(files[1], 10), SizeIs(1));
    EXPECT_THAT(Nodes(database(), 1).filesAtRisk(FileId{0}, 10), SizeIs(1)) << "one copy is all it wants";
}

TEST_P(NodesTest, ADatabaseThatWasPutBackHoldsCollection) {
    EXPECT_FALSE(nodes.collectionHold());
    NodeReport n = reportOf("n"), m = reportOf("m");
    for (int i = 0; i < 5; ++i) {
        n.catalogSeq = nodes.report(n).catalogSeq;
        m.catalogSeq = nodes.report(m).catalogSeq;
    }
    EXPECT_LT(n.catalogSeq, m.catalogSeq);
    EXPECT_FALSE(nodes.collectionHold());

    const auto putBack = [&] {
        database().write([](Session& session) { session.execute("UPDATE vault SET seq = 2"); });
        n.catalogSeq = nodes.report(n).catalogSeq;
    };
    putBack();
    const auto hold = nodes.collectionHold();
    ASSERT_TRUE(hold);
    EXPECT_TRUE(isNow(hold->since));
    EXPECT_THAT(hold->reason, HasSubstr("\"n\""));
    EXPECT_GT(n.catalogSeq, m.catalogSeq);

    m.catalogSeq = nodes.report(m).catalogSeq;
    EXPECT_GT(m.catalogSeq, n.catalogSeq);
    EXPECT_EQ(nodes.collectionHold()->since, hold->since);
    nodes.allowCollection();
    EXPECT_FALSE(nodes.collectionHold());
    for (NodeReport* report : {&n, &m}) report->catalogSeq = nodes.report(*report).catalogSeq;
    EXPECT_FALSE(nodes.collectionHold());

    putBack();
    ASSERT_TRUE(nodes.collectionHold()) << "it happened again";
    EXPECT_GT(nodes.collectionHold()->since, hold->since);
}

TEST_P(NodesTest, ReportsOfManyNodesAtOnceAreAllKept) {
    constexpr int count = 8, beats = 10;
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            NodeReport report = reportOf("n" + std::to_string(i));
            for (int beat = 0; beat < beats; ++beat) {
                const NodeVerdict verdict = nodes.report(report);
                EXPECT_GT(verdict.catalogSeq, report.catalogSeq);
                report.catalogSeq = verdict.catalogSeq;
                nodes.reached(verdict.row);
            }
        });
    threads.clear();
    EXPECT_EQ(number("SELECT seq FROM vault"), count * beats);
    EXPECT_FALSE(nodes.collectionHold());
    EXPECT_EQ(number("SELECT COUNT(*) FROM stores WHERE state = 'up'"), count + 3);
}

TEST_P(NodesTest, ASweepRunsAtOnePlaceAtATime) {
    EXPECT_TRUE(nodes.beginSweep("scrub", "w1", hourUs, std::nullopt));
    EXPECT_FALSE(nodes.beginSweep("scrub", "w2", hourUs, std::nullopt));
    EXPECT_TRUE(nodes.beginSweep("expired", "w2", hourUs, std::nullopt)) << "another sweep";
    const auto runs = nodes.sweepRuns();
    ASSERT_THAT(runs, SizeIs(2));
    EXPECT_EQ(runs[0].name, "expired");
    EXPECT_EQ(runs[0].holder, "w2");
    EXPECT_EQ(runs[1].holder, "w1");
    EXPECT_EQ(runs[1].finishedAt, std::nullopt);

    nodes.endSweep({.name = "scrub", .error = "not its own", .holder = "w2"});
    EXPECT_EQ(nodes.sweepRuns()[1].holder, "w1");
    nodes.endSweep({.name = "scrub", .examined = 7, .changed = 3, .note = "n", .error = "e", .holder = "w1"});
    const SweepRun run = nodes.sweepRuns()[1];
    EXPECT_EQ(run.examined, 7);
    EXPECT_EQ(run.changed, 3);
    EXPECT_EQ(run.note, "n");
    EXPECT_EQ(run.error, "e");
    EXPECT_EQ(run.holder, "");
    ASSERT_TRUE(run.startedAt && run.finishedAt);
    EXPECT_LE(*run.startedAt, *run.finishedAt);
    EXPECT_LT(std::abs(*run.finishedAt - systemNow()), 60 * secondUs);
    EXPECT_TRUE(nodes.beginSweep("scrub", "w2", hourUs, std::nullopt));
}

TEST_P(NodesTest, ASweepThatIsNotDueIsNotBegun) {
    EXPECT_TRUE(nodes.beginSweep("scrub", "w1", hourUs, hourUs));
    nodes.endSweep({.name = "scrub", .holder = "w1"});
    EXPECT_FALSE(nodes.beginSweep("scrub", "w2", hourUs, hourUs));
    EXPECT_TRUE(nodes.beginSweep("scrub", "w2", hourUs, 0));
    nodes.endSweep({.name = "scrub", .holder = "w2"});
    EXPECT_TRUE(nodes.beginSweep("scrub", "w1", hourUs, std::nullopt)) << "somebody asked for it";
}

TEST_P(NodesTest, ASweepIsDueWhenTheDatabasesClockHasJumpedBack) {
    const auto jumpBack = [&] {
        database().write([](Session& session) {
            session.execute("UPDATE sweeps SET started_at = started_at + $1, lease_until = lease_until + $1", {dayUs});
        });
    };
    EXPECT_TRUE(nodes.beginSweep("scrub", "w1", hourUs, hourUs));
    nodes.endSweep({.name = "scrub", .holder = "w1"});
    jumpBack();
    EXPECT_TRUE(nodes.beginSweep("scrub", "dead", 0, hourUs));
    EXPECT_FALSE(nodes.beginSweep("scrub", "w1", hourUs, hourUs)) << "it began now";

    jumpBack();
    EXPECT_FALSE(nodes.beginSweep("scrub", "w1", 0, hourUs)) << "it may be running";
    EXPECT_TRUE(nodes.beginSweep("scrub", "w1", hourUs, hourUs)) << "a lease lasts no longer than a lease";
}

TEST_P(NodesTest, ALeaseOfTheDeadIsTakenOver) {
    EXPECT_TRUE(nodes.beginSweep("scrub", "dead", 0, std::nullopt));
    EXPECT_EQ(nodes.sweepRuns()[0].holder, "");
    nodes.renewSweep("scrub", "dead", hourUs);
    EXPECT_FALSE(nodes.beginSweep("scrub", "w", hourUs, std::nullopt));
    nodes.renewSweep("scrub", "dead", 0);
    EXPECT_TRUE(nodes.beginSweep("scrub", "w", hourUs, std::nullopt));
    nodes.renewSweep("scrub", "dead", hourUs);
    nodes.endSweep({.name = "scrub", .changed = 9, .holder = "dead"});
    EXPECT_EQ(nodes.sweepRuns()[0].holder, "w");
    EXPECT_EQ(nodes.sweepRuns()[0].changed, 0);
}

TEST_P(NodesTest, OfManyThatBeginASweepOneDoes) {
    std::atomic<int> begun = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back(
            [&, i] { begun += nodes.beginSweep("scrub", "w" + std::to_string(i), hourUs, std::nullopt) ? 1 : 0; });
    threads.clear();
    EXPECT_EQ(begun, 1);
}

CATALOG_SUITE(NodesTest);

}  // namespace
}  // namespace chunkvault::catalog
