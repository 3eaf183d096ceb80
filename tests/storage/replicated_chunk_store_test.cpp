#include "server/storage/replicated_chunk_store.h"

#include <future>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/chunk_store_conformance.h"
#include "tests/storage/chunks.h"
#include "tests/storage/disk_store_under_test.h"
#include "tests/storage/fake_chunk_store.h"

namespace chunkvault::server {
namespace {

using catalog::StoreRow;
using std::chrono::milliseconds;
using test::chunkOf;
using test::codeOf;
using test::FakeChunkStore;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr StoreRow one{1}, two{2}, three{3}, four{4}, five{5};

class ReplicatedChunkStoreTest : public testing::Test {
  protected:
    ReplicatedChunkStoreTest() {
        // A test in which a store hangs sets the limit that it is about.
        limits_.writeDeadline = limits_.stragglerWait = limits_.readPatience = limits_.readDeadline =
            std::chrono::hours(1);
        start(3);
    }
    void TearDown() override {
        for (const auto& fake : fakes_) fake->hang(false);
    }
    void start(std::size_t stores) {
        replicated_.reset();
        faults_.clear();
        errors_.clear();
        fakes_.clear();
        for (std::size_t i = 0; i < stores; ++i) fakes_.push_back(std::make_shared<FakeChunkStore>());
        replicated_ = std::make_unique<ReplicatedChunkStore>(
            limits_, ReplicatedChunkStore::Events{[this](const ChunkId&, StoreRow store, ReplicaFault fault) {
                                                      const std::lock_guard lock(mutex_);
                                                      faults_.insert({store, fault});
                                                  },
                                                  [this](StoreRow store, const Error& error) {
                                                      const std::lock_guard lock(mutex_);
                                                      errors_.insert({store, error.code()});
                                                  }});
        replicated_->setReplicas(replicas());
    }
    [[nodiscard]] std::vector<Replica> replicas() const {
        std::vector<Replica> replicas;
        for (std::size_t i = 0; i < fakes_.size(); ++i)
            replicas.push_back({StoreRow(static_cast<std::int64_t>(i) + 1), fakes_[i], "", 1 << 30, true});
        return replicas;
    }
    [[nodiscard]] FakeChunkStore& fake(StoreRow store) { return *fakes_[static_cast<std::size_t>(store) - 1]; }
    [[nodiscard]] std::vector<StoreRow> holdersOf(const Chunk& chunk) {
        std::vector<StoreRow> holders;
        for (const Replica& replica : replicas())
            if (replica.chunks->has(chunk.id())) holders.push_back(replica.store);
        return holders;
    }
    std::string read(const Chunk& chunk, const std::vector<StoreRow>& holders) {
        return test::textOf(replicated_->get(chunk.id(), chunk.size(), holders, test::testBuffers()));
    }

    ReplicationLimits limits_;
    std::vector<std::shared_ptr<FakeChunkStore>> fakes_;
    std::mutex mutex_;  // of what follows
    std::set<std::pair<StoreRow, ReplicaFault>> faults_;
    std::set<std::pair<StoreRow, ErrorCode>> errors_;
    std::unique_ptr<ReplicatedChunkStore> replicated_;
};

TEST_F(ReplicatedChunkStoreTest, GivesTheStoresThatHaveTheChunk) {
    const Chunk chunk = chunkOf("everywhere");
    EXPECT_THAT(replicated_->put(chunk, 1), UnorderedElementsAre(one, two, three));
    EXPECT_THAT(holdersOf(chunk), ElementsAre(one, two, three));
}

TEST_F(ReplicatedChunkStoreTest, IsContentWithAQuorum) {
    fake(two).fail(ErrorCode::internal);
    EXPECT_THAT(replicated_->put(chunkOf("two copies"), 1), UnorderedElementsAre(one, three));
    EXPECT_THAT(errors_, ElementsAre(std::pair(two, ErrorCode::internal)));
}

TEST_F(ReplicatedChunkStoreTest, RefusesWhatHasNoQuorum) {
    struct Case {
        ErrorCode first, second, told;
    };
    for (const Case& c : {Case{ErrorCode::internal, ErrorCode::internal, ErrorCode::unavailable},
                          Case{ErrorCode::unavailable, ErrorCode::internal, ErrorCode::unavailable},
                          Case{ErrorCode::storageFull, ErrorCode::storageFull, ErrorCode::storageFull},
                          Case{ErrorCode::unavailable, ErrorCode::storageFull, ErrorCode::storageFull}}) {
        fake(one).fail(c.first);
        fake(three).fail(c.second);
        EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("one copy"), 1); }), c.told);
        EXPECT_EQ(codeOf([&] {
                      replicated_->putAll(std::vector<PutItem>{{chunkOf("a"), 1}, {chunkOf("b"), 1}});
                  }),
                  c.told);
    }
    replicated_->setReplicas({});
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("nowhere"), 1); }), ErrorCode::unavailable);
}

