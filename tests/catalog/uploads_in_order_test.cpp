#include <gmock/gmock.h>

#include "database/catalog/changes.h"
#include "tests/catalog/parallel.h"
#include "tests/catalog/vault_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::Each;

class UploadsInOrderTest : public VaultTest {
  protected:
    UploadId begin(std::int64_t size, const std::string& name = "f", std::optional<ShareId> request = {}) {
        NewUpload wanted{.key = "tus:" + name,
                         .folder = user.root,
                         .name = FileName::parse(name),
                         .size = size,
                         .modifiedAt = {},
                         .onConflict = OnConflict::keepBoth};
        wanted.inOrder = true;
        wanted.request = request;
        return uploads.create(user.id, wanted).id;
    }
    StoredChunk put(const Writing& writing, std::int64_t index, const std::string& bytes) {
        const PinnedChunk pinned =
            uploads.pinNext(writing, index, ChunkId::of(bytes), static_cast<std::int64_t>(bytes.size()));
        return {pinned.index, pinned.row, pinned.generation, stores};
    }
    void receive(Writing& writing, std::int64_t index, const std::string& bytes) {
        const StoredChunk stored = put(writing, index, bytes);
        uploads.received(writing, {&stored, 1}, index * chunkSize + static_cast<std::int64_t>(bytes.size()));
    }
    CommittedFile finish(const Writing& writing, std::int64_t index, const std::string& bytes) {
        const StoredChunk stored = put(writing, index, bytes);
        return uploads.finish(writing, {&stored, 1}, {}, {});
    }
    std::optional<ErrorCode> refusalAt(UploadId upload, std::int64_t offset) {
        return errorOf([&] { (void)uploads.beginWriting(upload, offset); });
    }
    void letLeaseEnd(UploadId upload) {
        database().write(
            [&](Session& session) { session.execute("UPDATE uploads SET lease_until = 1 WHERE id = $1", {upload}); });
    }
    Share request(const RequestLimits& limits, std::optional<Timestamp> expiresAt = {}) {
        NewShare wanted{.file = user.root, .passwordHash = {}, .expiresAt = expiresAt, .maxDownloads = {}};
        wanted.kind = ShareKind::upload;
        wanted.limits = limits;
        return shares.create(user.id, wanted, "salt",
                             [](ShareId id) { return ChunkId::of(std::to_string(valueOf(id))); });
    }

    const std::string a = std::string(chunkSize, 'a'), b = std::string(chunkSize, 'b');
    User user = makeUser("ann");
};

TEST_P(UploadsInOrderTest, BytesComeInAnyPieces) {
    const std::string text = a + b + "cc";
    const UploadId upload = begin(static_cast<std::int64_t>(text.size()));
    Writing writing = uploads.beginWriting(upload, 0);
    receive(writing, 0, a.substr(0, 10));
    uploads.endWriting(writing);
    writing = uploads.beginWriting(upload, 10);
    ASSERT_TRUE(writing.tail);
    EXPECT_EQ(writing.tail->length, 10);
    receive(writing, 0, a.substr(0, 70));
    uploads.endWriting(writing);
    writing = uploads.beginWriting(upload, 70);
    EXPECT_EQ(writing.tail->id, ChunkId::of(a.substr(0, 70)));
    receive(writing, 0, a);
    receive(writing, 1, b.substr(0, 5));
    uploads.endWriting(writing);
    writing = uploads.beginWriting(upload, 105);
    EXPECT_EQ(writing.tail->id, ChunkId::of(b.substr(0, 5)));
    receive(writing, 1, b);
    EXPECT_EQ(uploads.get(upload).received, 200);
    const CommittedFile made = finish(writing, 2, "cc");
    EXPECT_EQ(made.entry.root, rootOfText(text));
    EXPECT_EQ(uploads.get(upload).state, UploadState::committed);
    EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks"), 0);
}

