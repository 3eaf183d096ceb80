#include <functional>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "tests/catalog/answer_cutter.h"
#include "tests/catalog/vault_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class UploadsTest : public VaultTest {};

std::string text(std::size_t size, char first = 'a') {
    std::string made(size, '\0');
    for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(first + static_cast<char>((i / 7 + i) % 26));
    return made;
}

TEST_P(UploadsTest, AreFoundByTheFileThatIsReservedForThemWhileTheyAreOpen) {
    const User alice = makeUser("alice"), bob = makeUser("bob");
    const std::string content = text(250);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a.txt", content));
    const Upload other = uploads.create(alice.id, newUpload(alice, "other", "b.txt", content));
    sendAll(upload.id, content);
    const auto found = uploads.openFor(alice.id, upload.file);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, upload.id);
    EXPECT_EQ(found->bytesStored, 250);
    EXPECT_EQ(uploads.openFor(alice.id, other.file)->bytesStored, 0);
    EXPECT_FALSE(uploads.openFor(bob.id, upload.file));
    uploads.end(other.id);
    EXPECT_FALSE(uploads.openFor(alice.id, other.file));
}

TEST_P(UploadsTest, BecomeAFileWhenCommitted) {
    const User alice = makeUser("alice");
    const std::string content = text(250);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a.txt", content));
    EXPECT_EQ(upload.chunkSize, chunkSize);
    EXPECT_THAT(tree.list(alice.id, {.folder = alice.root}).items, IsEmpty());
    sendAll(upload.id, content);
    EXPECT_EQ(uploads.get(upload.id, true).chunksStored, 3);
    EXPECT_EQ(uploads.get(upload.id, true).bytesStored, 250);
    const std::int64_t seqBefore = accounts.find(alice.id)->revision.seq;

    const CommittedFile file = uploads.commit(upload.id, rootOfText(content), ChunkId::of(content));
    EXPECT_EQ(file.entry.id, upload.file);
    EXPECT_TRUE(file.newVersion);
    EXPECT_EQ(file.entry.size, 250);
    EXPECT_EQ(file.entry.chunkCount, 3);
    EXPECT_EQ(file.entry.root, rootOfText(content));
    EXPECT_EQ(file.entry.sha256, ChunkId::of(content));
    EXPECT_FALSE(file.entry.sha256Verified);
    EXPECT_EQ(tree.list(alice.id, {.folder = alice.root}).items.size(), 1u);
    const User after = *accounts.find(alice.id);
    EXPECT_EQ(after.used, 250);
    EXPECT_EQ(after.reserved, 0);
    EXPECT_GT(after.revision.seq, seqBefore);
}

TEST_P(UploadsTest, AreFoundAgainByTheirKey) {
    const User alice = makeUser("alice");
    const std::string content = text(10);
    bool created = false;
    const NewUpload wanted = newUpload(alice, "k", "a", content);
    const Upload first = uploads.create(alice.id, wanted, &created);
    EXPECT_TRUE(created);
    EXPECT_EQ(uploads.create(alice.id, wanted, &created).id, first.id);
    EXPECT_FALSE(created);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 10);

    NewUpload other = wanted;
    other.size = 11;
    EXPECT_EQ(errorOf([&] { (void)uploads.create(alice.id, other); }), ErrorCode::conflict);

    sendAll(first.id, content);
    (void)uploads.commit(first.id, rootOfText(content), std::nullopt);
    const Upload committed = uploads.create(alice.id, wanted, &created);
    EXPECT_EQ(committed.id, first.id);
    EXPECT_EQ(committed.state, UploadState::committed);

    const User bob = makeUser("bob");
    EXPECT_NE(uploads.create(bob.id, newUpload(bob, "k", "a", content)).id, first.id);
}

