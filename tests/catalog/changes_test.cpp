#include "database/catalog/changes.h"

#include <atomic>
#include <functional>
#include <limits>
#include <map>

#include <gmock/gmock.h>

#include "database/catalog/change_log.h"
#include "database/catalog/shares.h"
#include "tests/catalog/parallel.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ChangesTest : public TreeTest {
  protected:
    // What every item says, as "kind id@folder share*count".
    [[nodiscard]] std::vector<std::string> told(const ChangesPage& page) const {
        std::vector<std::string> texts;
        for (const ChangeItem& item : page.items) {
            std::string text(textOf(item.kind));
            if (item.now) text += ' ' + item.now->name;
            else if (item.entry) text += " gone";
            if (item.folder && item.folder != root) text += " in " + nameOf(*item.folder);
            if (item.count != 1) text += " *" + std::to_string(item.count);
            texts.push_back(text);
        }
        return texts;
    }
    [[nodiscard]] std::string nameOf(FileId folder) const {
        return const_cast<ChangesTest*>(this)->tree.get(user, folder, true).name;
    }
    Revision now() { return changes.after(user, std::nullopt).next; }
    ChangesPage since(Revision revision) {
        ChangesPage page = changes.after(user, revision);
        EXPECT_FALSE(page.reset);
        return page;
    }
    Share share(FileId file, std::string_view token = "link") {
        return shares.create(user, {file, {}, {}, {}}, "salt", [&](ShareId) { return Sha256Digest::of(token); });
    }
    void download(const Share& share, FileId file) {
        shares.spend(share.id, file, 1, 100, 100, Sha256Digest::of("ticket " + std::to_string(++tickets_)));
    }
    std::vector<FileId> files(FileId base, int count) {
        std::vector<FileId> made;
        for (int i = 0; i < count; ++i) made.push_back(file(base, "many " + std::to_string(i)));
        return made;
    }
    // As a database that was put back to before a change, and went on with others.
    void putBack(Revision to) {
        database().write([&](Session& session) {
            session.execute("DELETE FROM changes WHERE owner_id = $1 AND seq > $2", {user, to.seq});
            session.execute("UPDATE users SET seq = $1, seq_stamp = $2 WHERE id = $3", {to.seq, to.stamp, user});
        });
    }

    Shares shares{database(), clock()};
    Changes changes{database(), clock()};

  private:
    std::atomic<int> tickets_ = 0;
};

TEST_P(ChangesTest, EachOperationTellsWhatItChanged) {
    const FileId a = folder(root, "a"), f = file(root, "f"), g = file(a, "g"), old = file(root, "old"),
                 lost = file(root, "lost");
    put(user, root, "old", 2);
    tree.moveToTrash(user, lost);
    std::optional<ContentId> content = tree.get(user, f).content;
    FileId made{};
    const struct {
        const char* what;
        std::function<void()> work;
        std::vector<std::string> told;
    } cases[] = {
        {"make folders", [&] { made = folder(root, "x/y"); }, {"created x", "created y in x"}},
        {"the same again", [&] { (void)folder(root, "x/y"); }, {}},
        {"upload", [&] { (void)file(made, "new"); }, {"uploaded new in y"}},
        {"upload into new folders", [&] { (void)folder(made, "z"); }, {"created z in y"}},
        {"new version", [&] { put(user, root, "f", 7); }, {"version f"}},
        {"the same version", [&] { put(user, root, "f", 7); }, {"changed f"}},
        {"rename", [&] { tree.change(user, f, {.name = name("F2")}); }, {"renamed F2"}},
        {"set time", [&] { tree.change(user, f, {.modifiedAt = 5}); }, {"changed F2"}},
        {"change nothing", [&] { tree.change(user, f, {.name = name("F2")}); }, {}},
        {"move", [&] { tree.change(user, f, {.folder = a}); }, {"moved F2 in a"}},
        {"move to a name that is taken",
         [&] {
             (void)file(root, "F2");
             (void)errorOf([&] { tree.change(user, f, {.folder = root}); });
         },
         {"uploaded F2"}},
        {"copy", [&] { tree.copy(user, a, root, name("copy"), OnConflict::fail); }, {"created copy"}},
        {"old version back", [&] { tree.restoreVersion(user, old, 1); }, {"version old"}},
        {"delete version", [&] { tree.deleteVersion(user, old, 2); }, {"changed old"}},
        {"hash verified",
         [&] { chunks.contentVerified(*content, Sha256Digest::of(std::string_view("x"))); },
         {"account"}},
        {"trash", [&] { tree.moveToTrash(user, f); }, {"trashed F2 in a"}},
        {"restore", [&] { tree.restore(user, f, root, OnConflict::keepBoth); }, {"restored F2 (2)"}},
        {"purge", [&] { tree.purge(user, lost); }, {"purged gone", "account", "trash"}},
        {"trash and empty it",
         [&] {
             tree.moveToTrash(user, old);
             (void)tree.emptyTrash(user);
         },
         {"trashed gone", "account", "trash"}},
        {"several, one of them not there",
         [&] {
             (void)tree.trashAll(user, std::vector{g, FileId{9999}, f});
         },
         {"trashed g in a", "trashed F2 (2)"}},
        {"expire the trash", [&] { (void)tree.expireTrash(time.now() + 1, 100); }, {"purged gone", "purged gone"}},
        {"remove rows", [&] { (void)tree.purgeStep(100); }, {"account", "trash"}},
        {"quota of another account", [&] { tree.makeFolders(other, otherRoot, path("q")); }, {}},
        {"account", [&] { accounts.change(user, {.state = UserState::active}); }, {"account"}},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.what);
        const Revision before = now();
        c.work();
        const ChangesPage page = since(before);
        EXPECT_EQ(told(page), c.told);
        EXPECT_FALSE(page.more);
        EXPECT_EQ(page.next, now());
        EXPECT_THAT(since(page.next).items, IsEmpty());
    }
}