TEST_F(ReplicatedChunkStoreTest, TakesTheNextStoreWhereOneRefuses) {
    start(5);
    for (const StoreRow refusing : {one, two, three, four, five}) {
        fake(refusing).fail(ErrorCode::storageFull);
        const Chunk chunk = chunkOf("without " + std::to_string(catalog::valueOf(refusing)));
        const auto stores = replicated_->put(chunk, 1);
        EXPECT_THAT(stores, SizeIs(3));
        EXPECT_THAT(stores, testing::Not(testing::Contains(refusing)));
        fake(refusing).fail(std::nullopt);
    }
}

TEST_F(ReplicatedChunkStoreTest, PutsOnThePreferredStoresFirst) {
    start(5);
    for (int i = 0; i < 20; ++i) {
        const auto stores =
            replicated_->put(chunkOf("prefers " + std::to_string(i)), 1, std::vector<StoreRow>{five, two});
        EXPECT_THAT(stores, SizeIs(3));
        EXPECT_THAT(stores, IsSupersetOf({two, five}));
    }
}

TEST_F(ReplicatedChunkStoreTest, PutsNoNewChunksWhereTheyAreNotAccepted) {
    start(5);
    auto replicas = this->replicas();
    replicas[0].acceptsNewChunks = replicas[3].acceptsNewChunks = false;
    replicated_->setReplicas(replicas);
    EXPECT_THAT(replicated_->put(chunkOf("elsewhere"), 1), UnorderedElementsAre(two, three, five));
    EXPECT_THAT(replicated_->put(chunkOf("there already"), 1, std::vector<StoreRow>{one}), testing::Contains(one));
}

TEST_F(ReplicatedChunkStoreTest, SaysThatTheStorageIsFullOnlyWhenAStoreThatAnswersTakesNothing) {
    start(3);
    auto replicas = this->replicas();
    replicas[0].acceptsNewChunks = replicas[1].acceptsNewChunks = false;
    replicated_->setReplicas(replicas);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("full"), 1); }), ErrorCode::storageFull);
    replicas[0].answers = replicas[1].answers = false;
    replicated_->setReplicas(replicas);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("silent"), 1); }), ErrorCode::unavailable);
}