TEST_P(UploadsTest, AreFoundAgainByWhoNamesNoTime) {
    const User alice = makeUser("alice");
    NewUpload wanted = newUpload(alice, "k", "a", text(10));
    wanted.modifiedAt.reset();
    const Upload first = uploads.create(alice.id, wanted);
    EXPECT_EQ(first.modifiedAt, time.now());
    time.advance(hourUs);
    EXPECT_EQ(uploads.create(alice.id, wanted).id, first.id);
    wanted.modifiedAt = first.modifiedAt;
    EXPECT_EQ(uploads.create(alice.id, wanted).id, first.id);
    wanted.modifiedAt = time.now();
    EXPECT_EQ(errorOf([&] { (void)uploads.create(alice.id, wanted); }), ErrorCode::conflict);
}

TEST_P(UploadsTest, BeginAnewWhenTheFormerOneEnded) {
    const User alice = makeUser("alice");
    const NewUpload wanted = newUpload(alice, "k", "a", text(10));
    const Upload first = uploads.create(alice.id, wanted);
    uploads.end(first.id);
    uploads.end(first.id);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 0);
    const Upload second = uploads.create(alice.id, wanted);
    EXPECT_NE(second.id, first.id);
    time.advance((24 * 8) * hourUs);
    EXPECT_NE(uploads.create(alice.id, wanted).id, second.id);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 10);
}

TEST_P(UploadsTest, BeginAnewWhenWhatTheyMadeIsGone) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    const NewUpload wanted = newUpload(alice, "k", "a.txt", content);
    const auto send = [&] {
        const Upload upload = uploads.create(alice.id, wanted);
        EXPECT_EQ(upload.state, UploadState::open);
        sendAll(upload.id, content);
        return uploads.commit(upload.id, rootOfText(content), std::nullopt).entry.id;
    };
    const FileId first = send();
    EXPECT_EQ(uploads.create(alice.id, wanted).state, UploadState::committed);
    tree.moveToTrash(alice.id, first);
    EXPECT_EQ(uploads.create(alice.id, wanted).state, UploadState::committed) << "it is in the trash";
    tree.purge(alice.id, first);
    const FileId second = send();
    EXPECT_NE(second, first);

    for (std::int64_t version = 2; version <= treeLimits.versionsKeep + 1; ++version)
        (void)put(alice, "a.txt", text(100 + static_cast<std::size_t>(version)));
    EXPECT_EQ(uploads.create(alice.id, wanted).state, UploadState::open) << "the version was dropped";
}

TEST_P(UploadsTest, OfADisabledAccountAreNotCommittedAtOnce) {
    const User alice = makeUser("alice");
    std::vector<PinnedChunk> pinned;
    const std::string content = text(50);
    const UploadId intake = uploads.openIntake(alice.id, cut(content), pinned);
    const StoredChunk stored{0, pinned[0].row, pinned[0].generation, stores};
    (void)makeUser("bob");
    accounts.change(alice.id, {.state = UserState::disabled});
    const NewFile file{alice.root,           {},         FileName::parse("a"), 50, 0, 1,
                       ChunkId::of(content), time.now(), OnConflict::fail};
    EXPECT_EQ(errorOf([&] {
                  (void)uploads.commitFiles(alice.id, intake, {&stored, 1}, {&file, 1});
              }),
              ErrorCode::unauthorized);
    accounts.change(alice.id, {.state = UserState::active});
    EXPECT_THAT(tree.list(alice.id, {.folder = alice.root}).items, IsEmpty());
}

TEST_P(UploadsTest, LiveSevenDaysAfterTheirLastByte) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    time.advance((24 * 6) * hourUs);
    send(upload.id, cut(content)[0]);
    time.advance((24 * 6) * hourUs);
    send(upload.id, cut(content)[1]);
    time.advance((24 * 7) * hourUs);
    EXPECT_EQ(errorOf([&] { (void)uploads.pin(upload.id, cut(content)[0]); }), ErrorCode::uploadExpired);
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText(content), std::nullopt); }),
              ErrorCode::uploadExpired);
    EXPECT_EQ(uploads.expire(100), 1);
    EXPECT_EQ(uploads.expire(100), 0);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 0);
    EXPECT_EQ(errorOf([&] { (void)uploads.get(upload.id); }), ErrorCode::notFound);
    EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks"), 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM files WHERE state = 'reserved'"), 0);
}

