#include "database/catalog/shares.h"

#include <atomic>

#include <gmock/gmock.h>

#include "common/chunk/manifest.h"
#include "tests/catalog/parallel.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class SharesTest : public TreeTest {
  protected:
    static Sha256Digest hash(std::string_view token) { return Sha256Digest::of(token); }

    Share share(const NewShare& wanted, std::string_view token = "link") {
        return shares.create(user, wanted, "salt", [&](ShareId) { return hash(token); });
    }
    std::optional<ErrorCode> refusalOfLink(std::string_view token = "link") {
        return errorOf([&] { (void)shares.resolve(hash(token)); });
    }
    void spend(const Share& share, std::string_view ticket = "ticket", std::int64_t firstBytes = 0) {
        shares.spend(share.id, share.file, 1, 100, firstBytes, hash(ticket));
    }
    bool useTicket(const Share& share, std::int64_t bytes, std::string_view ticket = "ticket") {
        return shares.useTicket(share.id, hash(ticket), share.file, 1, bytes);
    }
    std::vector<ShareId> listed(std::optional<FileId> file = {}, std::optional<ShareId> after = {}, int limit = 100) {
        std::vector<ShareId> ids;
        for (const Share& found : shares.list(user, file, after, limit)) ids.push_back(found.id);
        return ids;
    }
    std::int64_t downloads(ShareId id) { return *number("SELECT downloads FROM shares WHERE id = $1", {id}); }

    Shares shares{database(), clock()};
};

TEST_P(SharesTest, ALinkLeadsToItsFileAsItIsNow) {
    const FileId f = file(root, "f", 10);
    std::optional<ShareId> derivedFrom;
    Share made{};
    EXPECT_EQ(changesOf([&] {
                  made = shares.create(user, {f, "password hash", time.now() + hourUs, 3}, "a salt", [&](ShareId id) {
                      derivedFrom = id;
                      return hash("link");
                  });
              }),
              1);
    EXPECT_EQ(derivedFrom, made.id);
    const SharedThing thing = shares.resolve(hash("link"));
    for (const Share& seen : {made, thing.share, shares.get(user, made.id)}) {
        EXPECT_EQ(seen.id, made.id);
        EXPECT_EQ(seen.owner, user);
        EXPECT_EQ(seen.file, f);
        EXPECT_EQ(seen.salt, "a salt");
        EXPECT_EQ(seen.passwordHash, "password hash");
        EXPECT_EQ(seen.expiresAt, time.now() + hourUs);
        EXPECT_EQ(seen.maxDownloads, 3);
        EXPECT_EQ(seen.downloads, 0);
        EXPECT_EQ(seen.createdAt, time.now());
        EXPECT_FALSE(seen.lastUsedAt);
        EXPECT_FALSE(seen.revokedAt);
    }
    EXPECT_EQ(thing.ownerName, "ann");
    EXPECT_EQ(thing.entry.size, 10);

    put(user, root, "f", 20);
    tree.change(user, f, {.name = name("renamed"), .folder = folder(root, "elsewhere")});
    const Entry now = shares.resolve(hash("link")).entry;
    EXPECT_EQ(now.id, f);
    EXPECT_EQ(now.version, 2);
    EXPECT_EQ(now.size, 20);
    EXPECT_EQ(now.name, "renamed");
}

TEST_P(SharesTest, OnlyWhatTheOwnerHasCanBeShared) {
    const FileId a = folder(root, "a"), below = file(a, "below"), thrown = file(root, "thrown"),
                 live = file(root, "live");
    const FileId foreign = put(other, otherRoot, "foreign", 1).id;
    tree.moveToTrash(user, a);
    tree.moveToTrash(user, thrown);
    const auto before = seq();
    for (const FileId file : {a, below, thrown, foreign, FileId{987654}})
        EXPECT_EQ(errorOf([&] { share({file, {}, {}, {}}); }), ErrorCode::notFound) << valueOf(file);
    EXPECT_EQ(errorOf([&] {
                  shares.create(UserId{987654}, {live, {}, {}, {}}, "", [](ShareId) { return hash("x"); });
              }),
              ErrorCode::notFound);
    EXPECT_EQ(seq(), before);
    EXPECT_EQ(rows("shares"), 0);
    share({live, {}, {}, {}}, "of a file");
    share({folder(root, "folder"), {}, {}, {}}, "of a folder");
    EXPECT_EQ(shares.resolve(hash("of a folder")).entry.kind, Kind::folder);
}

