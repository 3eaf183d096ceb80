#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "database/catalog/nodes.h"
#include "tests/catalog/vault_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class ChunksTest : public VaultTest {
  protected:
    ChunkAudit only() {
        const auto all = chunks.auditAfter(ChunkRow{0}, 10);
        EXPECT_THAT(all, SizeIs(1));
        return all.front();
    }
};

TEST_P(ChunksTest, LayOutAContentFromAnyOffset) {
    const User alice = makeUser("alice");
    const std::string content =
        std::string(100, 'a') + std::string(100, 'b') + std::string(100, 'a') + std::string(30, 'c');
    const CommittedFile file = put(alice, "f", content);
    const auto offsets = [&](std::int64_t from, int limit) {
        std::vector<std::int64_t> found;
        for (const ContentChunk& chunk : chunks.layout(*file.entry.content, from, limit)) {
            EXPECT_THAT(chunk.stores, UnorderedElementsAre(stores[0], stores[1], stores[2]));
            EXPECT_EQ(chunk.id, ChunkId::of(content.substr(static_cast<std::size_t>(chunk.offset),
                                                           static_cast<std::size_t>(chunk.length))));
            found.push_back(chunk.offset);
        }
        return found;
    };
    EXPECT_THAT(offsets(0, 10), ElementsAre(0, 100, 200, 300));
    EXPECT_THAT(offsets(99, 10), ElementsAre(0, 100, 200, 300));
    EXPECT_THAT(offsets(100, 2), ElementsAre(100, 200));
    EXPECT_THAT(offsets(329, 10), ElementsAre(300));
    EXPECT_THAT(offsets(330, 10), IsEmpty());
    EXPECT_THAT(offsets(1'000'000, 10), IsEmpty());
    const auto first = [&] { return chunks.layout(*file.entry.content, 0, 1)[0]; };
    chunks.setStoreState(stores[1], StoreState::down);
    EXPECT_THAT(first().stores, UnorderedElementsAre(stores[0], stores[1], stores[2])) << "it may come back";
    EXPECT_THAT(first().doubtful, IsEmpty());
    chunks.replicaBad(first().row, stores[2]);
    EXPECT_THAT(first().stores, UnorderedElementsAre(stores[0], stores[1]));
    EXPECT_THAT(first().doubtful, ElementsAre(stores[2]));
    for (const StoreRow store : {stores[0], stores[2]}) chunks.setStoreState(store, StoreState::removed);
    EXPECT_THAT(first().stores, ElementsAre(stores[1]));
    EXPECT_THAT(first().doubtful, IsEmpty());
}

TEST_P(ChunksTest, TellHowSafeAContentIs) {
    const User alice = makeUser("alice");
    const ContentId content = *put(alice, "f", std::string(150, 'x') + "y").entry.content;
    EXPECT_EQ(chunks.safety(content).copiesPresent, 3);
    EXPECT_EQ(chunks.safety(content).lastVerifiedAt, time.now());
    chunks.replicaBad(chunks.layout(content, 0, 1)[0].row, stores[0]);
    EXPECT_EQ(chunks.safety(content).copiesPresent, 2);
    EXPECT_EQ(chunks.safety(*put(alice, "empty", "").entry.content).copiesPresent, 3);
}

TEST_P(ChunksTest, KeepTheVaultsIdOverRestarts) {
    const std::string id = chunks.vaultId();
    EXPECT_FALSE(id.empty());
    EXPECT_EQ(chunks.vaultId(), id);
}

TEST_P(ChunksTest, VoidTheReplicasOfAnEmptyDisk) {
    const User alice = makeUser("alice");
    (void)put(alice, "f", "x");
    EXPECT_EQ(chunks.registerStore({"a", "uuid-a", "a", "", 1000, 900}), stores[0]);
    EXPECT_THAT(only().good, SizeIs(3));
    EXPECT_NE(chunks.registerStore({"a", "another", "a", "", 1000, 900}), stores[0]);
    EXPECT_THAT(only().good, UnorderedElementsAre(stores[1], stores[2]));
    EXPECT_THAT(chunks.stores(), SizeIs(3));
}

