#include <random>

#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

class TreeReadTest : public TreeTest {
  protected:
    // All pages of a list, each limit long but the last.
    template <typename Next>
    std::vector<Entry> allOf(int limit, Next&& next) {
        std::vector<Entry> all;
        std::optional<PageKey> after;
        do {
            Page page = next(after);
            EXPECT_LE(std::ssize(page.items), limit);
            EXPECT_TRUE(!page.next || std::ssize(page.items) == limit);
            all.insert(all.end(), page.items.begin(), page.items.end());
            after = page.next;
        } while (after);
        return all;
    }
};

TEST_P(TreeReadTest, AnEntryTellsItsContentAndTimes) {
    const Timestamp made = time.now();
    const Entry put = TreeTest::put(user, root, "Report.pdf", 700);
    const Entry entry = tree.get(user, put.id);
    EXPECT_EQ(entry.name, "Report.pdf");
    EXPECT_EQ(entry.owner, user);
    EXPECT_EQ(entry.folder, root);
    EXPECT_EQ(entry.kind, Kind::file);
    EXPECT_EQ(entry.state, EntryState::live);
    EXPECT_EQ(entry.version, 1);
    EXPECT_EQ(entry.size, 700);
    EXPECT_EQ(entry.chunkCount, 1);
    EXPECT_TRUE(entry.content.has_value());
    EXPECT_TRUE(entry.sha256Verified);
    EXPECT_EQ(entry.createdAt, made);
    EXPECT_EQ(entry.modifiedAt, made);
    EXPECT_FALSE(entry.trashedAt.has_value());

    const Entry top = tree.get(user, root);
    EXPECT_EQ(top.kind, Kind::folder);
    EXPECT_FALSE(top.folder.has_value());
    EXPECT_FALSE(top.content.has_value());
}