TEST_P(SharesTest, AFileUnderWayCanBeSharedBeforeItIsThere) {
    const Upload upload = uploads.create(user, {"key", root, name("coming"), 0, time.now(), OnConflict::version});
    const Share made = share({upload.file, {}, {}, {}});
    const Entry coming = shares.resolve(hash("link")).entry;
    EXPECT_EQ(coming.state, EntryState::reserved);
    EXPECT_EQ(coming.version, 0);
    EXPECT_FALSE(coming.content);
    uploads.commit(upload.id, rootOf({}), std::nullopt);
    const Entry there = shares.resolve(hash("link")).entry;
    EXPECT_EQ(there.state, EntryState::live);
    EXPECT_EQ(there.id, made.file);
    EXPECT_TRUE(there.content);

    const Upload given = uploads.create(user, {"up", root, name("given up"), 5, time.now(), OnConflict::version});
    share({given.file, {}, {}, {}}, "given up");
    uploads.end(given.id);
    EXPECT_EQ(refusalOfLink("given up"), ErrorCode::notFound);
}

TEST_P(SharesTest, ALinkIsUnknownWhileItsFileOrAFolderAboveIsInTheTrash) {
    const FileId a = folder(root, "a"), b = folder(a, "b"), f = file(b, "f");
    share({f, {}, {}, {}});
    share({b, {}, {}, {}}, "of b");
    EXPECT_EQ(refusalOfLink("unknown"), ErrorCode::notFound);
    for (const FileId thrown : {f, b, a}) {
        tree.moveToTrash(user, thrown);
        EXPECT_EQ(refusalOfLink(), ErrorCode::notFound);
        tree.restore(user, thrown, std::nullopt, OnConflict::fail);
        EXPECT_EQ(shares.resolve(hash("link")).entry.id, f);
        EXPECT_EQ(shares.resolve(hash("of b")).entry.id, b);
    }
    tree.moveToTrash(user, a);
    tree.purge(user, a);
    EXPECT_EQ(refusalOfLink(), ErrorCode::notFound);
    EXPECT_EQ(refusalOfLink("of b"), ErrorCode::notFound);
}

TEST_P(SharesTest, ALinkIsUnknownWhileItsOwnerIsDisabled) {
    share({file(root, "f"), {}, {}, {}});
    accounts.change(user, {.state = UserState::disabled});
    EXPECT_EQ(refusalOfLink(), ErrorCode::notFound);
    accounts.change(user, {.state = UserState::active});
    EXPECT_EQ(shares.resolve(hash("link")).ownerName, "ann");
}

