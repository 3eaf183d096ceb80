#include "worker/sweeps/sweeps.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>
#include <utility>

#include <gmock/gmock.h>

#include "storagenode/store/disk_chunk_store.h"
#include "storagenode/store/posix_disk.h"
#include "tests/catalog/vault_fixture.h"
#include "worker/jobs/jobs.h"
#include "worker/jobs/verify_content.h"
#include "worker/sweeps/maintenance.h"
#include "worker/sweeps/sweep_schedule.h"

namespace chunkvault::worker {
namespace {

using catalog::ChunkRow;
using catalog::EngineKind;
using catalog::nameOfEngine;
using catalog::StoreRow;
using storagenode::DiskChunkStore;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Posted final : public JobQueue {
  public:
    void post(const Job& job) noexcept override { jobs.push_back(job); }
    std::size_t length() const override { return jobs.size(); }
    std::vector<DeadJob> dead(int) const override { return {}; }
    int retryDead(const std::optional<Job>&) override { return 0; }
    std::vector<Job> jobs;
};

// A store to whose calls something happens on the way.
class Altered final : public MaintainedStore {
  public:
    explicit Altered(std::shared_ptr<MaintainedStore> store) : store_(std::move(store)) {}

    // Called before the call reaches the store; what they throw is its answer.
    std::function<void()> onPut, onGet, onRemove, onPurge;
    std::function<void(std::uint8_t firstByte)> onList;
    std::function<void(const ChunkId&)> onCheck;
    std::size_t pageAtMost = maxKeptPage;

    void put(const Chunk& chunk, Generation generation) override {
        happen(onPut);
        store_->put(chunk, generation);
    }
    void putAll(std::span<const PutItem> items) override { store_->putAll(items); }
    Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override {
        happen(onGet);
        return store_->get(id, size, std::move(buffer));
    }
    bool has(const ChunkId& id) override { return store_->has(id); }
    bool remove(const ChunkId& id, Generation generation) override {
        happen(onRemove);
        return store_->remove(id, generation);
    }
    bool removeOrphan(const KeptChunk& listed) override {
        happen(onRemove);
        return store_->removeOrphan(listed);
    }
    CopyState check(const ChunkId& id, std::uint64_t size) override {
        if (onCheck) onCheck(id);
        return store_->check(id, size);
    }
    bool moveAside(const ChunkId& id) override { return store_->moveAside(id); }
    KeptPage list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                  std::size_t limit) override {
        if (onList) onList(firstByte);
        return store_->list(firstByte, minAgeUs, after, std::min(limit, pageAtMost));
    }
    PurgedTrash purgeTrash(std::int64_t minAgeUs, std::size_t limit) override {
        happen(onPurge);
        return store_->purgeTrash(minAgeUs, std::min(limit, pageAtMost));
    }

  private:
    static void happen(const std::function<void()>& what) {
        if (what) what();
    }
    const std::shared_ptr<MaintainedStore> store_;
};

// Three real stores on disk, and the catalog of what they hold.
class SweepsTest : public catalog::VaultTest {
  protected:
    SweepsTest() {
        catalogOf.database.open();
        for (const char* node : {"a", "b", "c"}) openStore(node);
    }
    void openStore(const std::string& node) {
        const std::filesystem::path folder = disks_.path() / node;
        (void)DiskChunkStore::format(*storagenode::makePosixDisk(folder), "vault", node);
        live.push_back(
            {stores[live.size()], DiskChunkStore::open(storagenode::openPosixDisk(folder), "vault"), node, 1000, true});
    }
    void addStore(const std::string& node) {
        stores.push_back(chunks.registerStore({node, "uuid-" + node, node, "", 1000, 900}));
        openStore(node);
    }
    // A file of one chunk whose copies are on these stores.
    void keepOn(const catalog::User& user, const std::string& text, std::initializer_list<std::size_t> on) {
        const auto all = std::exchange(stores, {});
        for (const std::size_t i : on) {
            stores.push_back(all[i]);
            live[i].store->put(chunkOf(text), 1);
        }
        (void)put(user, text, text);
        stores = all;
    }

    Chunk chunkOf(const std::string& text) {
        ChunkBuffer buffer = buffers.acquire(text.size());
        std::memcpy(buffer.data(), text.data(), text.size());
        return Chunk::hash(std::move(buffer), text.size());
    }
    // An upload whose bytes are on the stores.
    catalog::CommittedFile keep(const catalog::User& user, const std::string& name, const std::string& text) {
        for (const catalog::DeclaredChunk& declared : cut(text)) {
            const Chunk chunk = chunkOf(text.substr(static_cast<std::size_t>(declared.index * chunkSize),
                                                    static_cast<std::size_t>(declared.length)));
            for (const LiveStore& store : live) store.store->put(chunk, 1);
        }
        return put(user, name, text);
    }
    [[nodiscard]] ChunkRow rowOf(const std::string& text) { return chunks.find(ChunkId::of(text)).value(); }
    std::filesystem::path copyOf(const std::string& text, std::size_t store) {
        const std::string hex = ChunkId::of(text).toHex();
        return disks_.path() / live[store].zone / "chunks" / hex.substr(0, 2) / hex;
    }
    // As if it had been put two hours ago, by the disk's clock.
    void age(const std::string& text, std::size_t store) {
        std::filesystem::last_write_time(copyOf(text, store),
                                         std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
    }
    // As if all that is on the stores, also in their trash, had been there for ten days.
    void ageAll() {
        for (const auto& file : std::filesystem::recursive_directory_iterator(disks_.path()))
            if (file.is_regular_file())
                std::filesystem::last_write_time(
                    file.path(), std::filesystem::file_time_type::clock::now() - std::chrono::hours(240));
    }
    void flip(const std::string& text, std::size_t store) {
        std::fstream file(copyOf(text, store), std::ios::in | std::ios::out | std::ios::binary);
        file.put('#');
    }
    // Nobody can open the copy until it is shown again.
    void hide(const std::string& text, std::size_t store) {
        std::filesystem::rename(copyOf(text, store), hidden(store));
        std::filesystem::create_symlink(copyOf(text, store), copyOf(text, store));
    }
    void show(const std::string& text, std::size_t store) {
        ASSERT_TRUE(std::filesystem::is_symlink(copyOf(text, store))) << "it was left where it is";
        std::filesystem::rename(hidden(store), copyOf(text, store));
    }
    std::size_t filesInTrashes() {
        std::size_t files = 0;
        for (const LiveStore& store : live)
            for (const auto& file : std::filesystem::directory_iterator(disks_.path() / store.zone / "trash"))
                files += file.exists() || file.is_symlink();
        return files;
    }
    // Everything that looks at copies, with the jobs that come of it.
    void lookAtAll(const std::string& text) {
        time.advance(16 * dayUs);
        queue.post({JobKind::verifyChunk, catalog::valueOf(rowOf(text))});
        for (int round = 0; round < 2; ++round)
            for (const char* sweep : {"scrub", "under_replicated", "orphans", "surplus", "contents"}) {
                (void)sweeps.run(sweep);
                try {
                    (void)work();
                } catch (const Error&) {  // NOLINT(bugprone-empty-catch): a copy cannot be read
                }
            }
    }
    void discard(const catalog::User& user, catalog::FileId file) {
        tree.moveToTrash(user.id, file);
        tree.purge(user.id, file);
    }
    // Does what was posted. What became of the repairs.
    std::vector<RepairOutcome> work() {
        Throttle unlimited(0);
        const Stores lives = [&] { return live; };
        ChunkRepair repair(catalogOf.chunks, lives, buffers, 3, unlimited, unlimited,
                           [&](const WrongAnswer& answer) { wrongAnswers.push_back(answer.store); });
        Jobs others(catalogOf, lives, buffers, 3, unlimited, unlimited, {},
                    [&](const std::string&, const WrongAnswer& answer) { wrongAnswers.push_back(answer.store); });
        std::vector<RepairOutcome> outcomes;
        for (const Job& job : std::exchange(queue.jobs, {})) {
            if (job.kind == JobKind::repairChunk) outcomes.push_back(repair.repair(static_cast<ChunkRow>(job.id)));
            else others.run(job);
        }
        return outcomes;
    }
    // A pass of collection with the jobs that it posts.
    std::int64_t collect() {
        const auto before = number("SELECT COUNT(*) FROM chunks").value();
        (void)sweeps.unreferenced();
        (void)work();
        return before - number("SELECT COUNT(*) FROM chunks").value();
    }

    ChunkBuffers buffers{4, chunkSize};
    std::vector<LiveStore> live;
    Posted queue;
    std::vector<StoreRow> wrongAnswers;  // whose they were
    catalog::Catalog catalogOf{
        {.database = options(), .uploads = uploadLimits, .tree = treeLimits, .defaultQuota = quota}, clock()};
    SweepSettings settings{.unreferencedUs = hourUs};
    Sweeps sweeps{catalogOf, [&] { return live; }, queue, settings, clock()};

  private:
    [[nodiscard]] std::filesystem::path hidden(std::size_t store) {
        return disks_.path() / ("hidden in " + live[store].zone);
    }

    test::TempFolder disks_;
};

TEST_P(SweepsTest, FindNothingInAHealthyVault) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    time.advance(2 * hourUs);
    EXPECT_EQ(sweeps.underReplicated().changed, 0);
    EXPECT_EQ(sweeps.scrub().examined, 0);
    EXPECT_EQ(sweeps.unreferenced().changed, 0);
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_THAT(queue.jobs, IsEmpty());
}

TEST_P(SweepsTest, MakeALostCopyAgain) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    std::filesystem::remove(copyOf("hello", 1));
    chunks.replicaBad(rowOf("hello"), stores[1]);
    EXPECT_EQ(sweeps.underReplicated().changed, 1);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_TRUE(live[1].store->has(ChunkId::of(std::string_view("hello"))));
    EXPECT_EQ(chunks.totals().underReplicated, 0);
    EXPECT_EQ(sweeps.underReplicated().changed, 0);
}

