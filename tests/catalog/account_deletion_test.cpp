#include <atomic>

#include <gmock/gmock.h>

#include "database/catalog/shares.h"
#include "tests/catalog/parallel.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

class AccountDeletionTest : public TreeTest {
  protected:
    static Sha256Digest hash(std::string_view token) { return Sha256Digest::of(token); }

    void sweep() {
        while (uploads.expire(100) > 0) {
        }
        while (tree.purgeStep(1000) > 0) {
        }
    }

    Shares shares{database(), clock()};
    Timestamp madeAt = time.now();  // when the users got their passwords
};

TEST_P(AccountDeletionTest, NothingOfTheAccountWorksFromTheFirstMoment) {
    const SessionId session = accounts.openSession(user, madeAt, hash("refresh"), "", "", time.now() + dayUs);
    accounts.rotate(hash("refresh"), hash("newer"), "", time.now() + dayUs);
    accounts.createApiToken(user, "token", hash("api"), false, std::nullopt);
    const FileId a = folder(root, "a"), f = file(a, "f", 10), thrown = file(root, "thrown", 20);
    tree.moveToTrash(user, thrown);
    shares.create(user, {f, {}, {}, {}}, "salt", [&](ShareId) { return hash("link"); });
    const Upload open = uploads.create(user, {"key", root, name("coming"), 30, time.now(), OnConflict::version});
    const auto before = seq();

    accounts.beginDelete(user);

    const auto found = accounts.find(user);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->state, UserState::deleting);
    EXPECT_EQ(found->reserved, 0);
    EXPECT_GT(found->revision.seq, before);
    EXPECT_FALSE(accounts.resolveSession(session));
    EXPECT_FALSE(accounts.resolveApiToken(hash("api")));
    EXPECT_EQ(rows("sessions") + rows("rotated_tokens") + rows("api_tokens"), 0);
    EXPECT_EQ(uploads.get(open.id).state, UploadState::ended);
    EXPECT_EQ(errorOf([&] { (void)shares.resolve(hash("link")); }), ErrorCode::notFound);
    for (const FileId id : {a, f, thrown})
        EXPECT_EQ(errorOf([&] { (void)tree.get(user, id, true); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { folder(root, "new"); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { accounts.change(user, {.state = UserState::active}); }), ErrorCode::conflict);
    EXPECT_EQ(errorOf([&] { accounts.openSession(user, madeAt, hash("x"), "", "", 0); }), ErrorCode::unauthorized);
    EXPECT_EQ(errorOf([&] { accounts.createApiToken(user, "x", hash("x"), false, std::nullopt); }),
              ErrorCode::notFound);
    accounts.beginDelete(user);
}

TEST_P(AccountDeletionTest, ItsRowsGoWhenItsTreeIsGoneAndItsNameIsFreeAgain) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), f = file(b, "f", 10), thrown = file(a, "thrown", 20);
    put(user, b, "f", 11, "second version");
    tree.moveToTrash(user, thrown);
    const FileId kept = put(other, otherRoot, "kept", 10, "content of f").id;
    const Share share = shares.create(user, {f, {}, {}, 5}, "salt", [&](ShareId) { return hash("link"); });
    shares.spend(share.id, f, 2, 11, 0, hash("ticket"));
    uploads.create(user, {"key", a, name("coming"), 30, time.now(), OnConflict::version});
    uploads.openIntake(user);
    EXPECT_EQ(accounts.finishDeleted(), 0);

    accounts.beginDelete(user);
    EXPECT_EQ(accounts.finishDeleted(), 0);
    EXPECT_TRUE(accounts.find(user));
    sweep();
    EXPECT_EQ(accounts.finishDeleted(), 1);

    EXPECT_FALSE(accounts.find(user));
    EXPECT_EQ(accounts.finishDeleted(), 0);
    EXPECT_EQ(rows("users"), 1);
    EXPECT_EQ(rows("files"), 2);
    for (const char* table : {"versions", "contents", "content_chunks"}) EXPECT_EQ(rows(table), 1) << table;
    for (const char* table : {"shares", "share_tickets", "share_downloads", "upload_chunks"})
        EXPECT_EQ(rows(table), 0) << table;
    EXPECT_EQ(number("SELECT COUNT(*) FROM changes WHERE owner_id = $1", {user}), 0);
    EXPECT_EQ(number("SELECT COUNT(*) FROM uploads WHERE owner_id = $1", {user}), 0);
    EXPECT_EQ(tree.get(other, kept).size, 10);
    EXPECT_NE(accounts.create({"ANN", "", "hash"}).id, user);
}

TEST_P(AccountDeletionTest, ACommittedUploadsFileIsPurgedWithTheRest) {
    const FileId f = file(root, "f", 10);
    database().write([&](Session& session) {
        session.execute(
            "INSERT INTO uploads (owner_id, upload_key, state, chunk_size, file_id, version, reserved, created_at,"
            " expires_at) VALUES ($1, 'done', 'committed', 1, $2, 1, 0, 0, $3)",
            {user, f, time.now() + dayUs});
    });
    accounts.beginDelete(user);
    sweep();
    EXPECT_EQ(accounts.finishDeleted(), 1);
    EXPECT_EQ(rows("uploads"), 0);
}

TEST_P(AccountDeletionTest, TwoWorkersFinishAnAccountOnce) {
    file(root, "f", 10);
    accounts.beginDelete(user);
    sweep();
    std::atomic<int> finished = 0;
    EXPECT_EQ(inParallel(4, [&](int) { finished += accounts.finishDeleted(); }).succeeded, 4);
    EXPECT_EQ(finished, 1);
    EXPECT_FALSE(accounts.find(user));
}

TEST_P(AccountDeletionTest, WhatComesWhileAnAccountIsDeletedDoesNotHoldItBack) {
    const auto result = inParallel(6, [&](int i) {
        if (i == 0) accounts.beginDelete(user);
        if (i == 1) accounts.createApiToken(user, "token", hash("api"), false, std::nullopt);
        if (i == 2) accounts.openSession(user, madeAt, hash("refresh"), "", "", time.now() + dayUs);
        if (i == 3) file(root, "f", 10);
        if (i == 4) uploads.create(user, {"key", root, name("coming"), 30, time.now(), OnConflict::version});
        if (i == 5) shares.create(user, {root, {}, {}, {}}, "salt", [&](ShareId) { return hash("link"); });
    });
    for (const ErrorCode code : result.refused)
        EXPECT_THAT(code, testing::AnyOf(ErrorCode::notFound, ErrorCode::unauthorized, ErrorCode::uploadExpired));
    sweep();
    EXPECT_EQ(accounts.finishDeleted(), 1);
    EXPECT_FALSE(accounts.find(user));
}

CATALOG_SUITE(AccountDeletionTest);

}  // namespace
}  // namespace chunkvault::catalog