TEST_P(ChangesTest, LinksTellWhatHappensToThemAndWhoDownloads) {
    const FileId a = folder(root, "a"), f = file(root, "f"), g = file(a, "g");
    std::optional<Share> link, folderLink;
    const struct {
        const char* what;
        std::function<void()> work;
        std::vector<std::string> told;
    } cases[] = {
        {"make", [&] { link = share(f); }, {"share_created f"}},
        {"make for a folder", [&] { folderLink = share(a, "folder"); }, {"share_created a"}},
        {"change", [&] { shares.change(user, link->id, {.maxDownloads = 5}); }, {"share_changed f"}},
        {"download", [&] { download(*link, f); }, {"share_downloaded f"}},
        {"several downloads",
         [&] {
             download(*link, f);
             download(*folderLink, g);
             download(*link, f);
         },
         {"share_downloaded f *2", "share_downloaded g"}},
        {"downloads with a look between them",
         [&] {
             download(*link, f);
             (void)now();
             tree.change(user, f, {.name = name("F")});
             download(*link, f);
         },
         {"renamed F", "share_downloaded F *2"}},
        {"a download that is refused", [&] { (void)errorOf([&] { download(*link, f); }); }, {}},
        {"revoke", [&] { shares.revoke(user, link->id); }, {"share_revoked F"}},
        {"forget", [&] { (void)shares.expire(time.now() + 1, {}, 100); }, {"share_revoked"}},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.what);
        const Revision before = now();
        c.work();
        EXPECT_EQ(told(since(before)), c.told);
    }
}

TEST_P(ChangesTest, ADownloadTellsItsLinkFileAndTime) {
    const FileId f = file(root, "f");
    const Share link = share(f);
    const Revision before = now();
    time.advance(5 * secondUs);
    const auto seqBefore = seq();
    download(link, f);
    EXPECT_EQ(seq(), seqBefore) << "a download waits for no lock of the owner's";
    const Timestamp then = time.now();
    time.advance(5 * secondUs);
    const auto page = since(before);
    ASSERT_EQ(page.items.size(), 1u);
    EXPECT_EQ(page.items[0].share, link.id);
    EXPECT_EQ(page.items[0].entry, f);
    EXPECT_EQ(page.items[0].at, then);
    EXPECT_EQ(page.items[0].now->name, "f");
}

TEST_P(ChangesTest, AnEntryComesOnceAsItIsNow) {
    const FileId a = folder(root, "a");
    const Revision before = now();
    const FileId f = file(root, "f");
    tree.change(user, f, {.name = name("g")});
    (void)folder(root, "b");
    tree.change(user, f, {.folder = a});
    tree.moveToTrash(user, f);
    EXPECT_THAT(told(since(before)), ElementsAre("created b", "trashed g in a"));
}