TEST_P(SweepsTest, FindAFlippedByteByScrubbingAndReplaceIt) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    flip("hello", 2);
    time.advance(14 * dayUs);
    EXPECT_EQ(sweeps.scrub().examined, 0);
    time.advance(2 * dayUs);
    const SweepReport report = sweeps.scrub();
    EXPECT_EQ(report.examined, 3);
    EXPECT_EQ(report.changed, 1);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_EQ(live[2].store->check(ChunkId::of(std::string_view("hello")), 5), CopyState::good);
    EXPECT_EQ(sweeps.scrub().examined, 0) << "all were verified now";
}

TEST_P(SweepsTest, LeaveCopiesThatCannotBeReadWhereTheyAreAndCountThemAgainOnceTheyCan) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    for (const std::size_t store : {0u, 1u, 2u}) hide("hello", store);
    lookAtAll("hello");
    EXPECT_EQ(chunks.totals().missing, 1);
    EXPECT_NE(sweeps.underReplicated().note.find("1 chunks have no good copy"), std::string::npos);
    EXPECT_EQ(sweeps.shortage().missing, 1);
    EXPECT_EQ(sweeps.shortage().underReplicated, 1);
    EXPECT_EQ(filesInTrashes(), 0u);
    for (LiveStore& store : live) store.acceptsNewChunks = false;
    lookAtAll("hello");
    for (LiveStore& store : live) store.acceptsNewChunks = true;
    for (const std::size_t store : {0u, 1u, 2u}) show("hello", store);
    (void)sweeps.underReplicated();
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, SizeIs(3));
    EXPECT_EQ(filesInTrashes(), 0u);
    EXPECT_EQ(sweeps.underReplicated().note, "");
    EXPECT_EQ(sweeps.shortage().missing, 0);
}

TEST_P(SweepsTest, LeaveADamagedCopyInItsPlaceUntilAGoodOneWasRead) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    flip("hello", 1);
    for (const std::size_t store : {0u, 2u}) hide("hello", store);
    for (const bool room : {true, false}) {
        for (LiveStore& store : live) store.acceptsNewChunks = room;
        lookAtAll("hello");
        EXPECT_TRUE(std::filesystem::exists(copyOf("hello", 1)));
        EXPECT_THAT(chunks.audit(rowOf("hello"))->bad, SizeIs(3)) << "so that they are asked again";
    }
    for (LiveStore& store : live) store.acceptsNewChunks = true;
    for (const std::size_t store : {0u, 2u}) show("hello", store);
    (void)sweeps.underReplicated();
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    for (const LiveStore& store : live)
        EXPECT_EQ(store.store->check(ChunkId::of(std::string_view("hello")), 5), CopyState::good);
}

TEST_P(SweepsTest, TakeNoDamagedFileWithoutARowWhileItsChunkIsShortOfCopies) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    flip("hello", 1);
    for (const std::size_t store : {0u, 2u}) hide("hello", store);
    for (const StoreRow store : stores) forget(rowOf("hello"), store);
    age("hello", 1);
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_TRUE(std::filesystem::exists(copyOf("hello", 1)));
    for (const std::size_t store : {0u, 2u}) {
        show("hello", store);
        age("hello", store);
    }
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, SizeIs(2));
}

TEST_P(SweepsTest, RepairFromTheOnlyGoodCopyThoughItWasCalledBad) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    flip("hello", 0);
    flip("hello", 1);
    chunks.replicaBad(rowOf("hello"), stores[2]);
    (void)sweeps.underReplicated();
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    for (const LiveStore& store : live)
        EXPECT_EQ(store.store->check(ChunkId::of(std::string_view("hello")), 5), CopyState::good);
}

TEST_P(SweepsTest, RepairNothingWhereThereIsNoRoomButKeepWhatIsThere) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    live[1].acceptsNewChunks = false;
    std::filesystem::remove(copyOf("hello", 1));
    forget(rowOf("hello"), stores[1]);
    const SweepReport report = sweeps.underReplicated();
    EXPECT_EQ(report.changed, 0) << "it would change nothing";
    EXPECT_NE(report.note.find("no storage node is left"), std::string::npos) << report.note;
    EXPECT_THAT(queue.jobs, IsEmpty());

    const auto row = rowOf("hello");
    int reads = 0;
    for (LiveStore& store : live) {
        auto watched = std::make_shared<Altered>(store.store);
        watched->onGet = [&] { ++reads; };
        store.store = watched;
    }
    queue.post({JobKind::repairChunk, catalog::valueOf(row)});
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::noTarget));
    EXPECT_EQ(reads, 0);
    EXPECT_EQ(chunks.auditAfter(ChunkRow{0}, 1)[0].good.size(), 2u);

    live[1].acceptsNewChunks = true;
    EXPECT_EQ(sweeps.underReplicated().changed, 1);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
}

TEST_P(SweepsTest, ForgetABadCopyWhenNothingCanTakeItsPlaceInsteadOfAskingForItAgainAndAgain) {
    const auto alice = makeUser("alice");
    for (const char* text : {"lost", "flipped", "silent"}) {
        (void)keep(alice, text, text);
        chunks.replicaBad(rowOf(text), stores[1]);
    }
    std::filesystem::remove(copyOf("lost", 1));
    flip("flipped", 1);
    live[1].acceptsNewChunks = false;
    auto silent = std::make_shared<Altered>(live[1].store);
    silent->onCheck = [&](const ChunkId& id) {
        if (id == ChunkId::of(std::string_view("silent"))) throw Error(ErrorCode::unavailable, "refused");
    };
    live[1].store = silent;
    EXPECT_EQ(sweeps.underReplicated().changed, 3);
    EXPECT_THAT(work(), testing::Each(RepairOutcome::noTarget));
    EXPECT_FALSE(std::filesystem::exists(copyOf("flipped", 1))) << "it is in the store's trash";

    const SweepReport report = sweeps.underReplicated();
    EXPECT_EQ(report.changed, 1) << "the one that may be whole";
    EXPECT_NE(report.note.find("no storage node is left"), std::string::npos) << report.note;
    silent->onCheck = nullptr;
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    live[1].acceptsNewChunks = true;
    EXPECT_EQ(sweeps.underReplicated().changed, 2);
    EXPECT_THAT(work(), testing::Each(RepairOutcome::repaired));
}