TEST_P(UploadsTest, ExpireEvenWhileTheirOwnerIsDeleted) {
    const User alice = makeUser("alice"), bob = makeUser("bob");
    (void)uploads.create(alice.id, newUpload(alice, "k", "a", text(10)));
    (void)uploads.create(bob.id, newUpload(bob, "k", "a", text(10)));
    accounts.beginDelete(alice.id);
    time.advance((24 * 8) * hourUs);
    EXPECT_EQ(uploads.expire(100), 2);
    EXPECT_EQ(number("SELECT COUNT(*) FROM uploads"), 0);
}

TEST_P(UploadsTest, AskOnlyForWhatIsMissing) {
    const User alice = makeUser("alice");
    const std::string content = text(350);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    const auto all = cut(content);
    EXPECT_THAT(uploads.have(upload.id, all), ElementsAre(0, 1, 2, 3));
    send(upload.id, all[1]);
    send(upload.id, all[3]);
    EXPECT_THAT(uploads.have(upload.id, all), ElementsAre(0, 2));
    (void)uploads.pin(upload.id, all[0]);  // pinned is not stored
    EXPECT_THAT(uploads.have(upload.id, all), ElementsAre(0, 2));
}

TEST_P(UploadsTest, NeedNoBytesOfWhatTheOwnerHasAlready) {
    const User alice = makeUser("alice"), bob = makeUser("bob");
    const std::string content = text(350);
    (void)put(alice, "a", content);
    const Upload again = uploads.create(alice.id, newUpload(alice, "other", "b", content));
    EXPECT_THAT(uploads.have(again.id, cut(content)), IsEmpty());
    EXPECT_EQ(uploads.commit(again.id, rootOfText(content), std::nullopt).entry.size, 350);

    // A known hash is not a key: who has not the bytes is asked for all of them.
    const Upload bobs = uploads.create(bob.id, newUpload(bob, "k", "b", content));
    EXPECT_THAT(uploads.have(bobs.id, cut(content)), ElementsAre(0, 1, 2, 3));
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(bobs.id, rootOfText(content), std::nullopt); }),
              ErrorCode::uploadIncomplete);
}

TEST_P(UploadsTest, AskAgainForChunksThatLostTheirQuorum) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    (void)put(alice, "a", content);
    chunks.setStoreState(stores[0], StoreState::down);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "b", content));
    EXPECT_THAT(uploads.have(upload.id, cut(content)), IsEmpty());
    chunks.setStoreState(stores[1], StoreState::down);
    EXPECT_THAT(uploads.have(upload.id, cut(content)), ElementsAre(0, 1));
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText(content), std::nullopt); }),
              ErrorCode::uploadIncomplete);
    chunks.setStoreState(stores[1], StoreState::up);
    EXPECT_NO_THROW((void)uploads.commit(upload.id, rootOfText(content), std::nullopt));
}

TEST_P(UploadsTest, RefuseChunksThatDoNotFit) {
    const User alice = makeUser("alice");
    const std::string content = text(250);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    const ChunkId id = ChunkId::of(content);
    for (const DeclaredChunk& bad :
         {DeclaredChunk{-1, 100, id}, {3, 100, id}, {0, 99, id}, {0, 101, id}, {2, 100, id}, {INT64_MAX, 1, id}}) {
        EXPECT_EQ(errorOf([&] { (void)uploads.pin(upload.id, bad); }), ErrorCode::invalidValue) << bad.index;
        EXPECT_EQ(errorOf([&] { (void)uploads.have(upload.id, {&bad, 1}); }), ErrorCode::invalidValue) << bad.index;
    }
}

TEST_P(UploadsTest, NameTheChunksThatHaveToBeSent) {
    const User alice = makeUser("alice");
    const std::string content = text(450);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    send(upload.id, cut(content)[1]);
    send(upload.id, cut(content)[3]);
    try {
        (void)uploads.commit(upload.id, rootOfText(content), std::nullopt);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::uploadIncomplete);
        EXPECT_THAT(error.publicMessage(), HasSubstr("0, 2, 4"));
    }
}

TEST_P(UploadsTest, RefuseAnotherRoot) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    sendAll(upload.id, content);
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText("x"), std::nullopt); }),
              ErrorCode::checksumMismatch);
    EXPECT_NO_THROW((void)uploads.commit(upload.id, rootOfText(content), std::nullopt));
}