TEST_P(ChunksTest, LeaveADrainingStoreDrainingWhenItRegistersAgain) {
    chunks.setStoreState(stores[0], StoreState::draining);
    (void)chunks.registerStore({"a", "uuid-a", "a", "", 1000, 900});
    EXPECT_EQ(chunks.stores()[0].state, StoreState::draining);
    chunks.setStoreState(stores[0], StoreState::down);
    (void)chunks.registerStore({"a", "uuid-a", "a", "", 1000, 900});
    EXPECT_EQ(chunks.stores()[0].state, StoreState::draining);
    for (const StoreState state : {StoreState::up, StoreState::down}) {
        chunks.setStoreState(stores[0], state);
        (void)chunks.registerStore({"a", "uuid-a", "a", "", 1000, 900});
        EXPECT_EQ(chunks.stores()[0].state, StoreState::up);
    }
}

TEST_P(ChunksTest, AuditCopiesByWhereTheyAre) {
    const User alice = makeUser("alice");
    (void)put(alice, "f", "x");
    const ChunkAudit before = only();
    chunks.replicaBad(before.row, stores[0]);
    chunks.setStoreState(stores[1], StoreState::down);
    const ChunkAudit audit = *chunks.audit(before.row);
    EXPECT_THAT(audit.good, ElementsAre(stores[2]));
    EXPECT_THAT(audit.bad, ElementsAre(stores[0]));
    EXPECT_EQ(chunks.totals().underReplicated, 1);
    EXPECT_EQ(chunks.find(before.id), before.row);
    EXPECT_EQ(chunks.find(ChunkId::of(std::string_view("y"))), std::nullopt);
    chunks.replicaBad(before.row, stores[2]);
    EXPECT_EQ(chunks.totals().missing, 1);
    chunks.replicaGood(before.row, stores[2], before.generation);
    EXPECT_EQ(chunks.totals().missing, 0);
    chunks.replicaGood(before.row, stores[0], before.generation + 1);
    EXPECT_THAT(chunks.audit(before.row)->bad, ElementsAre(stores[0]));
}

TEST_P(ChunksTest, AreAuditedByTheStoreThatTheyAreOn) {
    const User alice = makeUser("alice");
    for (int i = 0; i < 5; ++i) (void)put(alice, "f" + std::to_string(i), "text " + std::to_string(i));
    const auto all = chunks.auditAfter(ChunkRow{0}, 10);
    ASSERT_THAT(all, SizeIs(5));
    forget(all[1].row, stores[0]);
    chunks.replicaBad(all[2].row, stores[0]);
    const auto rowsOf = [&](ChunkRow after, int limit) {
        std::vector<ChunkRow> rows;
        for (const ChunkAudit& audit : chunks.auditOf(stores[0], after, limit)) rows.push_back(audit.row);
        return rows;
    };
    EXPECT_THAT(rowsOf(ChunkRow{0}, 3), ElementsAre(all[0].row, all[2].row, all[3].row));
    EXPECT_THAT(rowsOf(all[3].row, 3), ElementsAre(all[4].row));
    const auto bad = chunks.auditOf(stores[0], all[0].row, 1);
    EXPECT_THAT(bad[0].good, UnorderedElementsAre(stores[1], stores[2]));
    EXPECT_THAT(bad[0].bad, ElementsAre(stores[0]));
}

TEST_P(ChunksTest, AreFoundByTheirHashesHoweverManyAreAsked) {
    const User alice = makeUser("alice");
    std::vector<ChunkId> asked;
    for (int i = 0; i < 1200; ++i) asked.push_back(ChunkId::of("nobody has " + std::to_string(i)));
    for (int i = 0; i < 3; ++i) {
        const std::string text = "text " + std::to_string(i);
        (void)put(alice, "f" + std::to_string(i), text);
        asked.insert(asked.begin() + i * 500, ChunkId::of(text));
        asked.push_back(ChunkId::of(text));
    }
    const auto audits = chunks.auditHashes(asked);
    ASSERT_THAT(audits, SizeIs(3));
    for (const ChunkAudit& audit : audits) EXPECT_THAT(audit.good, SizeIs(3));
    EXPECT_THAT(chunks.removing(asked), IsEmpty());
    EXPECT_THAT(chunks.auditHashes({}), IsEmpty());
    chunks.scrubbed(stores[0], std::vector{audits[0].row, audits[2].row, audits[1].row});
}