TEST_P(SweepsTest, TakeAStoreThatIsFullAfterAllForOneWithoutRoom) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    chunks.replicaBad(rowOf("hello"), stores[1]);
    auto full = std::make_shared<Altered>(live[1].store);
    live[1].store = full;
    const auto repair = [&] {
        (void)sweeps.underReplicated();
        return work();
    };
    full->onPut = [] { throw Error(ErrorCode::storageFull, "refused"); };
    EXPECT_THAT(repair(), ElementsAre(RepairOutcome::noTarget)) << "trying again soon would not help";
    full->onPut = [] { throw Error(ErrorCode::unavailable, "refused"); };
    EXPECT_EQ(catalog::errorOf([&] { (void)repair(); }), ErrorCode::unavailable);
}

TEST_P(SweepsTest, ReadNoFasterThanTheyMayMakeCopies) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    chunks.replicaBad(rowOf("hello"), stores[1]);
    Throttle repairs(4), moves(0);
    repairs.stop();  // it counts, but nobody waits for it
    int reads = 0;
    for (LiveStore& store : live) {
        auto watched = std::make_shared<Altered>(store.store);
        watched->onGet = [&] {
            ++reads;
            EXPECT_GT(repairs.reserve(0, {}).count(), 0) << "the chunk's bytes were taken before it is read";
        };
        store.store = watched;
    }
    ChunkRepair repair(
        catalogOf.chunks, [&] { return live; }, buffers, 3, repairs, moves, [](const WrongAnswer&) {});
    EXPECT_EQ(repair.repair(chunks.auditAfter(ChunkRow{0}, 1)[0].row), RepairOutcome::repaired);
    EXPECT_EQ(reads, 1);
}

TEST_P(SweepsTest, CountACopyAgainThatWasCalledBadButIsWhole) {
    const auto alice = makeUser("alice");
    const auto content = *keep(alice, "f", "hello").entry.content;
    live[1].acceptsNewChunks = false;  // what lies there already needs no room
    chunks.replicaBad(rowOf("hello"), stores[1]);
    (void)sweeps.underReplicated();
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_EQ(chunks.safety(content).copiesPresent, 3);

    for (const StoreRow store : stores) chunks.replicaBad(rowOf("hello"), store);
    queue.post({JobKind::verifyChunk, catalog::valueOf(rowOf("hello"))});
    (void)work();
    EXPECT_EQ(chunks.safety(content).copiesPresent, 3) << "none was called good, and all were";
}

TEST_P(SweepsTest, PutACopyThatWasCalledBadBeforeItCountsAgain) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    for (const StoreRow store : stores) chunks.replicaBad(rowOf("hello"), store);
    // A removal that was decided at generation 2 may still be on its way.
    database().write([](catalog::Session& session) { session.execute("UPDATE chunks SET generation = 3"); });
    (void)sweeps.underReplicated();
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    for (const LiveStore& store : live) EXPECT_FALSE(store.store->remove(ChunkId::of(std::string_view("hello")), 2));
}

TEST_P(SweepsTest, ReadTheOtherCopiesWhenAStoreGivesAWrongAnswerAndThenNone) {
    const auto alice = makeUser("alice");
    const auto file = keep(alice, "f", "hello").entry;
    const auto silent = [] { throw Error(ErrorCode::unavailable, "It does not answer."); };
    for (const std::size_t wrong : {0u, 1u}) {
        const auto altered = std::make_shared<Altered>(live[wrong].store);
        altered->onGet = [] { throw Error(ErrorCode::chunkCorrupt, "its hash is another"); };
        altered->onCheck = [=](const ChunkId&) { silent(); };
        live[wrong].store = altered;
    }
    (void)sweeps.contents();
    const auto content = static_cast<catalog::ContentId>(std::exchange(queue.jobs, {}).at(0).id);
    verifyContent(
        catalogOf.chunks, [&] { return live; }, buffers, content);
    EXPECT_TRUE(tree.get(alice.id, file.id).sha256Verified);
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, SizeIs(3));
}

TEST_P(SweepsTest, CallNoCopyBadForWhatHappenedOnTheWay) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    std::filesystem::remove(copyOf("hello", 0));
    for (LiveStore& store : live) {
        const auto altered = std::make_shared<Altered>(store.store);
        altered->onGet = [] { throw Error(ErrorCode::chunkCorrupt, "its hash is another"); };
        store.store = altered;
    }
    (void)sweeps.contents();
    const auto content = static_cast<catalog::ContentId>(std::exchange(queue.jobs, {}).at(0).id);
    const auto lives = [&] { return live; };
    EXPECT_EQ(catalog::errorOf([&] { verifyContent(catalogOf.chunks, lives, buffers, content); }),
              ErrorCode::chunkCorrupt);
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, ElementsAre(stores[1], stores[2]));
    (void)sweeps.underReplicated();
    EXPECT_EQ(catalog::errorOf([&] { (void)work(); }), ErrorCode::chunkCorrupt);
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, ElementsAre(stores[1], stores[2]));
    EXPECT_THAT(wrongAnswers, ElementsAre(stores[1], stores[2])) << "but it is told";
}

TEST_P(SweepsTest, TellOfAStoreThatGivesSomethingElseThanItFindsGoodItself) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    const auto altered = std::make_shared<Altered>(live[1].store);
    live[1].store = altered;
    const auto verify = [&] {
        queue.post({JobKind::verifyChunk, catalog::valueOf(rowOf("hello"))});
        (void)work();
    };
    const auto faulty = [&] {
        std::vector<StoreRow> found;
        for (const catalog::Store& store : chunks.stores(false))
            if (catalog::isFaulty(store, systemNow())) found.push_back(store.row);
        return found;
    };
    verify();
    EXPECT_THAT(wrongAnswers, IsEmpty());

    int gets = 0;
    altered->onGet = [&] {
        if (++gets == 1) throw Error(ErrorCode::chunkCorrupt, "its hash is another");
    };
    verify();
    EXPECT_THAT(wrongAnswers, IsEmpty()) << "it gave the right bytes the second time";
    altered->onGet = [] { throw Error(ErrorCode::unavailable, "It does not answer."); };
    EXPECT_EQ(catalog::errorOf(verify), ErrorCode::unavailable);
    EXPECT_THAT(wrongAnswers, IsEmpty()) << "silence is no answer";
    EXPECT_THAT(faulty(), IsEmpty());

    for (const ErrorCode code : {ErrorCode::chunkCorrupt, ErrorCode::chunkMissing, ErrorCode::internal}) {
        altered->onGet = [=] { throw Error(code, "It has something else."); };
        wrongAnswers.clear();
        verify();
        EXPECT_THAT(wrongAnswers, ElementsAre(stores[1]));
    }
    EXPECT_THAT(faulty(), ElementsAre(stores[1]));
    EXPECT_THAT(chunks.audit(rowOf("hello"))->good, SizeIs(3)) << "its own word says that the copy is good";

    flip("hello", 1);
    wrongAnswers.clear();
    verify();
    EXPECT_THAT(wrongAnswers, IsEmpty()) << "a damaged copy is none";
}

