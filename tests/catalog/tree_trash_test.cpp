#include "common/chunk/manifest.h"
#include "database/catalog/shares.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

class TreeTrashTest : public TreeTest {
  protected:
    // Sweeps until nothing is left, in small steps.
    int sweep(int limit = 3) {
        int steps = 0;
        for (int rows = tree.purgeStep(limit); rows > 0; rows = tree.purgeStep(limit)) {
            EXPECT_LE(rows, limit);
            ++steps;
        }
        return steps;
    }
    void expectOnlyRootsLeft() {
        EXPECT_EQ(rows("files"), 2);
        for (const char* table : {"versions", "contents", "content_chunks"}) EXPECT_EQ(rows(table), 0) << table;
        EXPECT_EQ(used(user), 0);
    }
    // Puts it into "purging" without the rows that purge takes away at once.
    void markOnly(FileId id) {
        database().write([&](Session& session) {
            session.execute("UPDATE files SET state = 'purging', folder_id = NULL WHERE id = $1", {id});
        });
    }
    static std::vector<std::optional<ErrorCode>> codesOf(const std::vector<BulkResult>& results) {
        std::vector<std::optional<ErrorCode>> codes;
        for (const BulkResult& result : results)
            codes.push_back(result.error ? std::optional(result.error->code()) : std::nullopt);
        return codes;
    }
    using Codes = std::vector<std::optional<ErrorCode>>;
};

TEST_P(TreeTrashTest, WhatIsThrownAwayKeepsItsPlaceAndItsBytes) {
    const FileId a = folder(root, "a"), f = file(a, "f", 50);
    EXPECT_EQ(changesOf([&] { tree.moveToTrash(user, a); }), 1);
    EXPECT_TRUE(namesIn(root).empty());
    EXPECT_EQ(namesInTrash(), (Names{"a"}));
    EXPECT_EQ(tree.get(user, a, true).state, EntryState::trashed);
    EXPECT_EQ(tree.get(user, a, true).trashedAt, time.now());
    EXPECT_EQ(used(user), 50);
    EXPECT_EQ(errorOf([&] { tree.moveToTrash(user, a); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { tree.moveToTrash(user, f); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { tree.moveToTrash(other, a); }), ErrorCode::notFound);

    Entry back;
    EXPECT_EQ(changesOf([&] { back = tree.restore(user, a, std::nullopt, OnConflict::fail); }), 1);
    EXPECT_EQ(back.folder, root);
    EXPECT_FALSE(back.trashedAt.has_value());
    EXPECT_EQ(namesIn(a), (Names{"f"}));
    EXPECT_TRUE(namesInTrash().empty());
}

TEST_P(TreeTrashTest, ARestoredEntryGoesToTheRootWhenItsFolderIsGone) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), f = file(b, "f");
    tree.moveToTrash(user, f);
    tree.moveToTrash(user, a);
    EXPECT_EQ(tree.restore(user, f, std::nullopt, OnConflict::fail).folder, root);
    EXPECT_EQ(namesInTrash(), (Names{"a"}));
    tree.restore(user, a, std::nullopt, OnConflict::fail);
    EXPECT_TRUE(namesIn(b).empty());
}

TEST_P(TreeTrashTest, SomethingBelowATrashedFolderCanBeRestoredAlone) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), keep = folder(root, "keep");
    file(b, "f");
    tree.moveToTrash(user, a);
    EXPECT_EQ(tree.restore(user, b, keep, OnConflict::fail).folder, keep);
    EXPECT_EQ(namesIn(b), (Names{"f"}));
    EXPECT_EQ(namesInTrash(), (Names{"a"}));
}

