#include <thread>

#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

class TreeChangeTest : public TreeTest {
  protected:
    static Change rename(std::string_view text, OnConflict onConflict = OnConflict::fail) {
        return {name(text), std::nullopt, std::nullopt, onConflict};
    }
    static Change moveTo(FileId folder, OnConflict onConflict = OnConflict::fail) {
        return {std::nullopt, folder, std::nullopt, onConflict};
    }
    std::optional<ErrorCode> changeError(FileId id, const Change& change) {
        return errorOf([&] { tree.change(user, id, change); });
    }
};

TEST_P(TreeChangeTest, MakingAPathMakesOnlyWhatIsMissing) {
    bool created = false;
    Entry last;
    EXPECT_EQ(changesOf([&] { last = tree.makeFolders(user, root, path("a/b/c"), &created); }), 1);
    EXPECT_TRUE(created);
    EXPECT_EQ(last.name, "c");
    EXPECT_EQ(last.kind, Kind::folder);
    EXPECT_EQ(changesOf([&] { EXPECT_EQ(tree.makeFolders(user, root, path("A/b/C"), &created).id, last.id); }), 0);
    EXPECT_FALSE(created);
    EXPECT_EQ(tree.makeFolders(user, last.id, {}, &created).id, last.id);
    EXPECT_FALSE(created);
}

TEST_P(TreeChangeTest, AFileOnTheWayStopsAPathAndNothingIsMade) {
    file(folder(root, "a"), "f");
    EXPECT_EQ(errorOf([&] { tree.makeFolders(user, root, path("a/f/g")); }), ErrorCode::nameTaken);
    EXPECT_EQ(errorOf([&] { tree.makeFolders(user, root, path("new/2/3/4/5/6/7")); }), ErrorCode::invalidValue);
    EXPECT_EQ(errorOf([&] { tree.makeFolders(user, otherRoot, path("x")); }), ErrorCode::notFound);
    EXPECT_EQ(namesIn(root), (Names{"a"}));
}