TEST_P(SweepsTest, CollectWhatNothingRefersToAfterItsAge) {
    const auto alice = makeUser("alice");
    const auto file = keep(alice, "f", "hello").entry.id;
    (void)keep(alice, "g", "other");
    discard(alice, file);
    EXPECT_EQ(collect(), 0) << "too young";
    time.advance(2 * hourUs);
    EXPECT_EQ(collect(), 1);
    for (const LiveStore& store : live) {
        EXPECT_FALSE(store.store->has(ChunkId::of(std::string_view("hello"))));
        EXPECT_TRUE(store.store->has(ChunkId::of(std::string_view("other"))));
    }
    EXPECT_EQ(number("SELECT COUNT(*) FROM chunks"), 1);
}

TEST_P(SweepsTest, KeepTheRowOfARemovedChunkUntilEveryStoreHasAnswered) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    time.advance(2 * hourUs);
    chunks.setStoreState(stores[2], catalog::StoreState::down);
    const LiveStore absent = live.back();
    live.pop_back();
    EXPECT_EQ(collect(), 0);
    EXPECT_EQ(collect(), 0) << "however often the others are asked";
    live.push_back(absent);
    chunks.setStoreState(stores[2], catalog::StoreState::up);
    EXPECT_EQ(collect(), 1);
    EXPECT_FALSE(absent.store->has(ChunkId::of(std::string_view("hello"))));
}

TEST_P(SweepsTest, KeepTheRowOfARemovedChunkWhileAStoreThatWasAskedMayYetRemoveIt) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    addStore("d");  // it has no copy, but is asked as all are
    auto silent = std::make_shared<Altered>(live[3].store);
    silent->onRemove = [] { throw Error(ErrorCode::unavailable, "no answer in time"); };
    live[3].store = silent;
    time.advance(2 * hourUs);
    (void)sweeps.unreferenced();
    EXPECT_EQ(catalog::errorOf([&] { (void)work(); }), ErrorCode::unavailable);
    chunks.setStoreState(stores[3], catalog::StoreState::down);
    live.pop_back();
    EXPECT_EQ(collect(), 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM chunks"), 1);
}

TEST_P(SweepsTest, AskAStoreThatDoesNotAnswerForNoRemovalUntilItDoes) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    time.advance(2 * hourUs);
    auto silent = std::make_shared<Altered>(live[2].store);
    int removals = 0;
    silent->onRemove = [&] { ++removals; };
    live[2].store = silent;
    live[2].answers = false;
    EXPECT_EQ(collect(), 0) << "its row stays";
    EXPECT_EQ(removals, 0);
    EXPECT_FALSE(live[0].store->has(ChunkId::of(std::string_view("hello"))));
    live[2].answers = true;
    EXPECT_EQ(collect(), 1);
    EXPECT_EQ(removals, 1);
}

TEST_P(SweepsTest, CollectNothingWhenTooMuchWouldGoUntilAnAdministratorAllowsIt) {
    const auto alice = makeUser("alice");
    for (const char* text : {"1", "2", "3", "4"}) discard(alice, keep(alice, text, text).entry.id);
    time.advance(2 * hourUs);
    SweepSettings strict = settings;
    strict.collectAlways = 2;
    Sweeps careful(
        catalogOf, [&] { return live; }, queue, strict, clock());
    EXPECT_NE(careful.unreferenced().note.find("nothing was removed"), std::string::npos);
    EXPECT_NE(careful.unreferenced().note.find("held"), std::string::npos);
    EXPECT_THAT(queue.jobs, IsEmpty());
    EXPECT_EQ(number("SELECT COUNT(*) FROM chunks"), 4);
    catalogOf.nodes.allowCollection();
    EXPECT_EQ(careful.unreferenced().changed, 4);
    (void)work();
    EXPECT_EQ(number("SELECT COUNT(*) FROM chunks"), 0);
}

TEST_P(SweepsTest, CollectInAsManyPassesAsItTakesWhatWasCountedBefore) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    (void)keep(alice, "g", "other");
    time.advance(2 * hourUs);
    SweepSettings bounded = settings;
    bounded.examineAtMost = 1;
    Sweeps patient(
        catalogOf, [&] { return live; }, queue, bounded, clock());
    const SweepReport counting = patient.unreferenced();
    EXPECT_EQ(counting.changed, 0);
    EXPECT_EQ(counting.examined, 2);
    EXPECT_TRUE(counting.more);
    const SweepReport collecting = patient.unreferenced();
    EXPECT_EQ(collecting.changed, 1);
    EXPECT_TRUE(collecting.more);
    EXPECT_FALSE(patient.unreferenced().more) << "the end";

    EXPECT_EQ(patient.unreferenced().changed, 0) << "it is counted anew";
    time.advance(2 * hourUs);
    EXPECT_EQ(patient.unreferenced().changed, 0) << "so is what was counted long ago";
    EXPECT_EQ(patient.unreferenced().changed, 1);
}

TEST_P(SweepsTest, CollectNothingWhileItIsHeld) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    live[0].store->put(chunkOf("orphan"), 1);
    time.set(systemNow() + 10 * dayUs);
    (void)sweeps.unreferenced();
    catalogOf.nodes.holdCollection("the database was put back");
    (void)work();  // also not what was posted before
    for (const char* sweep : {"unreferenced", "orphans", "surplus", "rebalance", "store_trash"}) {
        const auto report = sweeps.run(sweep);
        EXPECT_EQ(report->changed, 0) << sweep;
        EXPECT_NE(report->note.find("put back"), std::string::npos) << sweep;
    }
    EXPECT_TRUE(live[0].store->has(ChunkId::of(std::string_view("orphan"))));
    EXPECT_TRUE(live[0].store->has(ChunkId::of(std::string_view("hello"))));
}

TEST_P(SweepsTest, DeleteNothingByAgeWhileTheClockIsWrong) {
    const auto alice = makeUser("alice");
    discard(alice, keep(alice, "f", "hello").entry.id);
    tree.moveToTrash(alice.id, keep(alice, "thrown away", "thrown away").entry.id);
    live[0].store->put(chunkOf("orphan"), 1);
    ageAll();
    time.set(systemNow() + 100 * dayUs);
    std::string fault = "This worker's clock is 8640000 s ahead of the database's.";
    Sweeps ahead(
        catalogOf, [&] { return live; }, queue, settings, clock(), {}, [&] { return fault; });
    for (const char* sweep : {"unreferenced", "orphans", "uploads", "shares", "trash", "sessions", "store_trash"}) {
        const auto report = ahead.run(sweep);
        EXPECT_EQ(report->changed, 0) << sweep;
        EXPECT_THAT(report->note, testing::HasSubstr("clock is 8640000 s ahead")) << sweep;
    }
    EXPECT_THAT(queue.jobs, IsEmpty());
    EXPECT_EQ(ahead.run("scrub")->note, "") << "what only looks goes on";
    EXPECT_TRUE(live[0].store->has(ChunkId::of(std::string_view("orphan"))));
    fault.clear();
    EXPECT_GT(ahead.trash().changed, 0);
    EXPECT_GT(ahead.unreferenced().changed, 0);
    EXPECT_GT(ahead.orphans().changed, 0);
}

TEST_P(SweepsTest, TakeBackACopyThatWasForgottenWhereOneIsMissing) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    const auto row = chunks.auditAfter(ChunkRow{0}, 1)[0].row;
    forget(row, stores[1]);
    age("hello", 1);
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_THAT(chunks.auditAfter(ChunkRow{0}, 1)[0].good, SizeIs(3));
    EXPECT_TRUE(live[1].store->has(ChunkId::of(std::string_view("hello"))));
}