TEST_P(TreeTrashTest, ARestoreToAFolderNeedsThatFolder) {
    const FileId f = file(root, "f"), plain = file(root, "plain"), gone = folder(root, "gone");
    tree.moveToTrash(user, f);
    tree.moveToTrash(user, gone);
    for (const FileId target : {plain, gone, otherRoot})
        EXPECT_EQ(errorOf([&] { tree.restore(user, f, target, OnConflict::fail); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { tree.restore(user, gone, gone, OnConflict::fail); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { tree.restore(user, plain, std::nullopt, OnConflict::fail); }), ErrorCode::notFound);
}

TEST_P(TreeTrashTest, ARestoreThatClashesIsRefusedOrRenames) {
    const FileId old = file(root, "f.txt");
    tree.moveToTrash(user, old);
    put(user, root, "F.txt", 3);
    EXPECT_EQ(errorOf([&] { tree.restore(user, old, std::nullopt, OnConflict::fail); }), ErrorCode::nameTaken);
    EXPECT_EQ(tree.restore(user, old, std::nullopt, OnConflict::keepBoth).name, "f (2).txt");
}

TEST_P(TreeTrashTest, ARestoreKeepsTheLimitOfDepth) {
    const FileId tower = folder(root, "t"), deep = folder(root, "1/2/3/4");
    folder(tower, "u/v");
    tree.moveToTrash(user, tower);
    EXPECT_EQ(errorOf([&] { tree.restore(user, tower, deep, OnConflict::fail); }), ErrorCode::invalidValue);
}

TEST_P(TreeTrashTest, OnlyWhatIsInTheTrashIsPurged) {
    const FileId a = folder(root, "a"), f = file(a, "f");
    for (const FileId id : {a, f, root}) EXPECT_EQ(errorOf([&] { tree.purge(user, id); }), ErrorCode::notFound);
    tree.moveToTrash(user, a);
    EXPECT_EQ(errorOf([&] { tree.purge(other, a); }), ErrorCode::notFound);
    tree.purge(user, f);
    EXPECT_EQ(errorOf([&] { (void)tree.get(user, f, true); }), ErrorCode::notFound);
    tree.purge(user, a);
    EXPECT_EQ(errorOf([&] { tree.purge(user, a); }), ErrorCode::notFound);
    expectOnlyRootsLeft();
}

TEST_P(TreeTrashTest, PurgingTakesAllRowsBelowAndGivesTheBytesBack) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), f = put(user, b, "f", 10, "one").id;
    put(user, b, "f", 20, "two");
    file(a, "g", 30);
    Shares shares(database(), clock());
    shares.create(user, {f, {}, {}, {}}, "salt", [](ShareId) { return Sha256Digest::of(std::string("token")); });
    tree.moveToTrash(user, a);
    tree.purge(user, a);
    expectOnlyRootsLeft();
    EXPECT_EQ(rows("shares"), 0);
}

TEST_P(TreeTrashTest, AContentThatAnotherFileHasStays) {
    const FileId f = file(root, "f", 10);
    const Entry copy = tree.copy(user, f, root, name("copy"), OnConflict::fail);
    tree.moveToTrash(user, f);
    tree.purge(user, f);
    EXPECT_EQ(rows("contents"), 1);
    EXPECT_EQ(tree.get(user, copy.id).chunkCount, 1);
    EXPECT_EQ(used(user), 10);
}

TEST_P(TreeTrashTest, WhatIsPurgedIsGoneAtOnceAndItsRowsFollowInSteps) {
    const FileId a = folder(root, "a"), b = folder(a, "b");
    std::vector<FileId> inner{b};
    for (int i = 0; i < 10; ++i) inner.push_back(file(b, "f" + std::to_string(i), 10));
    markOnly(a);
    for (const FileId id : inner) EXPECT_EQ(errorOf([&] { (void)tree.get(user, id, true); }), ErrorCode::notFound);
    EXPECT_TRUE(tree.search(user, {"f"}).items.empty());
    EXPECT_TRUE(namesInTrash().empty());
    EXPECT_EQ(used(user), 100);
    EXPECT_GT(sweep(), 3);
    expectOnlyRootsLeft();
}

TEST_P(TreeTrashTest, WhatWasThrownAwayBeforeItsFolderSurvivesTheFolder) {
    const FileId a = folder(root, "a"), f = file(a, "f", 10);
    tree.moveToTrash(user, f);
    tree.moveToTrash(user, a);
    tree.purge(user, a);
    EXPECT_EQ(namesInTrash(), (Names{"f"}));
    EXPECT_EQ(tree.trash(user, 1, std::nullopt).items[0].path, "/f");
    EXPECT_EQ(tree.restore(user, f, std::nullopt, OnConflict::fail).folder, root);
    EXPECT_EQ(used(user), 10);
}

TEST_P(TreeTrashTest, EmptyingTheTrashTakesAllOfOneOwner) {
    const FileId a = folder(root, "a"), f = file(a, "f", 10), g = file(root, "g", 20);
    const FileId theirs = put(other, otherRoot, "theirs", 5).id;
    tree.moveToTrash(user, f);
    tree.moveToTrash(user, a);
    tree.moveToTrash(user, g);
    tree.moveToTrash(other, theirs);
    EXPECT_EQ(tree.emptyTrash(user), 3);
    EXPECT_EQ(tree.emptyTrash(user), 0);
    EXPECT_EQ(used(user), 0);
    EXPECT_EQ(tree.trash(other, 10, std::nullopt).items.size(), 1U);
}