TEST_P(UploadsInOrderTest, ATailStaysPinnedUntilWhatReplacesItCounts) {
    const UploadId upload = begin(2 * chunkSize);
    Writing writing = uploads.beginWriting(upload, 0);
    receive(writing, 0, a.substr(0, 10));
    (void)put(writing, 0, a);
    uploads.endWriting(writing);
    writing = uploads.beginWriting(upload, 10);
    EXPECT_EQ(writing.tail->id, ChunkId::of(a.substr(0, 10)));
    (void)put(writing, 0, a.substr(0, 20));
    uploads.endWriting(writing);
    writing = uploads.beginWriting(upload, 10);
    EXPECT_EQ(writing.tail->id, ChunkId::of(a.substr(0, 10)));
}

TEST_P(UploadsInOrderTest, ATailThatIsPinnedWhileTheChunkBeforeIsPutCountsAfterIt) {
    const UploadId upload = begin(2 * chunkSize);
    Writing writing = uploads.beginWriting(upload, 0);
    const StoredChunk whole = put(writing, 0, a), tail = put(writing, 1, b.substr(0, 7));
    uploads.received(writing, {&whole, 1}, chunkSize);
    uploads.received(writing, {&tail, 1}, chunkSize + 7);
    uploads.endWriting(writing);
    EXPECT_EQ(uploads.beginWriting(upload, chunkSize + 7).tail->id, ChunkId::of(b.substr(0, 7)));
}

TEST_P(UploadsInOrderTest, AGapIsNeverCounted) {
    const UploadId upload = begin(3 * chunkSize);
    Writing writing = uploads.beginWriting(upload, 0);
    const StoredChunk second = put(writing, 1, b), tail = put(writing, 1, b.substr(0, 7));
    EXPECT_EQ(errorOf([&] { uploads.received(writing, {&second, 1}, 2 * chunkSize); }), ErrorCode::internal);
    EXPECT_EQ(errorOf([&] { uploads.received(writing, {&tail, 1}, chunkSize + 7); }), ErrorCode::internal);
    EXPECT_EQ(uploads.get(upload).received, 0);
}

TEST_P(UploadsInOrderTest, OnlyOneWritesAndWhoFellSilentCannotGoOn) {
    const UploadId upload = begin(3 * chunkSize);
    Writing first = uploads.beginWriting(upload, 0);
    EXPECT_EQ(refusalAt(upload, 0), ErrorCode::locked);
    const StoredChunk late = put(first, 0, a);
    letLeaseEnd(upload);
    uploads.keepWriting(first);  // nobody has come meanwhile
    EXPECT_EQ(refusalAt(upload, 0), ErrorCode::locked);
    letLeaseEnd(upload);
    Writing second = uploads.beginWriting(upload, 0);
    EXPECT_EQ(errorOf([&] { uploads.keepWriting(first); }), ErrorCode::locked);
    EXPECT_EQ(errorOf([&] { uploads.received(first, {&late, 1}, chunkSize); }), ErrorCode::locked);
    EXPECT_EQ(errorOf([&] { (void)put(first, 0, b); }), ErrorCode::locked);
    uploads.endWriting(first);  // not its own any more
    EXPECT_EQ(refusalAt(upload, 0), ErrorCode::locked);
    receive(second, 0, b);
    EXPECT_EQ(uploads.get(upload).received, chunkSize);
}

TEST_P(UploadsInOrderTest, OfManyAtOnceOneWrites) {
    const UploadId upload = begin(10);
    const Parallel result = inParallel(8, [&](int) { (void)uploads.beginWriting(upload, 0); });
    EXPECT_EQ(result.succeeded, 1);
    EXPECT_THAT(result.refused, Each(ErrorCode::locked));
}

TEST_P(UploadsInOrderTest, ARestartOfTheOnlyServerLeavesNobodyWriting) {
    const UploadId upload = begin(10);
    (void)uploads.beginWriting(upload, 0);
    uploads.endIntakes();
    EXPECT_NO_THROW((void)uploads.beginWriting(upload, 0));
}

TEST_P(UploadsInOrderTest, AnotherOffsetAnExpiredUploadAndOneOfAnotherKindAreRefused) {
    const UploadId upload = begin(10);
    EXPECT_EQ(refusalAt(upload, 1), ErrorCode::conflict);
    const Upload chunked = uploads.create(user.id, newUpload(user, "key", "other", a));
    EXPECT_EQ(refusalAt(chunked.id, 0), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { (void)uploads.pin(upload, {0, 10, ChunkId::of(a)}); }), ErrorCode::conflict);
    time.advance(uploadLimits.keepDays * dayUs);
    EXPECT_EQ(refusalAt(upload, 0), ErrorCode::uploadExpired);
}