TEST_P(SweepsTest, LookForOrphansInAsManyPassesAsItTakes) {
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) texts.push_back("orphan " + std::to_string(i));
    for (const std::string& text : texts)
        for (const LiveStore& store : live) store.store->put(chunkOf(text), 1);
    ageAll();
    SweepSettings brief = settings;
    brief.passAtMost = std::chrono::milliseconds(0);
    Sweeps patient(
        catalogOf, [&] { return live; }, queue, brief, clock());
    SweepReport report;
    std::int64_t changed = 0;
    int passes = 0;
    do {
        report = patient.orphans();
        EXPECT_LT(report.changed, 60) << "a pass has its limit";
        changed += report.changed;
        ++passes;
    } while (report.more && passes < 1000);
    EXPECT_EQ(passes, 256) << "one for each first byte";
    EXPECT_EQ(changed, 120);
    EXPECT_TRUE(patient.orphans().more) << "it begins anew";
}

TEST_P(SweepsTest, CollectNoMoreOrphansInManyPassesThanInOne) {
    for (int i = 0; i < 40; ++i) live[0].store->put(chunkOf("orphan " + std::to_string(i)), 1);
    ageAll();
    SweepSettings strict = settings;
    strict.passAtMost = std::chrono::milliseconds(0);
    strict.collectAlways = 10;
    Sweeps careful(
        catalogOf, [&] { return live; }, queue, strict, clock());
    std::int64_t changed = 0;
    SweepReport report;
    for (int pass = 0; pass < 256 && report.note.empty(); ++pass) {
        report = careful.orphans();
        changed += report.changed;
    }
    EXPECT_NE(report.note.find("nothing was removed"), std::string::npos) << report.note;
    EXPECT_LE(changed, 10);
    catalogOf.nodes.allowCollection();
    for (int pass = 0; pass < 256; ++pass) changed += careful.orphans().changed;
    EXPECT_EQ(changed, 40) << "it goes on where it stopped";
}

TEST_P(SweepsTest, CountAForgottenCopyOfAnEarlierLifeOnlyAfterItWasPutAnew) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    const ChunkRow row = rowOf("hello");
    // It was removed and uploaded again meanwhile; the removal at generation 2 may still be on its way to the store.
    for (const std::size_t other : {0u, 2u}) live[other].store->put(chunkOf("hello"), 3);
    forget(row, stores[1]);
    database().write([](catalog::Session& session) { session.execute("UPDATE chunks SET generation = 3"); });
    ageAll();
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_THAT(chunks.audit(row)->good, SizeIs(2));
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_THAT(chunks.audit(row)->good, SizeIs(3));
    EXPECT_FALSE(live[1].store->remove(ChunkId::of(std::string_view("hello")), 2));

    // Also when it is the only copy that there is.
    for (const std::size_t lost : {0u, 1u}) {
        forget(row, stores[lost]);
        ASSERT_TRUE(live[lost].store->remove(ChunkId::of(std::string_view("hello")), 3));
    }
    forget(row, stores[2]);
    database().write([](catalog::Session& session) { session.execute("UPDATE chunks SET generation = 5"); });
    ageAll();
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_THAT(chunks.audit(row)->good, SizeIs(3));
}

// A fourth store, as a cluster has it.
class FourStoresTest : public SweepsTest {
  protected:
    FourStoresTest() { addStore("d"); }
    [[nodiscard]] std::vector<std::size_t> holders(const std::string& text) {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < live.size(); ++i)
            if (live[i].store->has(ChunkId::of(text))) found.push_back(i);
        return found;
    }
    [[nodiscard]] std::map<std::string, std::vector<std::size_t>> onDisks(const std::vector<std::string>& texts) {
        std::map<std::string, std::vector<std::size_t>> found;
        for (const std::string& text : texts) found[text] = holders(text);
        return found;
    }
    // Where placement wants it.
    [[nodiscard]] std::vector<std::size_t> placed(const std::string& text) {
        std::vector<std::size_t> places;
        auto order = placementOf(ChunkId::of(text), live);
        order.resize(std::min<std::size_t>(order.size(), 3));
        for (const LiveStore* store : order) places.push_back(static_cast<std::size_t>(store - live.data()));
        std::sort(places.begin(), places.end());
        return places;
    }
};

// A copy that somebody has put and is about to record, as a repair, a move and an upload do, and takes very long over
// it.
TEST_P(FourStoresTest, NeverTakeAFileWhoseRowComesToStay) {
    const auto alice = makeUser("alice");
    keepOn(alice, "hello", {0, 1, 2});
    const ChunkRow row = rowOf("hello");
    auto fourth = std::make_shared<Altered>(live[3].store);
    live[3].store = fourth;
    const auto hasRow = [&] {
        const auto good = chunks.audit(row)->good;
        return std::ranges::find(good, stores[3]) != good.end();
    };
    const auto hasFile = [&] { return fourth->has(ChunkId::of(std::string_view("hello"))); };
    const auto putThere = [&] {
        const auto generation = chunks.audit(row)->generation;
        fourth->put(chunkOf("hello"), generation);
        ageAll();
        return generation;
    };

    // Recorded when the sweep has taken it, or is about to.
    for (const bool taken : {true, false}) {
        const auto generation = putThere();
        fourth->onRemove = [&] {
            if (!taken) chunks.replicaGood(row, stores[3], generation);
        };
        EXPECT_EQ(sweeps.orphans().changed, 1);
        if (taken) chunks.replicaGood(row, stores[3], generation);
        EXPECT_FALSE(hasFile());
        EXPECT_FALSE(hasRow());
    }

    // Recorded between the sweep's look and its removals.
    fourth->onRemove = [] { ADD_FAILURE() << "it is known now"; };
    const auto generation = putThere();
    auto first = std::make_shared<Altered>(live[0].store);
    live[0].store = first;
    first->onList = [&](std::uint8_t byte) {
        if (byte == 255) chunks.replicaGood(row, stores[3], generation);
    };
    EXPECT_EQ(sweeps.orphans().changed, 0);
    EXPECT_TRUE(hasFile());
    EXPECT_TRUE(hasRow());
}

TEST_P(FourStoresTest, GiveANewStoreItsShareAndKeepThreeCopies) {
    const auto alice = makeUser("alice");
    std::vector<std::string> texts;
    for (int i = 0; i < 20; ++i) {
        texts.push_back("text " + std::to_string(i));
        keepOn(alice, texts.back(), {0, 1, 2});
    }
    const SweepReport report = sweeps.rebalance();
    EXPECT_GT(report.changed, 5);
    EXPECT_LT(report.changed, 20);
    (void)work();
    for (const std::string& text : texts) EXPECT_EQ(holders(text), placed(text)) << text;
    EXPECT_EQ(sweeps.rebalance().changed, 0);
    EXPECT_EQ(sweeps.surplus().changed, 0);
    EXPECT_EQ(sweeps.underReplicated().changed, 0);
}

TEST_P(FourStoresTest, MoveNothingWhileAStoreIsSilent) {
    const auto alice = makeUser("alice");
    keepOn(alice, "hello", {0, 1, 2});
    chunks.setStoreState(stores[1], catalog::StoreState::suspect);
    const SweepReport report = sweeps.rebalance();
    EXPECT_EQ(report.changed, 0);
    EXPECT_FALSE(report.note.empty());
}

TEST_P(FourStoresTest, LeaveTheCopiesOfAStoreThatIsFullWhereTheyAre) {
    const auto alice = makeUser("alice");
    std::vector<std::string> texts;
    for (int i = 0; i < 8; ++i) {
        texts.push_back("text " + std::to_string(i));
        keepOn(alice, texts.back(), {0, 1, 2});
    }
    for (std::size_t full = 0; full < live.size(); ++full) {
        for (LiveStore& store : live) store.acceptsNewChunks = true;
        (void)sweeps.rebalance();
        (void)work();
        live[full].acceptsNewChunks = false;
        EXPECT_EQ(sweeps.rebalance().changed, 0) << full;
        for (const std::string& text : texts) queue.post({JobKind::rebalanceChunk, catalog::valueOf(rowOf(text))});
        const auto before = onDisks(texts);
        (void)work();
        EXPECT_EQ(onDisks(texts), before) << full;
    }
}