TEST_F(ReplicatedChunkStoreTest, DoesNotLetAHangingStoreHoldAnUploadOrItsMemory) {
    limits_.stragglerWait = milliseconds(50);
    limits_.bytesInFlightPerStore = 2048;
    start(3);
    ChunkBuffers buffers(64, 1024);
    const auto fresh = [&](int i) {
        ChunkBuffer buffer = buffers.acquire(1024);
        std::fill_n(buffer.data(), 1024, static_cast<char>(i));
        return Chunk::hash(std::move(buffer), 1024);
    };
    fake(two).hang(true);
    std::vector<std::future<std::vector<StoreRow>>> puts;
    for (int i = 0; i < 20; ++i)
        puts.push_back(std::async(std::launch::async, [&, i] { return replicated_->put(fresh(i), 1); }));
    for (auto& put : puts) EXPECT_THAT(put.get(), UnorderedElementsAre(one, three));
    while (buffers.bytesInUse() > 2048) std::this_thread::yield();

    // From now on it is passed over without waiting.
    const int before = fake(two).calls();
    for (int i = 20; i < 40; ++i) EXPECT_THAT(replicated_->put(fresh(i), 1), UnorderedElementsAre(one, three));
    EXPECT_EQ(fake(two).calls(), before);
    EXPECT_LE(fake(two).mostAtOnce(), 2);

    fake(two).hang(false);
    while (buffers.bytesInUse() > 0) std::this_thread::yield();
    while (replicated_->put(fresh(40), 1).size() < 3) std::this_thread::yield();
    replicated_.reset();  // it may hold a chunk for a moment longer
}

TEST_F(ReplicatedChunkStoreTest, TakesOtherStoresForThoseThatHangBeforeTheQuorum) {
    limits_.stragglerWait = milliseconds(50);
    start(5);
    const Chunk chunk = chunkOf("patient");
    const auto usual = replicated_->put(chunk, 1);
    ASSERT_THAT(usual, SizeIs(testing::Ge(2u)));
    fake(usual[0]).hang(true);
    fake(usual[1]).hang(true);
    const auto stores = replicated_->put(chunk, 1);
    EXPECT_THAT(stores, SizeIs(testing::Ge(2u)));
    EXPECT_THAT(stores, testing::Not(testing::Contains(usual[0])));
    EXPECT_THAT(stores, testing::Not(testing::Contains(usual[1])));
}

TEST_F(ReplicatedChunkStoreTest, GivesUpWhenTheQuorumHangsBeyondTheDeadline) {
    limits_.writeDeadline = limits_.stragglerWait = milliseconds(50);
    start(3);
    fake(one).hang(true);
    fake(two).hang(true);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("stuck"), 1); }), ErrorCode::unavailable);
    EXPECT_THAT(errors_, ElementsAre(std::pair(one, ErrorCode::unavailable), std::pair(two, ErrorCode::unavailable)));
    EXPECT_EQ(codeOf([&] {
                  replicated_->putAll(std::vector<PutItem>{{chunkOf("stuck too"), 1}});
              }),
              ErrorCode::unavailable);
}

TEST_F(ReplicatedChunkStoreTest, AsksAStoreThatHungAgainWhenThereIsNoOtherQuorum) {
    limits_.writeDeadline = limits_.stragglerWait = milliseconds(50);
    start(2);
    fake(one).hang(true);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("stuck"), 1); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunkOf("stuck too"), 1); }), ErrorCode::unavailable);
    EXPECT_GE(fake(one).calls(), 2);
    fake(one).hang(false);
    while (codeOf([&] { replicated_->put(chunkOf("free again"), 1); })) std::this_thread::yield();
}

TEST_F(ReplicatedChunkStoreTest, PassesOverAStoreThatCannotBeReached) {
    limits_.firstPause = limits_.longestPause = std::chrono::hours(1);
    start(3);
    const Chunk chunk = chunkOf("x");
    fake(two).set(chunk.id(), "x");
    fake(two).fail(ErrorCode::unavailable);
    EXPECT_THAT(replicated_->put(chunk, 1), UnorderedElementsAre(one, three));
    const std::vector<PutItem> batch{{chunkOf("a"), 1}, {chunkOf("b"), 1}};
    for (int i = 0; i < 5; ++i) {
        EXPECT_THAT(replicated_->put(chunk, 1, std::vector{two}), UnorderedElementsAre(one, three));
        for (const auto& stores : replicated_->putAll(batch)) EXPECT_THAT(stores, UnorderedElementsAre(one, three));
        EXPECT_EQ(read(chunk, {two, one}), "x");
    }
    EXPECT_EQ(fake(two).calls(), 1);

    // Better than no quorum, and then it is known to be well.
    fake(two).fail(std::nullopt);
    fake(three).fail(ErrorCode::internal);
    EXPECT_THAT(replicated_->put(chunk, 1), UnorderedElementsAre(one, two));
    fake(three).fail(std::nullopt);
    EXPECT_THAT(replicated_->put(chunk, 1), UnorderedElementsAre(one, two, three));
}