TEST_P(ChunksTest, ThatAreShortOfCopiesAreFoundInWindows) {
    const User alice = makeUser("alice");
    for (int i = 0; i < 6; ++i) (void)put(alice, "f" + std::to_string(i), "text " + std::to_string(i));
    const auto all = chunks.auditAfter(ChunkRow{0}, 10);
    const auto found = [&] {
        std::vector<ChunkRow> rows;
        UnderReplicated window = chunks.underReplicatedAfter(ChunkRow{0}, 4);
        EXPECT_EQ(window.examined, 4);
        for (; window.examined > 0; window = chunks.underReplicatedAfter(window.last, 4))
            for (const ChunkAudit& audit : window.chunks) rows.push_back(audit.row);
        EXPECT_EQ(window.last, all[5].row);
        return rows;
    };
    EXPECT_THAT(found(), IsEmpty());
    forget(all[1].row, stores[0]);
    chunks.replicaBad(all[5].row, stores[2]);
    EXPECT_THAT(found(), ElementsAre(all[1].row, all[5].row));
    chunks.setStoreState(stores[2], StoreState::suspect);
    EXPECT_THAT(found(), ElementsAre(all[1].row, all[5].row)) << "a suspicion is no reason to copy";
    chunks.setStoreState(stores[2], StoreState::draining);
    EXPECT_THAT(found(), SizeIs(6));
}

TEST_P(ChunksTest, ThatWereNeverPutAreNothingToRepair) {
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "x"));
    (void)uploads.pin(upload.id, cut("x")[0]);
    EXPECT_THAT(chunks.auditAfter(ChunkRow{0}, 10), IsEmpty());
}

TEST_P(ChunksTest, AreDueForScrubByTheirLastVerification) {
    const User alice = makeUser("alice");
    (void)put(alice, "f", "x");
    const Timestamp first = time.now();
    time.advance((1) * hourUs);
    (void)put(alice, "g", "y");
    EXPECT_THAT(chunks.dueForScrub(stores[0], first, 10), IsEmpty());
    const auto due = chunks.dueForScrub(stores[0], time.now(), 10);
    ASSERT_THAT(due, SizeIs(1));
    EXPECT_EQ(due[0].id, ChunkId::of(std::string_view("x")));
    EXPECT_EQ(chunks.oldestVerified(), first);
    for (const StoreRow store : stores) chunks.scrubbed(store, std::vector{due[0].row});
    EXPECT_THAT(chunks.dueForScrub(stores[0], time.now(), 10), IsEmpty());
    EXPECT_EQ(chunks.oldestVerified(), time.now());
    time.advance(hourUs);
    const Timestamp later = time.now();
    chunks.scrubbed(stores[0], std::vector{due[0].row});
    chunks.replicaBad(chunks.find(ChunkId::of(std::string_view("y"))).value(), stores[0]);
    for (const StoreRow store : {stores[1], stores[2]}) chunks.setStoreState(store, StoreState::down);
    EXPECT_EQ(chunks.oldestVerified(), later) << "nobody verifies a bad copy";
}

TEST_P(ChunksTest, ThatNothingRefersToAreRemovedAtALaterGeneration) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "f", "x").entry.id;
    const ChunkRow row = only().row;
    time.advance((2) * hourUs);
    EXPECT_THAT(chunks.unreferencedAfter(time.now(), ChunkRow{0}, 10).chunks, IsEmpty());
    EXPECT_FALSE(chunks.beginRemove(row));
    tree.moveToTrash(alice.id, file);
    tree.purge(alice.id, file);
    while (tree.purgeStep(100) > 0) {
    }
    ASSERT_THAT(chunks.unreferencedAfter(time.now(), ChunkRow{0}, 10).chunks, SizeIs(1));
    EXPECT_THAT(chunks.unreferencedAfter(0, ChunkRow{0}, 10).chunks, IsEmpty());
    const auto removal = chunks.beginRemove(row);
    ASSERT_TRUE(removal);
    EXPECT_EQ(removal->id, ChunkId::of(std::string_view("x")));
    EXPECT_EQ(removal->generation, 2);
    EXPECT_THAT(chunks.removing(std::vector{removal->id, ChunkId::of(std::string_view("y"))}),
                ElementsAre(removal->id));
    EXPECT_FALSE(chunks.finishRemove(row, 1, stores));
    EXPECT_FALSE(chunks.finishRemove(row, 2, std::vector{stores[0], stores[1]}));
    EXPECT_THAT(chunks.removing(std::vector{removal->id}), ElementsAre(removal->id)) << "one has not answered";
    EXPECT_TRUE(chunks.finishRemove(row, 2, std::vector{stores[2]}));
    EXPECT_THAT(chunks.removing(std::vector{removal->id}), IsEmpty());
    EXPECT_EQ(chunks.count(), 0);
}