TEST_P(ChangesTest, ManyEntriesAtOnceAreToldAsTheirFolders) {
    const FileId a = folder(root, "a"), b = folder(root, "b");
    const auto many = files(a, ChangeNotes::maxEntries + 1);
    Revision before = now();
    EXPECT_EQ(changesOf([&] { (void)tree.moveAll(user, many, b, OnConflict::fail); }), 1);
    EXPECT_THAT(told(since(before)), ElementsAre("folder in a", "folder in b"));
    before = now();
    (void)tree.trashAll(user, many);
    EXPECT_THAT(told(since(before)), ElementsAre("folder in b", "trash"));
    before = now();
    (void)tree.restoreAll(user, std::span(many).first(ChangeNotes::maxEntries), OnConflict::fail);
    EXPECT_EQ(since(before).items.size(), static_cast<std::size_t>(ChangeNotes::maxEntries));
}

TEST_P(ChangesTest, TooManyFoldersAtOnceAreEverything) {
    ChangeNotes notes(0);
    for (int i = 0; i <= ChangeNotes::maxFolders; ++i)
        notes.entry(ChangeKind::created, FileId{i + 1}, FileId{i + 1000});
    ASSERT_EQ(notes.rows().size(), 1u);
    EXPECT_EQ(notes.rows().front().kind, ChangeKind::everything);
    notes.cutTo(3);
    EXPECT_EQ(notes.rows().size(), 3u);
    for (int i = 0; i <= ChangeNotes::maxEvents; ++i) notes.share(ChangeKind::shareRevoked, ShareId{i + 1}, FileId{});
    EXPECT_EQ(notes.rows().front().kind, ChangeKind::everything);
}

TEST_P(ChangesTest, PagesHaveNoGapAndEndAtAWholeChange) {
    const FileId a = folder(root, "a");
    const Revision before = now();
    std::vector<FileId> made;
    // 45 changes of 31 entries each are three pages.
    for (int i = 0; i < 45; ++i) {
        std::string deep = "d" + std::to_string(i);
        (void)folder(i % 2 == 0 ? a : root, deep + "/1/2");
        for (int j = 0; j < 10; ++j) (void)folder(root, "e" + std::to_string(i * 10 + j));
    }
    std::vector<FileId> seen;
    Revision at = before;
    int pages = 0;
    for (bool more = true; more; ++pages) {
        const auto page = since(at);
        EXPECT_FALSE(page.items.empty());
        for (const auto& item : page.items) seen.push_back(*item.entry);
        EXPECT_GT(page.next.seq, at.seq);
        at = page.next;
        more = page.more;
    }
    EXPECT_EQ(pages, 2);
    EXPECT_EQ(at, now());
    EXPECT_EQ(seen.size(), 45u * 13u);
    EXPECT_TRUE(std::ranges::is_sorted(seen)) << "ids are given in the order of the changes";
}

TEST_P(ChangesTest, ACursorOfAnotherHistoryIsReset) {
    const Revision start = now();
    (void)folder(root, "a");
    const Revision kept = now();
    (void)folder(root, "b");
    const Revision lost = now();
    (void)folder(root, "c");
    const Revision farther = now();
    putBack(kept);
    const auto isReset = [&](Revision revision) {
        const auto page = changes.after(user, revision);
        EXPECT_EQ(page.next, now());
        EXPECT_TRUE(!page.reset || page.items.empty());
        return page.reset;
    };
    EXPECT_TRUE(isReset(lost)) << "from the future";
    EXPECT_FALSE(isReset(kept));
    (void)folder(root, "n1");
    EXPECT_EQ(now().seq, lost.seq);
    EXPECT_TRUE(isReset(lost)) << "the same number, another change";
    for (const char* more : {"n2", "n3"}) (void)folder(root, more);
    EXPECT_TRUE(isReset(lost)) << "in the middle of other changes";
    EXPECT_TRUE(isReset(farther));
    EXPECT_FALSE(isReset(kept));
    EXPECT_FALSE(isReset(start));
    EXPECT_TRUE(isReset({-1, 0}));
    EXPECT_TRUE(isReset({0, 12345}));
    EXPECT_TRUE(isReset({std::numeric_limits<std::int64_t>::max(), 0}));
}