TEST_F(ReplicatedChunkStoreTest, AsksStoresThatCouldNotBeReachedWhenThereAreNoOthers) {
    limits_.firstPause = limits_.longestPause = std::chrono::hours(1);
    start(3);
    const Chunk chunk = chunkOf("x");
    for (const auto& fake : fakes_) fake->fail(ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { replicated_->put(chunk, 1); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { (void)read(chunk, {one, two}); }), ErrorCode::unavailable);
    for (const auto& fake : fakes_) fake->fail(std::nullopt);
    EXPECT_THAT(replicated_->put(chunk, 1), UnorderedElementsAre(one, two, three));
    EXPECT_EQ(read(chunk, {one, two}), "x");
}

TEST_F(ReplicatedChunkStoreTest, TriesAStoreThatCouldNotBeReachedAgain) {
    limits_.firstPause = limits_.longestPause = milliseconds(1);
    start(3);
    fake(two).fail(ErrorCode::unavailable);
    (void)replicated_->put(chunkOf("x"), 1);
    fake(two).fail(std::nullopt);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    std::size_t copies = 0;
    while (copies < 3 && std::chrono::steady_clock::now() < deadline) copies = replicated_->put(chunkOf("x"), 1).size();
    EXPECT_EQ(copies, 3u);
}

TEST(StorePause, GrowsWithEachTryInVainAndEndsWithTheFirstThatIsNot) {
    using std::chrono::seconds;
    StorePause pause(seconds(1), seconds(5));
    const StorePause::Time begin{};
    const auto lastsUntil = [&](seconds at) {
        return pause.lasts(begin + at - milliseconds(1)) && !pause.lasts(begin + at);
    };
    EXPECT_FALSE(pause.lasts(begin));
    pause.trying(begin);
    EXPECT_FALSE(pause.lasts(begin)) << "nothing is known against it";
    for (int i = 0; i < 8; ++i) pause.failed(begin);
    EXPECT_TRUE(lastsUntil(seconds(1))) << "that is one failure";
    pause.trying(begin + milliseconds(500));
    EXPECT_TRUE(lastsUntil(seconds(1))) << "for want of others";
    seconds at(1);
    for (const seconds next : {seconds(2), seconds(4), seconds(5), seconds(5)}) {
        pause.trying(begin + at);
        at += next;
        EXPECT_TRUE(lastsUntil(at)) << "one tries, the others pass it over";
    }
    pause.trying(begin + at);
    pause.failed(begin + at + seconds(3));
    EXPECT_TRUE(lastsUntil(at + seconds(8)));
    pause.reached();
    EXPECT_FALSE(pause.lasts(begin + at + seconds(3)));
    pause.failed(begin + at + seconds(20));
    EXPECT_TRUE(lastsUntil(at + seconds(21)));
}

TEST_F(ReplicatedChunkStoreTest, SaysForEachItemOfABatchWhereItIs) {
    limits_.itemsPerTask = 7;
    start(5);
    std::vector<PutItem> items;
    for (int i = 0; i < 200; ++i) items.push_back({chunkOf("batch " + std::to_string(i)), 1});
    items.push_back(items[3]);
    const auto stores = replicated_->putAll(items);
    ASSERT_EQ(stores.size(), items.size());
    std::map<StoreRow, int> copies;
    for (std::size_t i = 0; i < items.size(); ++i) {
        EXPECT_THAT(stores[i], testing::UnorderedElementsAreArray(holdersOf(items[i].chunk)));
        EXPECT_THAT(stores[i], SizeIs(3));
        for (const StoreRow store : stores[i]) ++copies[store];
    }
    EXPECT_THAT(copies, SizeIs(5));
    EXPECT_THAT(replicated_->putAll({}), IsEmpty());
}