TEST_P(UploadsTest, GiveOneResultHoweverOftenTheyAreCommitted) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    sendAll(upload.id, content);
    const CommittedFile first = uploads.commit(upload.id, rootOfText(content), std::nullopt);
    const CommittedFile again = uploads.commit(upload.id, rootOfText(content), std::nullopt);
    EXPECT_EQ(again.entry.id, first.entry.id);
    EXPECT_EQ(again.entry.version, first.entry.version);
    EXPECT_EQ(again.newVersion, first.newVersion);
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText("x"), std::nullopt); }), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { (void)uploads.pin(upload.id, cut(content)[0]); }), ErrorCode::conflict);
    EXPECT_EQ(accounts.find(alice.id)->used, 150);
}

TEST_P(UploadsTest, OfTheSameContentMakeNoNewVersion) {
    const User alice = makeUser("alice");
    EXPECT_TRUE(put(alice, "a", text(150)).newVersion);
    const CommittedFile again = put(alice, "a", text(150));
    EXPECT_FALSE(again.newVersion);
    EXPECT_EQ(again.entry.version, 1);
    EXPECT_EQ(accounts.find(alice.id)->used, 150);
    EXPECT_EQ(put(alice, "a", text(151)).entry.version, 2);
    EXPECT_EQ(accounts.find(alice.id)->used, 301);
}

TEST_P(UploadsTest, TakeEmptyFiles) {
    const User alice = makeUser("alice");
    const CommittedFile file = put(alice, "empty", "");
    EXPECT_EQ(file.entry.size, 0);
    EXPECT_EQ(file.entry.chunkCount, 0);
    EXPECT_EQ(putAtOnce(alice, "empty2", "").file->entry.size, 0);
}

TEST_P(UploadsTest, FollowTheirPolicyOnConflict) {
    const User alice = makeUser("alice");
    const FileId first = put(alice, "a.txt", "one").entry.id;
    EXPECT_EQ(put(alice, "A.TXT", "two").entry.id, first);
    const CommittedFile kept = put(alice, "a.txt", "three", OnConflict::keepBoth);
    EXPECT_NE(kept.entry.id, first);
    EXPECT_EQ(kept.entry.name, "a (2).txt");
    EXPECT_EQ(errorOf([&] { (void)put(alice, "a.txt", "four", OnConflict::fail); }), ErrorCode::nameTaken);
    const FileOutcome refused = putAtOnce(alice, "a.txt", "five", OnConflict::fail);
    ASSERT_TRUE(refused.error);
    EXPECT_EQ(refused.error->code(), ErrorCode::nameTaken);
    (void)tree.makeFolders(alice.id, alice.root, std::vector{FileName::parse("folder")});
    EXPECT_EQ(errorOf([&] { (void)put(alice, "folder", "six"); }), ErrorCode::nameTaken);
}

TEST_P(UploadsTest, ThatFoundTheirNameTakenAreCommittedWithAnotherPolicy) {
    const User alice = makeUser("alice");
    struct Case {
        OnConflict policy;
        const char* name;
        std::int64_t version;
        bool intoTheOther;
    };
    for (const Case& c : {Case{OnConflict::keepBoth, "a (2)", 1, false}, Case{OnConflict::version, "a", 2, true}}) {
        const std::string content = "slow, then " + std::string(c.name);
        const NewUpload wanted = newUpload(alice, "key of " + content, "a", content, OnConflict::fail);
        const Upload upload = uploads.create(alice.id, wanted);
        const FileId quick = put(alice, "a", "quick").entry.id;
        sendAll(upload.id, content);
        try {
            (void)uploads.commit(upload.id, rootOfText(content), std::nullopt);
            ADD_FAILURE() << "the name was taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::nameTaken);
            EXPECT_THAT(error.publicMessage(), HasSubstr("on_conflict"));
        }
        EXPECT_EQ(uploads.get(upload.id).state, UploadState::open);
        EXPECT_THAT(uploads.have(upload.id, cut(content)), IsEmpty());
        const CommittedFile file = uploads.commit(upload.id, rootOfText(content), std::nullopt, c.policy);
        EXPECT_EQ(file.entry.id, c.intoTheOther ? quick : upload.file);
        EXPECT_EQ(file.entry.name, c.name);
        EXPECT_EQ(file.entry.version, c.version);
        // The answer may have been lost: the policy of the repetition changes nothing, and the key finds the upload.
        EXPECT_EQ(uploads.commit(upload.id, rootOfText(content), std::nullopt).entry.id, file.entry.id);
        EXPECT_EQ(uploads.create(alice.id, wanted).state, UploadState::committed);
        (void)tree.moveToTrash(alice.id, quick);
    }
}