TEST_P(FourStoresTest, MoveFromAStoreThatIsFullOnlyWhatPlacementWantsElsewhereAnyway) {
    const auto alice = makeUser("alice");
    std::vector<std::string> texts;
    for (int i = 0; i < 10; ++i) {
        texts.push_back("text " + std::to_string(i));
        keepOn(alice, texts.back(), {0, 1, 2});
    }
    live[0].acceptsNewChunks = false;
    const auto wanted = [&](const std::string& text) {
        live[0].acceptsNewChunks = true;
        auto places = placed(text);
        live[0].acceptsNewChunks = false;
        return places;
    };
    (void)sweeps.rebalance();
    (void)work();
    for (const std::string& text : texts) EXPECT_EQ(holders(text), wanted(text)) << text;
}

TEST_P(FourStoresTest, TakeTheCopyThatPlacementWantsLeastAlsoWhenAStoreIsFull) {
    const auto alice = makeUser("alice");
    std::vector<std::string> texts;
    std::map<std::string, std::vector<std::size_t>> wanted;
    for (int i = 0; i < 8; ++i) {
        texts.push_back("text " + std::to_string(i));
        keepOn(alice, texts.back(), {0, 1, 2, 3});
        wanted[texts.back()] = placed(texts.back());
    }
    live[0].acceptsNewChunks = live[1].acceptsNewChunks = false;
    EXPECT_EQ(sweeps.surplus().changed, 8);
    (void)work();
    EXPECT_EQ(onDisks(texts), wanted);
}

TEST_P(FourStoresTest, MoveNothingToAStoreThatIsFullAfterAll) {
    const auto alice = makeUser("alice");
    std::string text;
    for (int i = 0; text.empty(); ++i)
        if (const auto places = placed("text " + std::to_string(i)); places.back() == 3)
            text = "text " + std::to_string(i);
    keepOn(alice, text, {0, 1, 2});
    const auto full = std::make_shared<Altered>(live[3].store);
    full->onPut = [] { throw Error(ErrorCode::storageFull, "This disk is full."); };
    live[3].store = full;
    EXPECT_EQ(sweeps.rebalance().changed, 1);
    EXPECT_NO_THROW((void)work());
    EXPECT_THAT(holders(text), ElementsAre(0, 1, 2));
}

TEST_P(FourStoresTest, MoveNothingFromAStoreThatFellSilentSince) {
    const auto alice = makeUser("alice");
    keepOn(alice, "hello", {0, 1, 2, 3});
    const auto places = placed("hello");
    (void)sweeps.surplus();
    (void)work();
    live[places[0]].answers = live[places[0]].acceptsNewChunks = false;
    queue.post({JobKind::rebalanceChunk, catalog::valueOf(rowOf("hello"))});
    (void)work();
    EXPECT_EQ(holders("hello"), places);
}

TEST_P(FourStoresTest, DrainAStoreByCopyingBeforeDeleting) {
    const auto alice = makeUser("alice");
    for (const char* text : {"one", "two", "three"}) keepOn(alice, text, {0, 1, 2});
    catalogOf.nodes.drain(stores[0]);
    live[0].acceptsNewChunks = false;
    live[0].stays = false;
    EXPECT_EQ(sweeps.drain().changed, 3);
    EXPECT_THAT(work(), testing::Each(RepairOutcome::repaired));
    for (const char* text : {"one", "two", "three"}) EXPECT_THAT(holders(text), ElementsAre(0, 1, 2, 3)) << text;
    EXPECT_EQ(sweeps.drain().changed, 3);
    (void)work();
    for (const char* text : {"one", "two", "three"}) EXPECT_THAT(holders(text), ElementsAre(1, 2, 3)) << text;
    EXPECT_EQ(sweeps.drain().changed, 0);
    EXPECT_EQ(catalogOf.nodes.find("a")->state, catalog::StoreState::drained);
}

TEST_P(FourStoresTest, DrainAStoreOfItsBadCopiesByRepairs) {
    const auto alice = makeUser("alice");
    keepOn(alice, "bad here", {0, 1, 2});
    live[3].store->put(chunkOf("bad here"), 1);
    chunks.replicaGood(rowOf("bad here"), stores[3], 1);
    chunks.replicaBad(rowOf("bad here"), stores[0]);
    flip("bad here", 0);
    catalogOf.nodes.drain(stores[0]);
    live[0].acceptsNewChunks = live[0].stays = false;
    EXPECT_EQ(sweeps.drain().changed, 1);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_EQ(sweeps.drain().changed, 0);
    EXPECT_EQ(catalogOf.nodes.find("a")->state, catalog::StoreState::drained);
}

TEST_P(FourStoresTest, DrainInBoundedPassesAndPostNothingWhereNobodyTakesTheCopies) {
    const auto alice = makeUser("alice");
    for (const char* text : {"one", "two", "three"}) keepOn(alice, text, {0, 1, 2});
    catalogOf.nodes.drain(stores[0]);
    live[0].acceptsNewChunks = live[0].stays = false;
    live[3].acceptsNewChunks = false;
    const SweepReport full = sweeps.drain();
    EXPECT_EQ(full.examined, 3);
    EXPECT_EQ(full.changed, 0);
    EXPECT_NE(full.note.find("no storage node is left"), std::string::npos) << full.note;
    EXPECT_TRUE(full.more);
    EXPECT_EQ(catalogOf.nodes.find("a")->state, catalog::StoreState::draining);
    live[3].acceptsNewChunks = true;
    EXPECT_EQ(sweeps.drain().changed, 3);
}

TEST_P(FourStoresTest, SetADamagedCopyAsideAlsoWhenItIsOneTooMany) {
    const auto alice = makeUser("alice");
    keepOn(alice, "four", {0, 1, 2, 3});
    flip("four", 1);
    time.advance(16 * dayUs);
    EXPECT_EQ(sweeps.scrub().changed, 1);
    EXPECT_THAT(work(), ElementsAre(RepairOutcome::repaired));
    EXPECT_FALSE(std::filesystem::exists(copyOf("four", 1)));
    EXPECT_THAT(holders("four"), ElementsAre(0, 2, 3));
}

TEST_P(FourStoresTest, TakeAwayACopyTooManyOnlyWhenTheOthersAreGood) {
    const auto alice = makeUser("alice");
    keepOn(alice, "hello", {0, 1, 2, 3});
    const auto stay = placed("hello");
    flip("hello", stay[1]);
    EXPECT_EQ(sweeps.surplus().changed, 1);
    (void)work();
    EXPECT_THAT(holders("hello"), SizeIs(4)) << "none was taken";
    EXPECT_THAT(chunks.auditAfter(ChunkRow{0}, 1)[0].good, SizeIs(3));
    (void)sweeps.underReplicated();
    (void)work();
    EXPECT_THAT(holders("hello"), SizeIs(3)) << "the bad one was set aside";
    (void)sweeps.surplus();
    (void)work();
    EXPECT_THAT(holders("hello"), SizeIs(3));
}

TEST_P(FourStoresTest, RepairAtOnceWhenOneCopyAnswers) {
    const auto alice = makeUser("alice");
    keepOn(alice, "hello", {0, 1, 2});
    for (const std::size_t silent : {1u, 2u}) {
        chunks.setStoreState(stores[silent], catalog::StoreState::suspect);
        live[silent].answers = live[silent].acceptsNewChunks = false;
        EXPECT_EQ(sweeps.underReplicated().changed, silent == 1 ? 0 : 1);
    }
    (void)work();
    EXPECT_THAT(holders("hello"), ElementsAre(0, 1, 2, 3));
}