TEST_F(ReplicatedChunkStoreTest, BringsTheItemsOfAFailedBatchToOtherStores) {
    start(4);
    std::vector<PutItem> items;
    for (int i = 0; i < 100; ++i) items.push_back({chunkOf("batch " + std::to_string(i)), 1});
    fake(one).fail(ErrorCode::internal);
    fake(two).fail(ErrorCode::storageFull);
    for (const auto& stores : replicated_->putAll(items)) EXPECT_THAT(stores, UnorderedElementsAre(three, four));
}

TEST_F(ReplicatedChunkStoreTest, DoesNotLetAHangingStoreHoldABatch) {
    limits_.stragglerWait = milliseconds(50);
    start(3);
    fake(three).hang(true);
    const auto stores = replicated_->putAll(std::vector<PutItem>{{chunkOf("a"), 1}, {chunkOf("b"), 1}});
    for (const auto& each : stores) EXPECT_THAT(each, UnorderedElementsAre(one, two));
    EXPECT_THAT(errors_, ElementsAre(std::pair(three, ErrorCode::unavailable)));
}

TEST_F(ReplicatedChunkStoreTest, NeverRunsMoreThreadsOnAStoreThanItsLimit) {
    limits_.threadsPerStore = 3;
    start(3);
    for (const auto& fake : fakes_) fake->hang(true);
    std::vector<std::thread> threads;
    for (int i = 0; i < 12; ++i) threads.emplace_back([&, i] { replicated_->put(chunkOf(std::to_string(i)), 1); });
    for (const auto& fake : fakes_) fake->awaitHanging(3);
    for (const auto& fake : fakes_) fake->hang(false);
    for (std::thread& thread : threads) thread.join();
    for (const auto& fake : fakes_) EXPECT_EQ(fake->mostAtOnce(), 3);
}

TEST_F(ReplicatedChunkStoreTest, ReadsPastBadCopiesAndReportsThem) {
    const Chunk chunk = chunkOf("wanted");
    fake(one).set(chunk.id(), "wrong!");
    fake(three).set(chunk.id(), "wanted");
    // Until every store has had its turn to be the first.
    for (int i = 0; i < 12; ++i) EXPECT_EQ(read(chunk, {one, two, three}), "wanted");
    EXPECT_THAT(faults_, ElementsAre(std::pair(one, ReplicaFault::corrupt), std::pair(two, ReplicaFault::missing)));
    fake(two).fail(ErrorCode::internal);
    fake(one).fail(ErrorCode::unavailable);
    faults_.clear();
    for (int i = 0; i < 12; ++i) EXPECT_EQ(read(chunk, {one, two, three}), "wanted");
    EXPECT_THAT(faults_, ElementsAre(std::pair(one, ReplicaFault::silent), std::pair(two, ReplicaFault::unreadable)));
}

TEST_F(ReplicatedChunkStoreTest, ReadsWhatWasCalledBadWhenNoOtherCopyIsLeft) {
    const Chunk chunk = chunkOf("wanted");
    const auto get = [&](const std::vector<StoreRow>& holders, const std::vector<StoreRow>& doubtful) {
        return test::textOf(replicated_->get(chunk.id(), chunk.size(), holders, test::testBuffers(), doubtful));
    };
    fake(one).set(chunk.id(), "wrong!");
    for (const StoreRow store : {two, three}) fake(store).set(chunk.id(), "wanted");
    EXPECT_EQ(get({}, {one, two}), "wanted");
    EXPECT_EQ(get({one}, {two}), "wanted");
    EXPECT_THAT(faults_, ElementsAre(std::pair(one, ReplicaFault::corrupt)));
    const int before = fake(two).calls();
    for (int i = 0; i < 12; ++i) EXPECT_EQ(get({three}, {one, two}), "wanted");
    EXPECT_EQ(fake(two).calls(), before);
    EXPECT_EQ(codeOf([&] { (void)get({}, {one}); }), ErrorCode::chunkCorrupt);
    EXPECT_EQ(codeOf([&] { (void)get({}, {one, StoreRow{77}}); }), ErrorCode::chunkCorrupt);
}