TEST_P(UploadsTest, MayBeCommittedMoreStrictlyThanTheyBegan) {
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "two"));
    (void)put(alice, "a", "one");
    sendAll(upload.id, "two");
    EXPECT_EQ(errorOf([&] { (void)uploads.commit(upload.id, rootOfText("two"), std::nullopt, OnConflict::fail); }),
              ErrorCode::nameTaken);
    EXPECT_EQ(uploads.commit(upload.id, rootOfText("two"), std::nullopt).entry.version, 2);
}

TEST_P(UploadsTest, OfANameThatAppearedMeanwhileBecomeAVersionAndTakeTheirLinksAlong) {
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "slow"));
    const Share share = shares.create(alice.id, {.file = upload.file}, "salt",
                                      [](ShareId) { return ChunkId::of(std::string_view("t")); });
    const FileId quick = put(alice, "a", "quick").entry.id;
    ASSERT_NE(quick, upload.file);
    sendAll(upload.id, "slow");
    const CommittedFile file = uploads.commit(upload.id, rootOfText("slow"), std::nullopt);
    EXPECT_EQ(file.entry.id, quick);
    EXPECT_EQ(file.entry.version, 2);
    EXPECT_EQ(shares.get(alice.id, share.id).file, quick);
}

TEST_P(UploadsTest, LeaveTheLinksOfAFileThatWasRenamedMeanwhile) {
    const User alice = makeUser("alice");
    const FileId file = put(alice, "a", "one").entry.id;
    const Share share =
        shares.create(alice.id, {.file = file}, "salt", [](ShareId) { return ChunkId::of(std::string_view("t")); });
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "two"));
    ASSERT_EQ(upload.file, file);
    (void)tree.change(alice.id, file, {.name = FileName::parse("b")});
    sendAll(upload.id, "two");
    EXPECT_NE(uploads.commit(upload.id, rootOfText("two"), std::nullopt).entry.id, file);
    EXPECT_EQ(shares.get(alice.id, share.id).file, file);
}

TEST_P(UploadsTest, DropVersionsBeyondTheLimitAndGiveTheirBytesBack) {
    const User alice = makeUser("alice");
    FileId file{};
    for (int i = 1; i <= 5; ++i) file = put(alice, "a", text(10, static_cast<char>('a' + i))).entry.id;
    EXPECT_EQ(tree.versions(alice.id, file).size(), 3u);
    EXPECT_EQ(accounts.find(alice.id)->used, 30);
    EXPECT_EQ(number("SELECT COUNT(*) FROM contents"), 3);
}

TEST_P(UploadsTest, ReserveTheQuotaAndFillItExactly) {
    const User alice = makeUser("alice");
    accounts.change(alice.id, {.quota = 100});
    const std::string sixty = text(60);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", sixty));
    EXPECT_EQ(errorOf([&] { (void)uploads.create(alice.id, newUpload(alice, "l", "b", text(41))); }),
              ErrorCode::quotaExceeded);
    EXPECT_EQ(errorOf([&] { (void)putAtOnce(alice, "b", text(41)); }), ErrorCode::quotaExceeded);
    EXPECT_TRUE(putAtOnce(alice, "b", text(40)).file);
    sendAll(upload.id, sixty);
    EXPECT_NO_THROW((void)uploads.commit(upload.id, rootOfText(sixty), std::nullopt));
    EXPECT_EQ(accounts.find(alice.id)->used, 100);
    EXPECT_EQ(errorOf([&] { (void)putAtOnce(alice, "c", "x"); }), ErrorCode::quotaExceeded);
    EXPECT_TRUE(putAtOnce(alice, "empty", "").file);
}