TEST_P(UploadsInOrderTest, LimitsOfARequestHoldUnderConcurrencyAndAreGivenBack) {
    const Share link = request({.maxBytes = 1000, .maxFileBytes = 300, .maxFiles = 4, .types = {}});
    const Parallel result =
        inParallel(12, [&](int number) { (void)begin(250, "f" + std::to_string(number), link.id); });
    EXPECT_EQ(result.succeeded, 4);
    EXPECT_THAT(result.refused, Each(ErrorCode::gone));
    const Share now = shares.get(user.id, link.id, ShareKind::upload);
    EXPECT_EQ(now.openFiles, 4);
    EXPECT_EQ(now.openBytes, 1000);
    EXPECT_EQ(number("SELECT reserved FROM users"), 1000);
    uploads.end(uploads.list(user.id, 1).front().id);
    EXPECT_EQ(errorOf([&] { (void)begin(301, "large", link.id); }), ErrorCode::payloadTooLarge);
    EXPECT_NO_THROW((void)begin(250, "again", link.id));
}

TEST_P(UploadsInOrderTest, ARequestThatIsOverTakesNothingMore) {
    const Share link = request({}, time.now() + hourUs);
    const UploadId upload = begin(2 * chunkSize, "f", link.id);
    Writing writing = uploads.beginWriting(upload, 0);
    receive(writing, 0, a);
    EXPECT_EQ(uploads.get(upload).expiresAt, time.now() + hourUs);
    const StoredChunk last = put(writing, 1, b);
    shares.revoke(user.id, link.id, ShareKind::upload);
    EXPECT_EQ(errorOf([&] { (void)uploads.finish(writing, {&last, 1}, {}, {}); }), ErrorCode::uploadExpired);
    EXPECT_EQ(uploads.get(upload).received, chunkSize);
    EXPECT_EQ(uploads.expire(10), 1);
    EXPECT_EQ(number("SELECT reserved FROM users"), 0);
    EXPECT_EQ(errorOf([&] { (void)begin(1, "g", link.id); }), ErrorCode::notFound);
}

TEST_P(UploadsInOrderTest, ArrivalsAreCountedWithTheirCommit) {
    const Share link = request({});
    const UploadId upload = begin(chunkSize, "f", link.id);
    time.advance(minuteUs);
    (void)finish(uploads.beginWriting(upload, 0), 0, a);
    const Share now = shares.get(user.id, link.id, ShareKind::upload);
    EXPECT_EQ(now.arrivedFiles, 1);
    EXPECT_EQ(now.arrivedBytes, chunkSize);
    EXPECT_EQ(now.lastUsedAt, time.now());
    EXPECT_EQ(now.openFiles, 0);
    EXPECT_EQ(number("SELECT reserved FROM users"), 0);
}

TEST_P(UploadsInOrderTest, AnArrivalByARequestIsToldToTheOwner) {
    Changes changes{database(), clock()};
    const Share link = request({});
    const UploadId guests = begin(2, "guest's", link.id), own = begin(2, "own");
    const Revision before = changes.after(user.id, std::nullopt).next;
    std::vector<FileId> made;
    for (const UploadId upload : {guests, own})
        made.push_back(finish(uploads.beginWriting(upload, 0), 0, "xy").entry.id);
    const auto items = changes.after(user.id, before).items;
    ASSERT_EQ(items.size(), 3u);
    EXPECT_EQ(items[0].kind, ChangeKind::uploaded);
    EXPECT_EQ(items[1].kind, ChangeKind::fileArrived);
    EXPECT_EQ(items[1].share, link.id);
    EXPECT_EQ(items[1].entry, made[0]);
    EXPECT_EQ(items[2].kind, ChangeKind::uploaded);
    EXPECT_EQ(items[2].entry, made[1]);
}

CATALOG_SUITE(UploadsInOrderTest);

}  // namespace
}  // namespace chunkvault::catalog