TEST_P(TreeTrashTest, AnUploadIntoAPurgedFolderFindsItGone) {
    const FileId a = folder(root, "a");
    const Upload upload = uploads.create(user, {"key", a, name("coming"), 0, time.now(), OnConflict::fail});
    tree.moveToTrash(user, a);
    tree.purge(user, a);
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, RootHash().finish(), std::nullopt); }),
              ErrorCode::notFound);
    uploads.end(upload.id);
    expectOnlyRootsLeft();
}

TEST_P(TreeTrashTest, WhatIsLongInTheTrashExpires) {
    const FileId a = file(root, "a", 10), b = file(root, "b", 20), theirs = put(other, otherRoot, "theirs", 5).id;
    tree.moveToTrash(user, a);
    tree.moveToTrash(other, theirs);
    time.advance(dayUs);
    tree.moveToTrash(user, b);
    EXPECT_EQ(tree.expireTrash(time.now(), 1), 1);
    EXPECT_EQ(tree.expireTrash(time.now(), 10), 1);
    EXPECT_EQ(tree.expireTrash(time.now(), 10), 0);
    sweep();
    EXPECT_EQ(namesInTrash(), (Names{"b"}));
    EXPECT_EQ(used(user), 20);
    EXPECT_EQ(used(other), 0);
}

TEST_P(TreeTrashTest, TheTreeOfADeletedUserGoesInSteps) {
    const FileId a = folder(root, "a"), f = file(a, "f", 10);
    file(folder(a, "b"), "g", 10);
    tree.moveToTrash(user, f);
    tree.moveToTrash(user, a);
    file(root, "h", 10);
    uploads.create(user, {"key", root, name("coming"), 10, time.now(), OnConflict::fail});
    accounts.beginDelete(user);
    EXPECT_EQ(accounts.finishDeleted(), 0);
    sweep(1);
    EXPECT_EQ(used(user), 0);
    EXPECT_EQ(accounts.finishDeleted(), 1);
    EXPECT_EQ(rows("files"), 1);
    EXPECT_EQ(rows("contents"), 0);
}

TEST_P(TreeTrashTest, BulkCallsDoTheGoodOnesAndSayWhatIsWrongWithTheOthers) {
    const FileId a = folder(root, "a"), f = file(root, "f", 10), g = file(root, "g", 20), clash = file(a, "g");
    const FileId theirs = put(other, otherRoot, "theirs", 5).id;
    const std::vector<FileId> ids{f, theirs, g, a, FileId{99'999}};
    const auto none = std::nullopt;

    std::vector<BulkResult> results;
    EXPECT_EQ(changesOf([&] { results = tree.moveAll(user, ids, a, OnConflict::fail); }), 1);
    EXPECT_EQ(codesOf(results),
              (Codes{none, ErrorCode::notFound, ErrorCode::nameTaken, ErrorCode::conflict, ErrorCode::notFound}));
    EXPECT_EQ(results[1].id, theirs);
    EXPECT_EQ(namesIn(a), (Names{"f", "g"}));
    EXPECT_EQ(codesOf(tree.moveAll(user, std::vector{g}, a, OnConflict::keepBoth)), (Codes{none}));
    EXPECT_EQ(namesIn(a), (Names{"f", "g", "g (2)"}));

    const std::vector<FileId> three{f, g, theirs};
    EXPECT_EQ(changesOf([&] { results = tree.trashAll(user, three); }), 1);
    EXPECT_EQ(codesOf(results), (Codes{none, none, ErrorCode::notFound}));
    EXPECT_EQ(changesOf([&] { results = tree.restoreAll(user, std::vector{f, clash}, OnConflict::fail); }), 1);
    EXPECT_EQ(codesOf(results), (Codes{none, ErrorCode::notFound}));
    EXPECT_EQ(codesOf(tree.purgeAll(user, three)), (Codes{ErrorCode::notFound, none, ErrorCode::notFound}));
    EXPECT_EQ(used(user), 11);
    EXPECT_EQ(changesOf([&] { results = tree.trashAll(user, std::vector{theirs}); }), 0);
}

CATALOG_SUITE(TreeTrashTest);

}  // namespace
}  // namespace chunkvault::catalog