TEST_F(ReplicatedChunkStoreTest, SaysWhyNoCopyIsGood) {
    const Chunk chunk = chunkOf("wanted");
    const auto code = [&](const std::vector<StoreRow>& holders) { return codeOf([&] { (void)read(chunk, holders); }); };
    EXPECT_EQ(code({}), ErrorCode::chunkMissing);
    EXPECT_EQ(code({one, two}), ErrorCode::chunkMissing);
    fake(one).set(chunk.id(), "wrong!");
    EXPECT_EQ(code({one, two}), ErrorCode::chunkCorrupt);
    EXPECT_EQ(code({one, StoreRow{77}}), ErrorCode::unavailable) << "a store that is not live may have it";
    for (const ErrorCode passing : {ErrorCode::unavailable, ErrorCode::internal}) {
        fake(two).fail(passing);
        EXPECT_EQ(code({one, two}), ErrorCode::unavailable) << "it may be able to read it later";
    }
}

TEST_F(ReplicatedChunkStoreTest, ReadsFromAnotherStoreWhenOneIsSilent) {
    limits_.readPatience = milliseconds(100);
    start(3);
    const Chunk chunk = chunkOf("wanted");
    for (const StoreRow store : {one, two, three}) fake(store).set(chunk.id(), "wanted");
    fake(one).hang(true);
    for (int i = 0; i < 12; ++i) EXPECT_EQ(read(chunk, {one, two, three}), "wanted");
    EXPECT_THAT(faults_, testing::Contains(std::pair(one, ReplicaFault::silent)));
    EXPECT_EQ(fake(one).calls(), 1) << "it was asked again while it hung";
}

TEST_F(ReplicatedChunkStoreTest, TakesTheLateAnswerOfTheOnlyGoodCopy) {
    limits_.readPatience = milliseconds(50);
    start(3);
    const Chunk chunk = chunkOf("wanted");
    fake(one).set(chunk.id(), "wanted");
    fake(one).hang(true);
    auto reading = std::async(std::launch::async, [&] { return read(chunk, {one, two}); });
    while (fake(two).calls() == 0) std::this_thread::yield();
    fake(one).hang(false);
    EXPECT_EQ(reading.get(), "wanted");
}

TEST_F(ReplicatedChunkStoreTest, GivesUpReadingAtTheDeadline) {
    limits_.readPatience = milliseconds(50);
    limits_.readDeadline = milliseconds(200);
    start(3);
    const Chunk chunk = chunkOf("wanted");
    for (const StoreRow store : {one, two}) fake(store).hang(true);
    EXPECT_EQ(codeOf([&] { (void)read(chunk, {one, two}); }), ErrorCode::unavailable);
    EXPECT_THAT(faults_, ElementsAre(std::pair(one, ReplicaFault::silent), std::pair(two, ReplicaFault::silent)));
}

TEST_F(ReplicatedChunkStoreTest, SpreadsReadsOverTheStores) {
    const Chunk chunk = chunkOf("popular");
    for (const StoreRow store : {one, two, three}) fake(store).set(chunk.id(), "popular");
    for (int i = 0; i < 30; ++i) EXPECT_EQ(read(chunk, {one, two, three}), "popular");
    for (const StoreRow store : {one, two, three}) EXPECT_GE(fake(store).calls(), 5);
}