TEST_P(ChangesTest, OldChangesGoAndTheirCursorsAreReset) {
    const Revision first = now();
    const Share link = share(file(root, "f"));
    const Revision second = now();
    time.advance(hourUs);
    (void)folder(root, "b");
    download(link, link.file);
    EXPECT_EQ(changes.expire(time.now() - minuteUs, {}, 100).changed, 2);
    EXPECT_TRUE(changes.after(user, first).reset);
    EXPECT_THAT(told(since(second)), ElementsAre("created b", "share_downloaded f"));
    download(link, link.file);
    EXPECT_EQ(changes.expire(time.now() + minuteUs, {}, 100).changed, 2);
    EXPECT_EQ(rows("changes"), 0);
    EXPECT_EQ(rows("share_downloads"), 0);
    EXPECT_TRUE(changes.after(user, second).reset);
    EXPECT_FALSE(changes.after(user, now()).reset) << "nothing came after it";
}

TEST_P(ChangesTest, NoMoreIsKeptThanRowsKept) {
    database().write([&](Session& session) {
        // As after many changes: the log is full up to the next change that trims.
        const std::int64_t last = (Changes::rowsKept / 256 + 3) * 256 - 1;
        for (std::int64_t at = 1; at <= last; ++at)
            session.executeLater(
                "INSERT INTO changes (owner_id, seq, n, before_stamp, what, at, entry_id, folder_id, share_id, count)"
                " VALUES ($1, $2, 0, 7, 'account', 0, 0, 0, 0, 1)",
                {user, at});
        session.execute("UPDATE users SET seq = $1, seq_stamp = 7 WHERE id = $2", {last, user});
    });
    (void)folder(root, "one more");
    EXPECT_EQ(rows("changes"), Changes::rowsKept);
    const auto seqNow = now().seq;
    EXPECT_TRUE(changes.after(user, Revision{1, 7}).reset);
    EXPECT_TRUE(changes.after(user, Revision{seqNow - Changes::rowsKept - 1, 7}).reset);
    EXPECT_FALSE(changes.after(user, Revision{seqNow - Changes::rowsKept, 7}).reset);
}

TEST_P(ChangesTest, ThosePolledShowRevisionAndDownloads) {
    const Share link = share(file(root, "f"));
    const auto polled = [&] {
        std::map<UserId, Changes::State> states;
        for (const auto& state : changes.poll(std::vector{user, other, UserId{9999}}))
            states.emplace(state.owner, state);
        return states;
    };
    EXPECT_EQ(polled().size(), 2u);
    EXPECT_EQ(polled().at(user).revision, now());
    EXPECT_FALSE(polled().at(user).downloads);
    download(link, link.file);
    EXPECT_TRUE(polled().at(user).downloads);
    EXPECT_FALSE(polled().at(other).downloads);
    (void)now();
    EXPECT_FALSE(polled().at(user).downloads);
    EXPECT_EQ(polled().at(user).revision, now());
}

TEST_P(ChangesTest, NothingIsLostBetweenWritersDownloadsAndReaders) {
    const FileId f = file(root, "f");
    const Share link = share(f);
    constexpr int rounds = 20;
    Revision at = now();
    std::int64_t downloads = 0, folders = 0;
    const auto look = [&] {
        const auto page = since(at);
        for (const auto& item : page.items) {
            if (item.kind == ChangeKind::shareDownloaded) downloads += item.count;
            if (item.kind == ChangeKind::created) ++folders;
        }
        at = page.next;
    };
    inParallel(3, [&](int thread) {
        for (int i = 0; i < rounds; ++i) {
            if (thread == 0) look();
            else if (thread == 1) download(link, f);
            else (void)folder(root, "d" + std::to_string(i));
        }
    });
    look();
    EXPECT_EQ(downloads, rounds);
    EXPECT_EQ(folders, rounds);
}

TEST_P(ChangesTest, AnUnknownAccountIsNotFound) {
    EXPECT_EQ(errorOf([&] { (void)changes.after(UserId{9999}, std::nullopt); }), ErrorCode::notFound);
}

CATALOG_SUITE(ChangesTest);

}  // namespace
}  // namespace chunkvault::catalog