TEST_P(UploadsTest, ThatReserveNothingAreMeasuredFileByFile) {
    const User alice = makeUser("alice");
    accounts.change(alice.id, {.quota = 150});
    const std::string content = text(250);  // three chunks, the last of 50 bytes
    std::vector<PinnedChunk> pinned;
    const UploadId intake = uploads.openIntake(alice.id, {}, pinned, Reserve::nothing);
    pinned = uploads.pinAll(intake, cut(content), Reserve::nothing);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 0);
    std::vector<StoredChunk> stored;
    for (const PinnedChunk& pin : pinned) stored.push_back({pin.index, pin.row, pin.generation, stores});
    const auto file = [&](const std::string& name, std::int64_t first, std::int64_t size) {
        return NewFile{.folder = alice.root,
                       .folders = {},
                       .name = FileName::parse(name),
                       .size = size,
                       .firstChunk = first,
                       .chunkCount = 1,
                       .sha256 = cut(content)[static_cast<std::size_t>(first)].id,
                       .modifiedAt = time.now(),
                       .onConflict = OnConflict::version};
    };
    const auto outcomes =
        uploads.commitFiles(alice.id, intake, stored,
                            std::vector{file("a", 0, 100), file("b", 1, 100), file("a", 0, 100), file("c", 2, 50)});
    EXPECT_TRUE(outcomes[0].file);
    EXPECT_EQ(outcomes[1].error->code(), ErrorCode::quotaExceeded);
    EXPECT_FALSE(outcomes[2].file->newVersion);
    EXPECT_TRUE(outcomes[3].file);
    EXPECT_EQ(accounts.find(alice.id)->used, 150);
}

TEST_P(UploadsTest, AtOnceNeverExceedTheQuota) {
    const User alice = makeUser("alice");
    accounts.change(alice.id, {.quota = 100});
    std::atomic<int> done = 0, refused = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 3; ++i) try {
                    const std::string content = text(10, static_cast<char>('a' + t)) + std::to_string(i);
                    done += putAtOnce(alice, "f" + std::to_string(t) + std::to_string(i), content.substr(1))
                                .file.has_value();
                } catch (const Error& error) {
                    EXPECT_EQ(error.code(), ErrorCode::quotaExceeded) << error.what();
                    ++refused;
                }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(done, 10);
    EXPECT_EQ(refused, 14);
    EXPECT_EQ(accounts.find(alice.id)->used, 100);
}

TEST_P(UploadsTest, OfOneNameAtOnceHaveOneWinnerOrBecomeVersions) {
    const User alice = makeUser("alice");
    std::atomic<int> won = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            won += putAtOnce(alice, "fail", text(10, static_cast<char>('a' + t)), OnConflict::fail).file.has_value();
            EXPECT_TRUE(putAtOnce(alice, "version", text(10, static_cast<char>('a' + t))).file);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(tree.list(alice.id, {.folder = alice.root}).items.size(), 2u);
}