CATALOG_SUITE(FourStoresTest);

TEST_P(SweepsTest, TakeAwayFilesThatTheCatalogDoesNotKnow) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    live[0].store->put(chunkOf("orphan"), 1);
    for (const std::int64_t ahead : {-dayUs, dayUs}) {
        time.set(systemNow() + ahead);  // the worker's clock has no say in it
        EXPECT_EQ(sweeps.orphans().changed, 0) << "its upload may just have begun";
    }
    for (const char* text : {"orphan", "hello"}) age(text, 0);
    auto paged = std::make_shared<Altered>(live[0].store);
    paged->pageAtMost = 1;
    live[0].store = paged;
    EXPECT_EQ(sweeps.orphans().changed, 1);
    EXPECT_FALSE(live[0].store->has(ChunkId::of(std::string_view("orphan"))));
    EXPECT_TRUE(live[0].store->has(ChunkId::of(std::string_view("hello"))));
}

TEST_P(SweepsTest, GoOnBehindAnOrphanThatCannotBeRead) {
    for (const char* text : {"one", "two"}) {
        live[0].store->put(chunkOf(text), 1);
        age(text, 0);
    }
    auto altered = std::make_shared<Altered>(live[0].store);
    int calls = 0;
    altered->onRemove = [&] {
        if (++calls == 1) throw Error(ErrorCode::internal, "It cannot be read.");
    };
    live[0].store = altered;
    const SweepReport report = sweeps.orphans();
    EXPECT_EQ(report.changed, 1);
    EXPECT_EQ(report.note, "It cannot be read.");
}

TEST_P(SweepsTest, EmptyTheTrashOfAllStoresInTurnsAndInAsManyPassesAsItTakes) {
    std::vector<std::size_t> purged;
    for (std::size_t i = 0; i < live.size(); ++i) {
        const std::size_t files = i == 0 ? 7 : 3;
        for (std::size_t file = 0; file < files; ++file) {
            const Chunk chunk = chunkOf("removed " + std::to_string(file));
            live[i].store->put(chunk, 1);
            ASSERT_TRUE(live[i].store->remove(chunk.id(), 1));
        }
        const auto altered = std::make_shared<Altered>(live[i].store);
        altered->pageAtMost = 2;
        altered->onPurge = [&purged, i] { purged.push_back(i); };
        live[i].store = altered;
    }
    ageAll();
    SweepSettings brief = settings;
    brief.passAtMost = std::chrono::milliseconds(0);
    Sweeps inPasses{catalogOf, [&] { return live; }, queue, brief, clock()};
    SweepReport report = inPasses.storeTrash();
    EXPECT_EQ(report.changed, 6);
    EXPECT_TRUE(report.more);
    EXPECT_THAT(purged, ElementsAre(0, 1, 2));
    purged.clear();
    report = sweeps.storeTrash();
    EXPECT_EQ(report.changed, 7);
    EXPECT_FALSE(report.more);
    EXPECT_THAT(purged, ElementsAre(0, 1, 2, 0, 0));
}

TEST_P(SweepsTest, StopCollectingWhenAHoldComesAmidAPass) {
    const auto alice = makeUser("alice");
    (void)keep(alice, "f", "hello");
    for (LiveStore& store : live) {
        for (const char* text : {"orphan 1", "orphan 2", "orphan 3", "removed"}) store.store->put(chunkOf(text), 1);
        ASSERT_TRUE(store.store->remove(ChunkId::of(std::string_view("removed")), 1));
        const auto altered = std::make_shared<Altered>(store.store);
        altered->onRemove = altered->onPurge = [&] { catalogOf.nodes.holdCollection("the database was put back"); };
        store.store = altered;
    }
    // One orphan, and what is in the trash of one store by then.
    for (const auto& [sweep, changed] : {std::pair("orphans", 1), std::pair("store_trash", 2)}) {
        ageAll();
        const auto report = sweeps.run(sweep);
        EXPECT_EQ(report->changed, changed) << sweep;
        EXPECT_NE(report->note.find("put back"), std::string::npos) << sweep;
        catalogOf.nodes.allowCollection();
    }
}

TEST_P(SweepsTest, EmptyWhatHasExpired) {
    const auto alice = makeUser("alice"), bob = makeUser("bob");
    tree.moveToTrash(alice.id, keep(alice, "f", "hello").entry.id);
    (void)keep(bob, "f", "bobs");
    accounts.beginDelete(bob.id);
    (void)uploads.create(alice.id, newUpload(alice, "slow", "slow", "x"));
    const auto sweepAll = [&] {
        for (const char* sweep : {"uploads", "trash", "sessions", "shares", "versions"}) (void)sweeps.run(sweep);
    };
    sweepAll();
    EXPECT_FALSE(accounts.find(bob.id));
    EXPECT_EQ(tree.trash(alice.id, 10, std::nullopt).items.size(), 1u);
    EXPECT_EQ(uploads.list(alice.id, 10).size(), 1u);
    time.advance(31 * dayUs);
    sweepAll();
    EXPECT_THAT(tree.trash(alice.id, 10, std::nullopt).items, IsEmpty());
    EXPECT_EQ(number("SELECT COUNT(*) FROM uploads"), 0);
    EXPECT_EQ(accounts.find(alice.id)->used, 0);
    EXPECT_EQ(collect(), 2);
}