TEST_P(ChunksTest, WhoseRemovalWaitsForAStoreThatIsAwayAreNotCollectedAgain) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "f", "x").entry.id;
    const ChunkRow row = only().row;
    const StoreRow fourth = chunks.registerStore({"d", "uuid-d", "d", "", 1000, 900});
    tree.moveToTrash(alice.id, file);
    tree.purge(alice.id, file);
    while (tree.purgeStep(100) > 0) {
    }
    const auto waiting = [&] { return chunks.unreferencedAfter(time.now() + 1, ChunkRow{0}, 10).chunks.size(); };
    const auto fresh = [&] { return chunks.unreferencedAfter(time.now() + 1, ChunkRow{0}, 10).fresh; };
    EXPECT_EQ(fresh(), 1);
    const Generation generation = chunks.beginRemove(row)->generation;
    EXPECT_EQ(fresh(), 0) << "it was decided already";
    EXPECT_EQ(waiting(), 1u);
    chunks.replicaDoubtful(row, fourth);  // it was asked, and may carry it out later
    EXPECT_FALSE(chunks.finishRemove(row, generation, stores));
    chunks.setStoreState(fourth, StoreState::down);
    EXPECT_EQ(waiting(), 0u);
    chunks.setStoreState(fourth, StoreState::up);
    EXPECT_EQ(waiting(), 1u);
    chunks.setStoreState(fourth, StoreState::removed);
    EXPECT_EQ(waiting(), 1u);
    EXPECT_TRUE(chunks.finishRemove(row, chunks.beginRemove(row)->generation, {}));
}

TEST_P(ChunksTest, AreNotRemovedWhileCollectionIsHeld) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "f", "x").entry.id;
    (void)put(alice, "g", "y");
    tree.moveToTrash(alice.id, file);
    tree.purge(alice.id, file);
    while (tree.purgeStep(100) > 0) {
    }
    const ChunkRow unwanted = *chunks.find(ChunkId::of(std::string_view("x")));
    const ChunkRow surplus = *chunks.find(ChunkId::of(std::string_view("y")));
    chunks.replicaGood(surplus, chunks.registerStore({"d", "uuid-d", "d", "", 1000, 900}), 1);
    Nodes nodes(database(), 3);
    nodes.holdCollection("the database was put back");
    EXPECT_FALSE(chunks.beginRemove(unwanted));
    EXPECT_FALSE(chunks.forgetSurplus(surplus, stores[0]));
    nodes.allowCollection();
    EXPECT_TRUE(chunks.beginRemove(unwanted));
    EXPECT_TRUE(chunks.forgetSurplus(surplus, stores[0]));
}

TEST_P(ChunksTest, ThatAreWantedAgainWhileTheyAreRemovedBeginALaterLife) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "f", "x").entry.id;
    const ChunkRow row = only().row;
    tree.moveToTrash(alice.id, file);
    tree.purge(alice.id, file);
    while (tree.purgeStep(100) > 0) {
    }
    ASSERT_EQ(chunks.beginRemove(row)->generation, 2);

    const Upload upload = uploads.create(alice.id, newUpload(alice, "again", "f", "x"));
    EXPECT_THAT(uploads.have(upload.id, cut("x")), ElementsAre(0));
    const PinnedChunk pinned = uploads.pin(upload.id, cut("x")[0]);
    EXPECT_EQ(pinned.row, row);
    EXPECT_EQ(pinned.generation, 3);
    EXPECT_FALSE(chunks.finishRemove(row, 2, stores));
    EXPECT_FALSE(chunks.beginRemove(row));
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText("x"), std::nullopt); }),
              ErrorCode::uploadIncomplete);
    uploads.stored(upload.id, {0, pinned.row, pinned.generation, stores});
    EXPECT_EQ(uploads.commit(upload.id, rootOfText("x"), std::nullopt).entry.size, 1);
}