TEST_F(ReplicatedChunkStoreTest, DoesNotWaitForMemoryWhenItReadsAhead) {
    const Chunk chunk = chunkOf("wanted");
    for (const StoreRow store : {one, two, three}) fake(store).set(chunk.id(), store == three ? "wanted" : "wrong!");
    ChunkBuffers buffers(1, 6);
    EXPECT_EQ(test::textOf(
                  replicated_->get(chunk.id(), 6, std::vector<StoreRow>{one, two, three}, buffers, buffers.acquire(6))),
              "wanted")
        << "the buffer of a failed try serves the next one";
    ChunkBuffers none(1, 6);
    const ChunkBuffer taken = none.acquire(6);
    EXPECT_EQ(codeOf([&] {
                  (void)replicated_->get(chunk.id(), 6, std::vector<StoreRow>{one, two}, none,
                                         test::testBuffers().acquire(6));
              }),
              ErrorCode::unavailable);
}

TEST_F(ReplicatedChunkStoreTest, RemovesFromTheHoldersThatDoNotHaveItNewer) {
    const Chunk chunk = chunkOf("unwanted");
    replicated_->put(chunk, 1);
    fake(two).put(chunk, 5);
    fake(three).fail(ErrorCode::internal);
    EXPECT_THAT(replicated_->remove(chunk.id(), 2, std::vector<StoreRow>{one, two, three, StoreRow{77}}),
                ElementsAre(one));
    EXPECT_THAT(holdersOf(chunk), ElementsAre(two, three));
}

// The whole as a plain ChunkStore, over stores on real disks.
class ReplicatedUnderTest final : public test::StoreUnderTest, public ChunkStore {
  public:
    explicit ReplicatedUnderTest(std::size_t stores)
        : replicated_({.replicationFactor = stores, .writeQuorum = stores / 2 + 1}, {}) {
        std::vector<Replica> replicas;
        for (std::size_t i = 0; i < stores; ++i) {
            disks_.push_back(std::make_unique<test::DiskStoreUnderTest>());
            rows_.push_back(StoreRow(static_cast<std::int64_t>(i) + 1));
            replicas.push_back({rows_.back(),
                                std::shared_ptr<ChunkStore>(std::shared_ptr<void>(), &disks_.back()->store()), "", 1,
                                true});
        }
        replicated_.setReplicas(std::move(replicas));
    }
    ChunkStore& store() override { return *this; }
    void damage(const ChunkId& id) override {
        for (const auto& disk : disks_) disk->damage(id);
    }
    void shorten(const ChunkId& id) override {
        for (const auto& disk : disks_) disk->shorten(id);
    }

    void put(const Chunk& chunk, Generation generation) override {
        EXPECT_EQ(replicated_.put(chunk, generation).size(), rows_.size());
    }
    void putAll(std::span<const PutItem> items) override {
        for (const auto& stores : replicated_.putAll(items)) EXPECT_EQ(stores.size(), rows_.size());
    }
    Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override {
        return replicated_.get(id, size, rows_, test::testBuffers(), std::move(buffer));
    }
    bool has(const ChunkId& id) override {
        return std::any_of(disks_.begin(), disks_.end(), [&](const auto& disk) { return disk->store().has(id); });
    }
    bool remove(const ChunkId& id, Generation generation) override {
        return replicated_.remove(id, generation, rows_).size() == rows_.size();
    }

  private:
    std::vector<std::unique_ptr<test::DiskStoreUnderTest>> disks_;
    std::vector<StoreRow> rows_;
    ReplicatedChunkStore replicated_;
};

}  // namespace
}  // namespace chunkvault::server

namespace chunkvault::test {

INSTANTIATE_TEST_SUITE_P(
    Replicated, ChunkStoreConformance,
    testing::Values(StoreKind{"OneStore", [] { return std::make_unique<server::ReplicatedUnderTest>(1); }},
                    StoreKind{"ThreeStores", [] { return std::make_unique<server::ReplicatedUnderTest>(3); }}),
    kindName);

}  // namespace chunkvault::test