TEST_P(UploadsTest, OfABatchCommitTheGoodFilesOnly) {
    const User alice = makeUser("alice");
    const std::string content = "shared bytes";
    std::vector<PinnedChunk> pinned;
    const UploadId intake = uploads.openIntake(alice.id, cut(content), pinned);
    const std::vector<StoredChunk> stored{{0, pinned[0].row, pinned[0].generation, stores}};
    const auto file = [&](std::vector<FileName> folders, const std::string& name, OnConflict policy,
                          std::int64_t count = 1) {
        return NewFile{alice.root,
                       std::move(folders),
                       FileName::parse(name),
                       count == 1 ? static_cast<std::int64_t>(content.size()) : 5,
                       0,
                       count,
                       ChunkId::of(content),
                       time.now(),
                       policy};
    };
    const auto outcomes = uploads.commitFiles(
        alice.id, intake, stored,
        std::vector{file({FileName::parse("x"), FileName::parse("y")}, "a", OnConflict::fail),
                    file({FileName::parse("X"), FileName::parse("y")}, "A", OnConflict::fail),
                    file({}, "short", OnConflict::fail, 2), file({FileName::parse("x")}, "b", OnConflict::fail),
                    file({FileName::parse("x"), FileName::parse("b")}, "c", OnConflict::fail)});
    ASSERT_EQ(outcomes.size(), 5u);
    EXPECT_TRUE(outcomes[0].file);
    EXPECT_EQ(outcomes[1].error->code(), ErrorCode::nameTaken);
    EXPECT_EQ(outcomes[2].error->code(), ErrorCode::uploadIncomplete);
    EXPECT_TRUE(outcomes[3].file);
    EXPECT_EQ(outcomes[4].error->code(), ErrorCode::nameTaken);
    EXPECT_TRUE(outcomes[0].file->entry.sha256Verified);
    EXPECT_EQ(number("SELECT COUNT(*) FROM uploads WHERE state <> 'committed'"), 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM files WHERE kind = 0 AND name <> ''"), 2);
    time.advance(hourUs);
    EXPECT_EQ(uploads.expire(100), isPostgres() ? 1 : 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM uploads"), 0);
}

TEST_P(UploadsTest, OfOneRequestEndWithTheProcessThatTookThem) {
    const User alice = makeUser("alice");
    const std::string content = text(250);
    const Upload kept = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    send(kept.id, cut(content)[0]);
    std::vector<PinnedChunk> pinned;
    const UploadId intake = uploads.openIntake(alice.id, cut(content), pinned);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 500);
    uploads.endIntakes();
    EXPECT_EQ(accounts.find(alice.id)->reserved, 250);
    EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks"), 1);
    EXPECT_EQ(errorOf([&] { uploads.storedAll(intake, {}); }), ErrorCode::uploadExpired);
    EXPECT_EQ(uploads.get(kept.id).state, UploadState::open);
    uploads.endIntakes();
}

TEST_P(UploadsTest, OfOneRequestThatWasLostHoldTheQuotaForHoursOnly) {
    const User alice = makeUser("alice");
    std::vector<PinnedChunk> pinned;
    const UploadId intake = uploads.openIntake(alice.id, cut(text(100)), pinned);
    time.advance(2 * hourUs);
    (void)uploads.pinAll(intake, cut(text(100)));
    time.advance(2 * hourUs);
    EXPECT_EQ(uploads.expire(100), 0);
    time.advance(2 * hourUs);
    EXPECT_EQ(uploads.expire(100), 1);
    EXPECT_EQ(accounts.find(alice.id)->reserved, 0);
}

TEST_P(UploadsTest, OfFewerStoresThanTheQuorumAreNotRecorded) {
    const User alice = makeUser("alice");
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", "x"));
    const PinnedChunk pinned = uploads.pin(upload.id, cut("x")[0]);
    EXPECT_EQ(errorOf([&] {
                  uploads.stored(upload.id, {0, pinned.row, pinned.generation, {stores[0]}});
              }),
              ErrorCode::unavailable);
    EXPECT_THAT(uploads.have(upload.id, cut("x")), ElementsAre(0));
}

CATALOG_SUITE(UploadsTest);

class LostCommitTest : public VaultTest {
  protected:
    void TearDown() override {
        VaultTest::TearDown();
        // The fixture empties tables only.
        database().write([](Session& session) {
            session.script(
                "DROP TRIGGER IF EXISTS end_first ON versions; DROP FUNCTION IF EXISTS end_first;"
                "DROP SEQUENCE IF EXISTS commits");
        });
    }

    // Ends the connection while the first transaction that makes a version commits. Sequences are not rolled back.
    void endFirstCommit() {
        database().write([](Session& session) {
            session.script(
                "CREATE SEQUENCE commits;"
                "CREATE FUNCTION end_first() RETURNS trigger AS $$ BEGIN"
                "  IF nextval('commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; "
                "END "
                "$$ LANGUAGE plpgsql;"
                "CREATE CONSTRAINT TRIGGER end_first AFTER INSERT ON versions DEFERRABLE INITIALLY DEFERRED"
                "  FOR EACH ROW EXECUTE FUNCTION end_first()");
        });
    }

    [[nodiscard]] DatabaseOptions throughCutter() const {
        DatabaseOptions through = options();
        through.postgresUrl = cutter.url();
        return through;
    }

    // What became of a batch of a good file, one of a taken name, and another good one, all of the same bytes.
    std::vector<FileOutcome> commitThree(
        Uploads& by, const User& user, const std::function<void()>& beforeTheCommit = [] {}) {
        std::vector<PinnedChunk> pinned;
        const UploadId intake = by.openIntake(user.id, cut("bytes"), pinned);
        const std::vector<StoredChunk> stored{{0, pinned[0].row, pinned[0].generation, stores}};
        std::vector<NewFile> files;
        for (const char* name : {"a", "A", "b"})
            files.push_back(NewFile{.folder = user.root,
                                    .folders = {FileName::parse("folder")},
                                    .name = FileName::parse(name),
                                    .size = 5,
                                    .firstChunk = 0,
                                    .chunkCount = 1,
                                    .sha256 = cut("bytes")[0].id,
                                    .modifiedAt = time.now(),
                                    .onConflict = OnConflict::fail});
        beforeTheCommit();
        return by.commitFiles(user.id, intake, stored, files);
    }
    void expectOnce(const User& user, const std::vector<FileOutcome>& outcomes) {
        ASSERT_EQ(outcomes.size(), 3u);
        EXPECT_EQ(outcomes[1].error->code(), ErrorCode::nameTaken);
        for (const std::size_t good : {0, 2}) {
            const Entry& entry = outcomes[good].file->entry;
            EXPECT_EQ(tree.get(user.id, entry.id).name, entry.name);
            EXPECT_EQ(tree.get(user.id, entry.id).version, 1);
        }
        EXPECT_EQ(number("SELECT COUNT(*) FROM versions"), 2);
        EXPECT_EQ(accounts.find(user.id)->used, 10);
        EXPECT_EQ(accounts.find(user.id)->reserved, 0);
        EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks"), 0);
    }

    AnswerCutter cutter{options().postgresUrl};
};

TEST_P(LostCommitTest, IsResolvedByTheUploadsOwnRow) {
    const User alice = makeUser("alice");
    const std::string content = text(150);
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "a", content));
    sendAll(upload.id, content);
    endFirstCommit();
    const CommittedFile file = uploads.commit(upload.id, rootOfText(content), std::nullopt);
    EXPECT_EQ(file.entry.id, upload.file);
    EXPECT_EQ(file.entry.version, 1);
    EXPECT_TRUE(file.newVersion);
    EXPECT_EQ(number("SELECT last_value FROM commits"), 2);
    EXPECT_EQ(accounts.find(alice.id)->used, 150);
}