TEST_P(ChunksTest, AreNotRecordedByAPutOfAnEarlierLife) {
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "x"));
    const PinnedChunk late = uploads.pin(upload.id, cut("x")[0]);
    (void)uploads.pin(upload.id, cut("y")[0]);  // the same index: x is not pinned any more
    const auto removal = chunks.beginRemove(late.row);
    ASSERT_TRUE(removal);
    uploads.stored(upload.id, {0, late.row, late.generation, stores});
    EXPECT_EQ(number("SELECT COUNT(*) FROM replicas"), 0);
    EXPECT_TRUE(chunks.finishRemove(late.row, removal->generation, {}));
}

TEST_P(ChunksTest, AreNeverLostWhenCollectionRacesWithUploads) {
    const User alice = makeUser("alice");
    std::atomic<bool> ending = false;
    std::thread collector([&] {
        while (!ending)
            for (const ChunkRow chunk : chunks.unreferencedAfter(time.now() + 1, ChunkRow{0}, 10).chunks)
                if (const auto removal = chunks.beginRemove(chunk))
                    (void)chunks.finishRemove(chunk, removal->generation, stores);
    });
    for (int i = 0; i < 60; ++i) {
        const CommittedFile file = put(alice, "f", "the same bytes");
        const auto layout = chunks.layout(*file.entry.content, 0, 1);
        ASSERT_THAT(layout, SizeIs(1));
        EXPECT_THAT(layout[0].stores, SizeIs(3));
        tree.moveToTrash(alice.id, file.entry.id);
        tree.purge(alice.id, file.entry.id);
    }
    ending = true;
    collector.join();
}

TEST_P(ChunksTest, LoseASurplusCopyOnlyBesideEnoughOthers) {
    const User alice = makeUser("alice");
    (void)put(alice, "f", "x");
    const ChunkRow row = only().row;
    EXPECT_FALSE(chunks.forgetSurplus(row, stores[0])) << "three are wanted";
    const StoreRow fourth = chunks.registerStore({"d", "uuid-d", "d", "", 1000, 900});
    chunks.replicaGood(row, fourth, 1);
    chunks.setStoreState(stores[1], StoreState::suspect);
    EXPECT_FALSE(chunks.forgetSurplus(row, stores[0])) << "one of the others does not answer";
    chunks.setStoreState(stores[1], StoreState::up);
    EXPECT_EQ(chunks.forgetSurplus(row, stores[0]), 1);
    EXPECT_THAT(only().good, UnorderedElementsAre(stores[1], stores[2], fourth));
    EXPECT_FALSE(chunks.forgetSurplus(row, stores[0])) << "it is forgotten already";
    // A put on that store that was under way is not counted, and the next one is at a generation that stays.
    chunks.replicaGood(row, stores[0], 1);
    EXPECT_THAT(only().good, SizeIs(3));
    EXPECT_EQ(only().generation, 2);
}

TEST_P(ChunksTest, AreShortWithOneCopyThatAnswers) {
    const User alice = makeUser("alice");
    (void)put(alice, "f", "x");
    EXPECT_THAT(chunks.underReplicatedAfter(ChunkRow{0}, 10).chunks, IsEmpty());
    chunks.setStoreState(stores[0], StoreState::suspect);
    EXPECT_THAT(chunks.underReplicatedAfter(ChunkRow{0}, 10).chunks, IsEmpty()) << "on a mere suspicion";
    chunks.setStoreState(stores[1], StoreState::suspect);
    EXPECT_THAT(chunks.underReplicatedAfter(ChunkRow{0}, 10).chunks, SizeIs(1));
}

TEST_P(ChunksTest, HaveTheirWholeHashVerifiedLater) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "f", "x").entry.id;
    (void)putAtOnce(alice, "g", "y");
    const auto unverified = chunks.unverifiedContents(ContentId{0}, 10);
    ASSERT_THAT(unverified, SizeIs(1));
    const std::int64_t seq = accounts.find(alice.id)->revision.seq;
    chunks.contentVerified(unverified[0].content, ChunkId::of(std::string_view("x")));
    EXPECT_THAT(chunks.unverifiedContents(ContentId{0}, 10), IsEmpty());
    EXPECT_TRUE(tree.get(alice.id, file).sha256Verified);
    EXPECT_GT(accounts.find(alice.id)->revision.seq, seq) << "lists that were kept show the old state";
}

CATALOG_SUITE(ChunksTest);

}  // namespace
}  // namespace chunkvault::catalog