TEST_P(TreeChangeTest, RenamesMovesAndSetsTheTime) {
    const FileId a = folder(root, "a"), id = file(root, "f");
    time.advance(hourUs);
    Entry entry;
    EXPECT_EQ(changesOf([&] { entry = tree.change(user, id, {name("g"), a, 12'345, OnConflict::fail}); }), 1);
    EXPECT_EQ(entry.name, "g");
    EXPECT_EQ(entry.folder, a);
    EXPECT_EQ(entry.modifiedAt, 12'345);
    EXPECT_EQ(entry.updatedAt, time.now());
    EXPECT_EQ(tree.version(user, id, 1).modifiedAt, 12'345);
    EXPECT_EQ(namesIn(a), (Names{"g"}));
    EXPECT_EQ(namesIn(root), (Names{"a"}));
}

TEST_P(TreeChangeTest, WhatIsThatWayAlreadyChangesNothing) {
    const FileId id = file(root, "f");
    EXPECT_EQ(changesOf([&] {
                  tree.change(user, id, {name("f"), root, std::nullopt, OnConflict::fail});
                  tree.change(user, id, {});
              }),
              0);
    EXPECT_EQ(changesOf([&] { EXPECT_EQ(tree.change(user, id, rename("F")).name, "F"); }), 1);
}

TEST_P(TreeChangeTest, AClashIsRefusedOrGetsTheFirstFreeNumber) {
    file(root, "Taken.txt");
    file(root, "taken (2).txt");
    folder(root, "dir");
    const FileId id = file(root, "f");
    for (const char* text : {"Taken.txt", "TAKEN.TXT", "DIR"})
        EXPECT_EQ(changeError(id, rename(text)), ErrorCode::nameTaken);
    EXPECT_EQ(tree.change(user, id, rename("taken.txt", OnConflict::keepBoth)).name, "taken (3).txt");
    EXPECT_EQ(tree.change(user, id, rename("dir", OnConflict::keepBoth)).name, "dir (2)");
}

TEST_P(TreeChangeTest, ManyFilesOfOneNameAreNumberedOn) {
    for (int i = 0; i < 30; ++i) put(user, root, "x", 0, {}, OnConflict::keepBoth);
    EXPECT_EQ(put(user, root, "x", 0, {}, OnConflict::keepBoth).name, "x (31)");
}

TEST_P(TreeChangeTest, TheTrashDoesNotClash) {
    const FileId thrown = file(root, "f");
    tree.moveToTrash(user, thrown);
    const FileId id = file(root, "g");
    EXPECT_EQ(tree.change(user, id, rename("f")).name, "f");
}

TEST_P(TreeChangeTest, AFolderCannotGoIntoItselfOrBelow) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), c = folder(b, "c");
    for (const FileId target : {a, b, c}) {
        EXPECT_EQ(changeError(a, moveTo(target)), ErrorCode::conflict);
        EXPECT_EQ(errorOf([&] { tree.copy(user, a, target, std::nullopt, OnConflict::keepBoth); }),
                  ErrorCode::conflict);
    }
    tree.change(user, c, moveTo(root));
    EXPECT_EQ(tree.change(user, a, moveTo(c)).folder, c);
    EXPECT_EQ(tree.path(user, b).size(), 3U);
}

TEST_P(TreeChangeTest, TheRootStays) {
    const FileId a = folder(root, "a");
    EXPECT_EQ(changeError(root, rename("x")), ErrorCode::conflict);
    EXPECT_EQ(changeError(root, moveTo(a)), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { tree.moveToTrash(user, root); }), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { tree.copy(user, root, a, std::nullopt, OnConflict::fail); }), ErrorCode::conflict);
}

TEST_P(TreeChangeTest, ATargetHasToBeALiveFolderOfTheOwner) {
    const FileId id = file(root, "f"), plain = file(root, "plain"), gone = folder(root, "gone"),
                 below = folder(gone, "below");
    tree.moveToTrash(user, gone);
    for (const FileId target : {plain, gone, below, otherRoot, FileId{99'999}}) {
        EXPECT_EQ(changeError(id, moveTo(target)), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { tree.copy(user, id, target, std::nullopt, OnConflict::fail); }), ErrorCode::notFound);
    }
    EXPECT_EQ(changeError(below, rename("x")), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { tree.change(other, id, rename("x")); }), ErrorCode::notFound);
}

TEST_P(TreeChangeTest, WhatLiesBelowCountsForTheDepth) {
    const FileId deep = folder(root, "1/2/3/4"), tower = folder(root, "t");
    folder(tower, "u/v");
    EXPECT_EQ(changeError(tower, moveTo(deep)), ErrorCode::invalidValue);
    EXPECT_EQ(errorOf([&] { tree.copy(user, tower, deep, std::nullopt, OnConflict::fail); }), ErrorCode::invalidValue);
    EXPECT_EQ(tree.change(user, tower, moveTo(*tree.get(user, deep).folder)).name, "t");
    const FileId bottom = folder(deep, "5/6");
    EXPECT_EQ(put(user, bottom, "file", 1).name, "file");
}

TEST_P(TreeChangeTest, ACopyHasTheContentAndItsOwnLife) {
    const Entry source = put(user, root, "f.txt", 100, "one");
    put(user, root, "f.txt", 40, "two");
    const auto before = used(user);
    time.advance(hourUs);
    Entry copy;
    EXPECT_EQ(changesOf([&] { copy = tree.copy(user, source.id, root, std::nullopt, OnConflict::keepBoth); }), 1);
    EXPECT_EQ(copy.name, "f (2).txt");
    EXPECT_EQ(copy.version, 1);
    EXPECT_EQ(copy.size, 40);
    EXPECT_EQ(copy.content, tree.get(user, source.id).content);
    EXPECT_EQ(copy.createdAt, time.now());
    EXPECT_EQ(copy.modifiedAt, source.modifiedAt);
    EXPECT_EQ(used(user), before + 40);
    EXPECT_EQ(errorOf([&] { tree.copy(user, source.id, root, std::nullopt, OnConflict::fail); }), ErrorCode::nameTaken);

    tree.moveToTrash(user, source.id);
    tree.purge(user, source.id);
    EXPECT_EQ(tree.get(user, copy.id).content, copy.content);
    EXPECT_EQ(used(user), 40);
}

TEST_P(TreeChangeTest, AFolderIsCopiedWithAllThatIsLiveBelow) {
    const FileId a = folder(root, "a"), b = folder(a, "b");
    file(b, "x", 5);
    file(a, "y", 7);
    folder(a, "empty");
    tree.moveToTrash(user, file(b, "thrown", 100));
    uploads.create(user, {"key", b, name("coming"), 10, time.now(), OnConflict::fail});
    const auto before = used(user);
    const Entry copy = tree.copy(user, a, root, name("z"), OnConflict::fail);
    EXPECT_EQ(used(user), before + 12);
    EXPECT_EQ(namesIn(copy.id), (Names{"b", "empty", "y"}));
    EXPECT_EQ(namesIn(tree.makeFolders(user, copy.id, path("b")).id), (Names{"x"}));
}

TEST_P(TreeChangeTest, ACopyTakesALimitedNumberOfEntriesAndBytes) {
    const FileId many = folder(root, "many");
    for (int i = 0; i < 49; ++i) folder(many, std::to_string(i));
    tree.copy(user, many, root, name("copy"), OnConflict::fail);
    folder(many, "one too many");
    EXPECT_EQ(errorOf([&] { tree.copy(user, many, root, name("copy 2"), OnConflict::fail); }), ErrorCode::invalidValue);

    const FileId id = file(root, "f", 600);
    database().write([&](Session& session) { session.execute("UPDATE users SET quota = 1000 WHERE id = $1", {user}); });
    EXPECT_EQ(errorOf([&] { tree.copy(user, id, many, std::nullopt, OnConflict::fail); }), ErrorCode::quotaExceeded);
    EXPECT_EQ(used(user), 600);
}

TEST_P(TreeChangeTest, AnOldVersionComesBackAsTheNewest) {
    const FileId id = put(user, root, "f", 10, "one").id;
    const auto first = tree.version(user, id, 1);
    time.advance(hourUs);
    put(user, root, "f", 20, "two");
    Entry entry;
    EXPECT_EQ(changesOf([&] { entry = tree.restoreVersion(user, id, 1); }), 1);
    EXPECT_EQ(entry.version, 3);
    EXPECT_EQ(entry.size, 10);
    EXPECT_EQ(entry.content, first.content);
    EXPECT_EQ(entry.modifiedAt, first.modifiedAt);
    EXPECT_EQ(used(user), 40);
    EXPECT_EQ(changesOf([&] { EXPECT_EQ(tree.restoreVersion(user, id, 1).version, 3); }), 0);
    EXPECT_EQ(errorOf([&] { tree.restoreVersion(user, id, 9); }), ErrorCode::notFound);
}

TEST_P(TreeChangeTest, OldVersionsGoWhenThereAreTooMany) {
    const FileId id = put(user, root, "f", 1, "one").id;
    put(user, root, "f", 10, "two");
    put(user, root, "f", 100, "three");
    tree.restoreVersion(user, id, 1);
    std::vector<std::int64_t> numbers;
    for (const Version& version : tree.versions(user, id)) numbers.push_back(version.number);
    EXPECT_EQ(numbers, (std::vector<std::int64_t>{4, 3, 2}));
    EXPECT_EQ(used(user), 111);
    put(user, root, "f", 1000, "four");
    EXPECT_EQ(used(user), 1101);
    EXPECT_EQ(rows("contents"), 3);
    EXPECT_EQ(rows("content_chunks"), 3);
}

TEST_P(TreeChangeTest, FewerVersionsThanBeforeAreKeptWhenTheSweepIsToldSo) {
    const FileId f = put(user, root, "f", 1).id, g = put(user, root, "g", 10).id;
    put(user, root, "f", 2);
    put(user, root, "f", 3);
    const auto used = [&] { return *number("SELECT used FROM users WHERE id = $1", {user}); };
    const auto before = used();
    EXPECT_EQ(tree.trimVersions(3, FileId{}, 100).changed, 0);
    std::int64_t examined = 0, changed = 0;
    EXPECT_EQ(changesOf([&] {
                  for (auto window = tree.trimVersions(1, FileId{}, 2); window.examined > 0;
                       window = tree.trimVersions(1, window.last, 2)) {
                      examined += window.examined;
                      changed += window.changed;
                  }
              }),
              1);
    EXPECT_EQ(examined, *number("SELECT COUNT(*) FROM files"));
    EXPECT_EQ(changed, 2);
    EXPECT_EQ(used(), before - 3) << "their bytes were given back";
    ASSERT_EQ(tree.versions(user, f).size(), 1u);
    EXPECT_EQ(tree.versions(user, f)[0].number, 3);
    EXPECT_EQ(tree.versions(user, g).size(), 1u);
}

TEST_P(TreeChangeTest, TheSameContentMakesNoVersion) {
    const FileId id = put(user, root, "f", 10).id;
    time.advance(hourUs);
    EXPECT_EQ(put(user, root, "f", 10).version, 1);
    EXPECT_EQ(tree.get(user, id).modifiedAt, time.now());
    EXPECT_EQ(used(user), 10);
}

TEST_P(TreeChangeTest, AnyVersionButTheCurrentOneCanBeDeleted) {
    const FileId id = put(user, root, "f", 10, "one").id;
    put(user, root, "f", 20, "two");
    EXPECT_EQ(errorOf([&] { tree.deleteVersion(user, id, 2); }), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { tree.deleteVersion(user, id, 3); }), ErrorCode::notFound);
    EXPECT_EQ(changesOf([&] { tree.deleteVersion(user, id, 1); }), 1);
    EXPECT_EQ(tree.versions(user, id).size(), 1U);
    EXPECT_EQ(used(user), 20);
    EXPECT_EQ(rows("contents"), 1);
}

TEST_P(TreeChangeTest, OfTwoRenamesToOneNameAtOnceOneWins) {
    for (int round = 0; round < 5; ++round) {
        const FileId base = folder(root, std::to_string(round)), a = file(base, "a"), b = file(base, "b");
        std::atomic<int> won = 0, taken = 0;
        const auto race = [&](FileId id) {
            try {
                tree.change(user, id, rename("same"));
                ++won;
            } catch (const Error& error) {
                if (error.code() == ErrorCode::nameTaken) ++taken;
            }
        };
        { const std::jthread one(race, a), two(race, b); }
        EXPECT_EQ(won, 1);
        EXPECT_EQ(taken, 1);
    }
}

TEST_P(TreeChangeTest, TwoMovesIntoEachOtherAtOnceMakeNoCycle) {
    for (int round = 0; round < 5; ++round) {
        const FileId base = folder(root, std::to_string(round)), a = folder(base, "a"), b = folder(base, "b");
        std::atomic<int> refused = 0;
        const auto race = [&](FileId id, FileId into) {
            try {
                tree.change(user, id, moveTo(into));
            } catch (const Error& error) {
                if (error.code() == ErrorCode::conflict) ++refused;
            }
        };
        { const std::jthread one(race, a, b), two(race, b, a); }
        EXPECT_EQ(refused, 1);
        EXPECT_EQ(namesIn(base).size(), 1U);
    }
}

CATALOG_SUITE(TreeChangeTest);

}  // namespace
}  // namespace chunkvault::catalog