TEST_P(SweepsTest, ForgetLinksThatHaveBeenOverForAMonth) {
    const auto alice = makeUser("alice");
    const auto file = keep(alice, "f", "hello").entry.id;
    const auto share = [&](std::optional<Timestamp> expiresAt, const char* token) {
        (void)shares.create(alice.id, {file, {}, expiresAt, {}}, "salt",
                            [&](catalog::ShareId) { return Sha256Digest::of(std::string_view(token)); });
    };
    share({}, "lasting");
    share(time.now() + hourUs, "expiring");
    time.advance(30 * dayUs);
    EXPECT_EQ(sweeps.shares().changed, 0);
    time.advance(2 * hourUs);
    EXPECT_EQ(sweeps.shares().changed, 1);
    EXPECT_EQ(sweeps.shares().changed, 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM shares"), 1);
}

TEST_P(SweepsTest, TakeAwayVersionsThatAreTooManyWhereItIsSaidHowManyAreKept) {
    const auto alice = makeUser("alice");
    for (const char* text : {"one", "two", "three"}) (void)keep(alice, "f", text);
    const auto versions = [&] { return number("SELECT COUNT(*) FROM versions").value(); };
    EXPECT_EQ(sweeps.versions().changed, 0) << "a worker that was not told takes none";
    EXPECT_EQ(versions(), 3);
    SweepSettings few = settings;
    few.versionsKeep = 2;
    few.examineAtMost = 1;
    Sweeps told(
        catalogOf, [&] { return live; }, queue, few, clock());
    SweepReport report = told.versions();
    EXPECT_EQ(report.changed, 1);
    EXPECT_TRUE(report.more) << "a pass has its limit";
    report = told.versions();
    EXPECT_EQ(report.changed, 0);
    EXPECT_FALSE(report.more);
    EXPECT_EQ(versions(), 2);
}

TEST_P(SweepsTest, VerifyWhatClientsClaimed) {
    const auto alice = makeUser("alice");
    const std::string text(250, 'x');
    const auto file = keep(alice, "f", text).entry;
    EXPECT_EQ(sweeps.contents().examined, 1);
    ASSERT_THAT(queue.jobs, SizeIs(1));
    verifyContent(
        catalogOf.chunks, [&] { return live; }, buffers, static_cast<catalog::ContentId>(queue.jobs[0].id));
    const auto after = tree.get(alice.id, file.id);
    EXPECT_TRUE(after.sha256Verified);
    EXPECT_EQ(after.sha256, ChunkId::of(text));
    EXPECT_EQ(sweeps.contents().examined, 0);
}

TEST_P(SweepsTest, AreCalledByTheirNames) {
    EXPECT_TRUE(sweeps.run("scrub"));
    EXPECT_FALSE(sweeps.run("nothing"));
    EXPECT_THAT(Sweeps::names(), testing::Contains("under_replicated"));
}

TEST_P(SweepsTest, RunOnceAtATimeAlsoWithinOneProcess) {
    std::promise<void> entered, goOn;
    Sweeps slow(
        catalogOf,
        [&, waits = goOn.get_future().share()] {
            entered.set_value();
            waits.wait();
            return live;
        },
        queue, settings, clock());
    SweepLeases leases(catalogOf.nodes, "this process");
    std::atomic<int> told = 0;
    const auto onRun = [&](const SweepRun& run) {
        EXPECT_EQ(run.name, "under_replicated");
        ++told;
    };
    const auto runNow = [&](Sweeps& which) { return runLeased(which, leases, "under_replicated", {}, onRun); };
    {
        const std::jthread first([&] { EXPECT_TRUE(runNow(slow)); });
        entered.get_future().wait();
        EXPECT_EQ(catalog::errorOf([&] { (void)runNow(sweeps); }), ErrorCode::conflict);
        goOn.set_value();
    }
    EXPECT_TRUE(runNow(sweeps));
    EXPECT_FALSE(runLeased(sweeps, leases, "nothing", {}, onRun));
    EXPECT_EQ(told, 2);
}

TEST_P(SweepsTest, GoOnAtOnceAfterARunWhoseEndCouldNotBeRecorded) {
    ASSERT_TRUE(catalogOf.nodes.beginSweep("trash", "this process", hourUs, std::nullopt));
    SweepLeases others(catalogOf.nodes, "another"), leases(catalogOf.nodes, "this process");
    EXPECT_FALSE(others.begin("trash", std::nullopt));
    EXPECT_TRUE(runLeased(sweeps, leases, "trash", {}, [](const SweepRun&) {}));
    EXPECT_TRUE(others.begin("trash", std::nullopt)) << "it has ended now";
}

// Of the catalog's own, with more to repair than one pass posts.
class NodesSweepTest : public SweepsTest {
  protected:
    NodesSweepTest() {
        const auto alice = makeUser("alice");
        for (const char* text : {"1", "2", "3", "4", "5"}) (void)put(alice, text, text);
        addStore("d");  // which can take what gets lost
    }
    // One copy of each is left that answers.
    void loseTwo() {
        for (const std::size_t store : {0u, 1u}) {
            chunks.setStoreState(stores[store], catalog::StoreState::down);
            live[store].answers = false;
        }
    }
    [[nodiscard]] static SweepSettings twoAtOnce() {
        SweepSettings settings;
        settings.postAtMost = 2;
        return settings;
    }
    Sweeps few{catalogOf, [&] { return live; }, queue, twoAtOnce(), clock()};
};

TEST_P(NodesSweepTest, LeavesRepairsToTheSweepForThem) {
    (void)few.nodes();
    loseTwo();
    EXPECT_EQ(few.nodes().changed, 2);
    EXPECT_THAT(queue.jobs, IsEmpty());
    EXPECT_TRUE(few.wanted("under_replicated"));
    EXPECT_FALSE(few.wanted("scrub"));
    EXPECT_EQ(few.nodes().changed, 0);
    EXPECT_EQ(few.underReplicated().changed, 5);
    EXPECT_FALSE(few.wanted("under_replicated"));
}

TEST_P(NodesSweepTest, WantsAPassFromTheBeginningWhenOneIsHalfWay) {
    loseTwo();
    EXPECT_TRUE(few.underReplicated().more);
    (void)few.nodes();
    queue.jobs.clear();
    bool more = true;
    for (int pass = 0; pass < 20 && more; ++pass) more = few.underReplicated().more;
    EXPECT_FALSE(more);
    std::map<std::int64_t, int> posted;
    for (const Job& job : queue.jobs) ++posted[job.id];
    EXPECT_THAT(posted, SizeIs(5)) << "also the two of before, which nobody repaired";
}

TEST_P(NodesSweepTest, HasTheRepairsPostedAtOnce) {
    std::mutex mutex;
    std::condition_variable changed;
    int passes = 0;
    SweepLeases leases(catalogOf.nodes, "this worker");
    SweepSchedule schedule(few, {{"nodes", std::chrono::milliseconds(20)}, {"under_replicated", std::chrono::hours(1)}},
                           &leases, [&](const SweepRun& run) {
                               const std::lock_guard lock(mutex);
                               if (run.name == "under_replicated") ++passes;
                               changed.notify_all();
                           });
    std::unique_lock lock(mutex);
    const auto awaitPass = [&](int number) {
        return changed.wait_for(lock, std::chrono::seconds(60), [&] { return passes >= number; });
    };
    ASSERT_TRUE(awaitPass(1)) << "all stores were new";
    lock.unlock();
    chunks.setStoreState(stores[0], catalog::StoreState::down);
    lock.lock();
    EXPECT_TRUE(awaitPass(2)) << "not after its hour, though it ran a moment ago";
}

CATALOG_SUITE(NodesSweepTest);
CATALOG_SUITE(SweepsTest);

TEST(Maintenance, GivesEverySweepAnIntervalWhichMayBeItsOwn) {
    const process::Config config(Maintenance::table(),
                                 {{"SWEEP_INTERVAL", "1min"}, {"SWEEP_INTERVALS", "scrub=1h,nodes=5s"}});
    const Maintenance maintenance(config);
    std::map<std::string, std::chrono::milliseconds> intervals;
    for (const auto& group : maintenance.schedule())
        for (const auto& entry : group) EXPECT_TRUE(intervals.emplace(entry.name, entry.interval).second);
    std::vector<std::string> names = Sweeps::names(), scheduled;
    for (const auto& [name, interval] : intervals) scheduled.push_back(name);
    EXPECT_THAT(scheduled, testing::UnorderedElementsAreArray(names));
    using namespace std::chrono_literals;
    EXPECT_EQ(intervals["scrub"], 1h);
    EXPECT_EQ(intervals["nodes"], 5s);
    EXPECT_EQ(intervals["trash"], 1min);
    EXPECT_EQ(intervals["orphans"], 36min);
    EXPECT_THROW(Maintenance(process::Config(Maintenance::table(), {{"SWEEP_INTERVALS", "srub=1h"}})), Error);
}

TEST(SweepSchedule, RunsEachSweepAndEndsAtOnce) {
    // Runs on a vault of its own: only the timing is looked at.
    test::TempFolder folder;
    test::ManualClock time;
    catalog::Catalog catalog(
        {.database = {.sqliteFile = (folder.path() / "db").string()}, .uploads = {.chunkSize = 100}, .tree = {}},
        time.clock());
    Posted queue;
    Sweeps sweeps(
        catalog, [] { return std::vector<LiveStore>(); }, queue, {}, time.clock());
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, int> runs;
    SweepSchedule schedule(sweeps, {{"scrub", std::chrono::milliseconds(1)}, {"contents", std::chrono::hours(1)}},
                           nullptr, [&](const SweepRun& run) {
                               EXPECT_EQ(run.error, "");
                               const std::lock_guard lock(mutex);
                               ++runs[std::string(run.name)];
                               changed.notify_all();
                           });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return runs["scrub"] >= 3; }));
    EXPECT_EQ(runs.size(), 1u);
    lock.unlock();
    EXPECT_TRUE(schedule.runNow("contents"));
    lock.lock();
    EXPECT_EQ(runs["contents"], 1);
}

}  // namespace
}  // namespace chunkvault::worker