TEST_P(TreeReadTest, WhatIsAnotherOwnersOrNothingOrPurgedIsNotFound) {
    const FileId mine = file(root, "mine");
    const FileId purged = file(root, "purged");
    tree.moveToTrash(user, purged);
    tree.purge(user, purged);
    for (const auto& [owner, id] :
         {std::pair{other, mine}, {user, otherRoot}, {user, FileId{99'999}}, {user, purged}}) {
        EXPECT_EQ(errorOf([&] { (void)tree.get(owner, id); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { (void)tree.get(owner, id, true); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { (void)tree.path(owner, id); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { (void)tree.list(owner, {id}); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { (void)tree.versions(owner, id); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { (void)tree.version(owner, id, 1); }), ErrorCode::notFound);
        EXPECT_FALSE(tree.isWithin(owner, id, id));
    }
}

TEST_P(TreeReadTest, WhatIsInTheTrashOrBelowItShowsOnlyWhenAskedFor) {
    const FileId top = folder(root, "a");
    const FileId inner = folder(top, "b");
    const FileId leaf = file(inner, "leaf");
    tree.moveToTrash(user, top);
    for (const FileId id : {top, inner, leaf}) {
        EXPECT_EQ(errorOf([&] { (void)tree.get(user, id); }), ErrorCode::notFound);
        EXPECT_EQ(tree.get(user, id, true).id, id);
    }
    EXPECT_EQ(errorOf([&] { (void)tree.list(user, {inner}); }), ErrorCode::notFound);
}

TEST_P(TreeReadTest, AFileWhoseFirstUploadIsNotCommittedIsNotYetComplete) {
    const Upload upload = uploads.create(user, {"key", root, name("coming"), 10, time.now(), OnConflict::fail});
    EXPECT_EQ(errorOf([&] { (void)tree.get(user, upload.file); }), ErrorCode::notYetComplete);
    EXPECT_TRUE(namesIn(root).empty());
    EXPECT_TRUE(tree.search(user, {"coming"}).items.empty());
}

TEST_P(TreeReadTest, ThePathGoesFromBelowTheRootToTheEntry) {
    const FileId leaf = file(folder(root, "a/b"), "leaf");
    Names names;
    for (const Entry& entry : tree.path(user, leaf)) names.push_back(entry.name);
    EXPECT_EQ(names, (Names{"a", "b", "leaf"}));
    EXPECT_TRUE(tree.path(user, root).empty());
}

TEST_P(TreeReadTest, TheExtentOfAFolderIsWhatIsLiveBelowIt) {
    const FileId top = folder(root, "top"), below = folder(top, "d\u00e9");
    file(root, "beside");
    file(top, "a");
    file(below, "\u65c5");
    EXPECT_EQ(tree.extent(user, top, 10).entries, 3);
    EXPECT_EQ(tree.extent(user, top, 10).pathBytes, 7 + 5 + 11);  // "top/d\u00e9", "top/a", "top/d\u00e9/\u65c5"
    EXPECT_EQ(tree.extent(user, top, 2).entries, 3);
    EXPECT_EQ(tree.extent(user, top, 1).entries, 2);  // more are not counted
    EXPECT_EQ(tree.extent(user, root, 10).entries, 5);
    tree.moveToTrash(user, below);
    EXPECT_EQ(tree.extent(user, top, 10).entries, 1);
    EXPECT_EQ(tree.extent(user, below, 10).entries, 1);
    EXPECT_EQ(tree.extent(other, top, 10).entries, 0);
}

TEST_P(TreeReadTest, OnlyAFolderCanBeListed) {
    EXPECT_EQ(errorOf([&] { (void)tree.list(user, {file(root, "file")}); }), ErrorCode::notFound);
}

TEST_P(TreeReadTest, PagesTogetherAreTheSortedListInEveryOrder) {
    std::mt19937 random(7);
    const Names pieces{"a",  "B", "z", "é", "Ä", "ß", "日本",   "Ж",     "😀",
                       "10", "9", " ", ".", "%", "_", "\uFFFD", "\uE000"};
    const auto any = [&](std::size_t count) { return random() % count; };
    for (int i = 0; i < 60; ++i) {
        std::string text = std::to_string(any(3));
        for (auto part = any(3) + 1; part > 0; --part) text += pieces[any(pieces.size())];
        time.set(1'800'000'000 * secondUs + static_cast<Timestamp>(any(5)) * hourUs);
        if (any(3) == 0) tree.makeFolders(user, folder(root, "box"), path(text + "d"));
        else put(user, folder(root, "box"), text, static_cast<std::int64_t>(any(4)));
    }
    const FileId box = folder(root, "box");
    for (const SortBy sort : {SortBy::name, SortBy::size, SortBy::modifiedAt})
        for (const bool descending : {false, true}) {
            const auto listed = [&](int limit) {
                return allOf(limit, [&](const auto& after) {
                    return tree.list(
                        user, {.folder = box, .sort = sort, .descending = descending, .limit = limit, .after = after});
                });
            };
            const auto ids = [](const std::vector<Entry>& entries) {
                std::vector<FileId> values;
                for (const Entry& entry : entries) values.push_back(entry.id);
                return values;
            };
            std::vector<Entry> sorted = listed(1000);
            ASSERT_EQ(std::ssize(sorted), *number("SELECT COUNT(*) FROM files WHERE folder_id = $1", {box}));
            const auto key = [&](const Entry& entry) {
                const std::int64_t value = sort == SortBy::size         ? entry.size
                                           : sort == SortBy::modifiedAt ? entry.modifiedAt
                                                                        : 0;
                return std::tuple(value, FileName::parse(entry.name).key(), entry.id);
            };
            const auto given = ids(sorted);
            std::ranges::sort(sorted, [&](const Entry& a, const Entry& b) {
                if (a.kind != b.kind) return a.kind == Kind::folder;
                return descending ? key(b) < key(a) : key(a) < key(b);
            });
            EXPECT_EQ(given, ids(sorted)) << "sort " << static_cast<int>(sort) << (descending ? " descending" : "");
            for (const int limit : {1, 3, 7}) EXPECT_EQ(ids(listed(limit)), given);
        }
}

TEST_P(TreeReadTest, SearchFindsPartsOfNamesWithTheirPaths) {
    const FileId a = folder(root, "Archive");
    file(a, "Straße 100%.txt");
    file(folder(a, "x_y"), "notes \\ old.txt");
    file(root, "ÉTÉ.txt");
    put(other, otherRoot, "other.txt", 1);
    const FileId gone = folder(root, "gone/deep");
    file(gone, "lost.txt");
    const FileId trashed = file(root, "thrown.txt");
    tree.moveToTrash(user, trashed);
    tree.moveToTrash(user, *tree.get(user, gone).folder);

    const struct {
        const char* text;
        Names paths;
    } cases[] = {
        {"STRASSE", {"/Archive/Straße 100%.txt"}},
        {"%", {"/Archive/Straße 100%.txt"}},
        {"_", {"/Archive/x_y"}},
        {"\\", {"/Archive/x_y/notes \\ old.txt"}},
        {"été", {"/ÉTÉ.txt"}},
        {"e\u0301t", {"/ÉTÉ.txt"}},
        {"arch", {"/Archive"}},
        {"lost", {}},
        {"deep", {}},
        {"thrown", {}},
        {"other", {}},
        {".txt", {"/Archive/x_y/notes \\ old.txt", "/Archive/Straße 100%.txt", "/ÉTÉ.txt"}},
    };
    for (const auto& test : cases)
        for (const int limit : {1, 100}) {
            const auto found = allOf(limit, [&](const auto& after) {
                return tree.search(user, {test.text, limit, after});
            });
            Names paths;
            for (const Entry& entry : found) paths.push_back(entry.path);
            EXPECT_EQ(paths, test.paths) << test.text;
        }
    EXPECT_EQ(errorOf([&] { (void)tree.search(user, {""}); }), ErrorCode::invalidValue);
}

TEST_P(TreeReadTest, TheTrashShowsTopEntriesNewestFirstWithWhereTheyWere) {
    const FileId a = folder(root, "a");
    file(a, "below");
    const FileId b = file(folder(root, "in"), "b"), c = file(root, "c"), d = file(root, "d");
    for (const FileId id : {a, b}) {
        tree.moveToTrash(user, id);
        time.advance(secondUs);
    }
    for (const FileId id : {c, d}) tree.moveToTrash(user, id);
    for (const int limit : {1, 2, 100}) {
        const auto entries = allOf(limit, [&](const auto& after) { return tree.trash(user, limit, after); });
        Names paths;
        for (const Entry& entry : entries) paths.push_back(entry.path);
        EXPECT_EQ(paths, (Names{"/d", "/c", "/in/b", "/a"}));
    }
    EXPECT_TRUE(tree.trash(other, 10, std::nullopt).items.empty());
}

TEST_P(TreeReadTest, VersionsComeNewestFirst) {
    const FileId id = put(user, root, "f", 10, "one").id;
    put(user, root, "f", 20, "two");
    const auto versions = tree.versions(user, id);
    ASSERT_EQ(versions.size(), 2U);
    EXPECT_EQ(versions[0].number, 2);
    EXPECT_EQ(versions[0].size, 20);
    EXPECT_EQ(versions[1].number, 1);
    EXPECT_EQ(tree.version(user, id, 1).size, 10);
    EXPECT_EQ(errorOf([&] { (void)tree.version(user, id, 3); }), ErrorCode::notFound);
}

TEST_P(TreeReadTest, WithinIsTheFolderItselfAndAllBelowWhileAllIsLive) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), leaf = file(b, "leaf"), beside = file(root, "beside");
    const struct {
        UserId owner;
        FileId file, folder;
        bool within;
    } cases[] = {{user, leaf, a, true}, {user, leaf, b, true},    {user, leaf, root, true},    {user, a, a, true},
                 {user, a, b, false},   {user, beside, a, false}, {user, leaf, beside, false}, {other, leaf, a, false}};
    for (const auto& test : cases) EXPECT_EQ(tree.isWithin(test.owner, test.file, test.folder), test.within);
    tree.moveToTrash(user, a);
    EXPECT_FALSE(tree.isWithin(user, leaf, b));
    EXPECT_FALSE(tree.isWithin(user, leaf, a));
}

CATALOG_SUITE(TreeReadTest);

}  // namespace
}  // namespace chunkvault::catalog