TEST_P(LostCommitTest, OfABatchThatWasRolledBackIsMadeAgain) {
    const User alice = makeUser("alice");
    endFirstCommit();
    expectOnce(alice, commitThree(uploads, alice));
    EXPECT_GT(number("SELECT last_value FROM commits"), 2);
}

TEST_P(LostCommitTest, OfABatchThatHappenedIsNotMadeAgain) {
    const User alice = makeUser("alice");
    Database through(throughCutter());
    through.open();
    Uploads by(through, clock(), uploadLimits, treeLimits, quota);
    std::vector<PinnedChunk> pinned;
    cutter.cutNextCommit();
    EXPECT_THROW((void)by.openIntake(alice.id, cut("x"), pinned), CommitUnknown) << "nothing tells whether it happened";
    EXPECT_FALSE(cutter.isArmed());
    EXPECT_EQ(accounts.find(alice.id)->reserved, 1) << "the line cuts answers, not commits";
    uploads.endIntakes();

    expectOnce(alice, commitThree(by, alice, [&] { cutter.cutNextCommit(); }));
    EXPECT_FALSE(cutter.isArmed());
    time.advance(hourUs);
    EXPECT_EQ(uploads.expire(100), 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, LostCommitTest, testing::Values(EngineKind::postgres), nameOfEngine);

}  // namespace
}  // namespace chunkvault::catalog