TEST_P(SharesTest, OnlyTheOwnerSeesChangesAndRevokes) {
    const Share made = share({file(root, "f"), {}, {}, {}});
    for (const ShareId id : {made.id, ShareId{987654}}) {
        EXPECT_EQ(errorOf([&] { (void)shares.get(other, id); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { shares.change(other, id, {}); }), ErrorCode::notFound);
        EXPECT_EQ(errorOf([&] { shares.revoke(other, id); }), ErrorCode::notFound);
    }
    EXPECT_THAT(shares.list(other, {}, {}, 100), IsEmpty());
    EXPECT_EQ(changesOf([&] { shares.revoke(user, made.id); }), 1);
    EXPECT_EQ(refusalOfLink(), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { (void)shares.get(user, made.id); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { shares.change(user, made.id, {}); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { shares.revoke(user, made.id); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { spend(made); }), ErrorCode::notFound);
}

TEST_P(SharesTest, LinksAreListedNewestFirstInPages) {
    const FileId f = file(root, "f"), g = file(root, "g");
    std::vector<ShareId> ids;
    for (const FileId file : {f, g, f, g, f})
        ids.push_back(share({file, {}, {}, {}}, "link" + std::to_string(ids.size())).id);
    shares.revoke(user, ids[2]);
    EXPECT_THAT(listed(), ElementsAre(ids[4], ids[3], ids[1], ids[0]));
    EXPECT_THAT(listed({}, {}, 2), ElementsAre(ids[4], ids[3]));
    EXPECT_THAT(listed({}, ids[3], 2), ElementsAre(ids[1], ids[0]));
    EXPECT_THAT(listed({}, ids[0]), IsEmpty());
    EXPECT_THAT(listed(f), ElementsAre(ids[4], ids[0]));
    EXPECT_THAT(listed(f, ids[4]), ElementsAre(ids[0]));
    EXPECT_THAT(listed(root), IsEmpty());
}

TEST_P(SharesTest, AChangeTouchesOnlyWhatItNames) {
    const Share made = share({file(root, "f"), "old", time.now() + hourUs, 3});
    using Password = std::optional<std::string>;
    using Number = std::optional<std::int64_t>;
    struct Case {
        ShareChange change;
        Password password;
        Number expiresIn;
        Number maxDownloads;
    };
    const Case cases[] = {
        {{}, "old", hourUs, 3},
        {{.passwordHash = Password("new")}, "new", hourUs, 3},
        {{.expiresAt = Number(time.now() + dayUs)}, "new", dayUs, 3},
        {{.maxDownloads = Number(7)}, "new", dayUs, 7},
        {{.passwordHash = Password()}, std::nullopt, dayUs, 7},
        {{.expiresAt = Number()}, std::nullopt, std::nullopt, 7},
        {{.maxDownloads = Number()}, std::nullopt, std::nullopt, std::nullopt},
        {{Password("last"), Number(time.now() + 1), Number(1)}, "last", 1, 1},
    };
    for (const Case& each : cases) {
        Share changed{};
        EXPECT_EQ(changesOf([&] { changed = shares.change(user, made.id, each.change); }), 1);
        for (const Share& seen : {changed, shares.get(user, made.id)}) {
            EXPECT_EQ(seen.passwordHash, each.password);
            EXPECT_EQ(seen.expiresAt, each.expiresIn ? Number(time.now() + *each.expiresIn) : Number());
            EXPECT_EQ(seen.maxDownloads, each.maxDownloads);
        }
    }
}

TEST_P(SharesTest, AnExpiredLinkIsGoneUntilItsTimeIsMovedOn) {
    const Share made = share({file(root, "f"), {}, time.now() + hourUs, {}});
    time.advance(hourUs - 1);
    Shares::checkTime(made, time.now());
    spend(made);
    time.advance(1);
    EXPECT_EQ(errorOf([&] { Shares::checkTime(made, time.now()); }), ErrorCode::gone);
    EXPECT_EQ(errorOf([&] { spend(made); }), ErrorCode::gone);
    EXPECT_EQ(shares.resolve(hash("link")).share.downloads, 1);
    spend(shares.change(user, made.id, {.expiresAt = std::optional(time.now() + 1)}));
    Share endless = made;
    endless.expiresAt.reset();
    Shares::checkTime(endless, time.now() + 10'000 * dayUs);
}

TEST_P(SharesTest, DownloadsAreCountedAgainstTheLimit) {
    const Share made = share({file(root, "f"), {}, {}, 2});
    const auto before = seq();
    spend(made, "one");
    time.advance(1);
    spend(made, "two");
    EXPECT_EQ(errorOf([&] { spend(made, "three"); }), ErrorCode::gone);
    EXPECT_EQ(shares.get(user, made.id).downloads, 2);
    EXPECT_EQ(shares.get(user, made.id).lastUsedAt, time.now());
    EXPECT_EQ(rows("share_tickets"), 2);
    EXPECT_EQ(seq(), before);
    shares.change(user, made.id, {.maxDownloads = std::optional<std::int64_t>(3)});
    spend(made, "three");
    shares.change(user, made.id, {.maxDownloads = std::optional<std::int64_t>(1)});
    EXPECT_EQ(errorOf([&] { spend(made, "four"); }), ErrorCode::gone);
    EXPECT_EQ(downloads(made.id), 3);
}

TEST_P(SharesTest, SixteenGuestsAtALinkForFiveAreFive) {
    const Share made = share({file(root, "f"), {}, {}, 5});
    Database secondProcess(options());
    secondProcess.open();
    Shares elsewhere(secondProcess, clock());
    const auto result = inParallel(16, [&](int i) {
        (i % 2 == 0 ? shares : elsewhere).spend(made.id, made.file, 1, 100, 0, hash("ticket" + std::to_string(i)));
    });
    EXPECT_EQ(result.succeeded, 5);
    EXPECT_THAT(result.refused, AllOf(SizeIs(11), Each(ErrorCode::gone)));
    EXPECT_EQ(downloads(made.id), 5);
    EXPECT_EQ(rows("share_tickets"), 5);
}

TEST_P(SharesTest, ALinkWithoutALimitOpensNoTickets) {
    const Share made = share({file(root, "f"), {}, {}, {}});
    for (int i = 0; i < 3; ++i) spend(made);
    EXPECT_EQ(downloads(made.id), 3);
    EXPECT_FALSE(useTicket(made, 1));
    EXPECT_EQ(rows("share_tickets"), 0);
}

TEST_P(SharesTest, ATicketIsGoodForTwiceTheFile) {
    const Share made = share({file(root, "f"), {}, {}, 1});
    spend(made, "ticket", 60);
    EXPECT_FALSE(useTicket(made, 141));
    EXPECT_TRUE(useTicket(made, 100));
    EXPECT_FALSE(useTicket(made, 41));
    EXPECT_TRUE(useTicket(made, 40));
    EXPECT_FALSE(useTicket(made, 1));
    EXPECT_EQ(downloads(made.id), 1);
}

TEST_P(SharesTest, ATicketIsOfOneShareOneFileAndOneVersion) {
    const Share made = share({file(root, "f"), {}, {}, 1});
    const Share another = share({made.file, {}, {}, 1}, "another");
    spend(made);
    EXPECT_FALSE(useTicket(made, 1, "another ticket"));
    EXPECT_FALSE(useTicket(another, 1));
    EXPECT_FALSE(shares.useTicket(made.id, hash("ticket"), root, 1, 1));
    EXPECT_FALSE(shares.useTicket(made.id, hash("ticket"), made.file, 2, 1));
    EXPECT_TRUE(useTicket(made, 1));
    shares.revoke(user, made.id);
    EXPECT_FALSE(useTicket(made, 1));
}

TEST_P(SharesTest, TicketsEndAfterADayAndAreSwept) {
    const Share made = share({file(root, "f"), {}, {}, 10});
    for (const char* ticket : {"a", "b", "c"}) spend(made, ticket);
    time.advance(dayUs - 1);
    spend(made, "later");
    EXPECT_TRUE(useTicket(made, 1, "a"));
    EXPECT_EQ(shares.expireTickets(10), 0);
    time.advance(1);
    EXPECT_FALSE(useTicket(made, 1, "a"));
    EXPECT_TRUE(useTicket(made, 1, "later"));
    EXPECT_EQ(shares.expireTickets(2), 2);
    EXPECT_EQ(shares.expireTickets(2), 1);
    EXPECT_EQ(shares.expireTickets(2), 0);
    EXPECT_TRUE(useTicket(made, 1, "later"));
}

TEST_P(SharesTest, LinksThatAreOverAreForgottenAfterAWhile) {
    const FileId f = file(root, "f");
    const Share lasting = share({f, {}, {}, {}}, "lasting"), revoked = share({f, {}, {}, {}}, "revoked"),
                expired = share({f, {}, time.now() + hourUs, {}}, "expired"), usedUp = share({f, {}, {}, 1}, "used up"),
                halfUsed = share({f, {}, {}, 2}, "half used"),
                prolonged = share({f, {}, time.now() + hourUs, {}}, "prolonged");
    const Timestamp begin = time.now();
    shares.revoke(user, revoked.id);
    spend(usedUp);
    spend(halfUsed);
    time.advance(2 * dayUs);
    shares.change(user, prolonged.id, {.passwordHash = {}, .expiresAt = time.now() + dayUs, .maxDownloads = {}});
    EXPECT_EQ(shares.resolve(hash("expired")).share.id, expired.id) << "its guest is told that it is over";
    EXPECT_EQ(shares.expire(begin, ShareId{}, 10).changed, 0) << "they are not over for long";

    const auto before = seq();
    const auto first = shares.expire(begin + 2 * hourUs, ShareId{}, 3);
    EXPECT_EQ(first.examined, 3);
    EXPECT_EQ(first.changed, 2) << "revoked and expired";
    const auto second = shares.expire(begin + 2 * hourUs, first.last, 10);
    EXPECT_EQ(second.examined, 3);
    EXPECT_EQ(second.changed, 0) << "one that is used up has a ticket, which the sweep takes first";
    EXPECT_EQ(shares.expire(begin + 2 * hourUs, second.last, 10).examined, 0);
    EXPECT_GT(shares.expireTickets(10), 0);
    EXPECT_EQ(shares.expire(begin + 2 * hourUs, first.last, 10).changed, 1);
    EXPECT_GT(seq(), before) << "lists are made anew";
    EXPECT_THAT(listed(), ElementsAre(prolonged.id, halfUsed.id, lasting.id));
    EXPECT_EQ(refusalOfLink("expired"), ErrorCode::notFound);
    EXPECT_EQ(refusalOfLink("used up"), ErrorCode::notFound);
}

TEST_P(SharesTest, GuestsWithOneTicketTakeNoMoreThanItHas) {
    const Share made = share({file(root, "f"), {}, {}, 1});
    spend(made);
    std::atomic<int> served = 0;
    EXPECT_EQ(inParallel(16, [&](int) { served += useTicket(made, 40); }).succeeded, 16);
    EXPECT_EQ(served, 5);
}

CATALOG_SUITE(SharesTest);

}  // namespace
}  // namespace chunkvault::catalog
