#include <gmock/gmock.h>

#include "database/catalog/shares.h"
#include "tests/catalog/parallel.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// With the users ann and bob of TreeTest; none of them is an admin.
class AccountsTest : public TreeTest {
  protected:
    static Sha256Digest hash(std::string_view token) { return Sha256Digest::of(token); }

    UserId makeAdmin(const std::string& username) { return accounts.create({username, "", "hash", Role::admin}).id; }
    std::vector<std::string> listed(std::string_view q, std::string_view after = "", int limit = 100) {
        std::vector<std::string> names;
        for (const User& found : accounts.list(q, after, limit)) names.push_back(found.username);
        return names;
    }
    std::string refusalOf(const NewUser& wanted) {
        try {
            accounts.create(wanted);
        } catch (const Error& error) {
            return error.code() == ErrorCode::nameTaken ? error.publicMessage() : "another error";
        }
        return "";
    }
    SessionId open(UserId owner, std::string_view token) {
        return accounts.openSession(owner, accounts.find(owner)->passwordChangedAt, hash(token), "192.0.2.1",
                                    "a browser", time.now() + 30 * dayUs);
    }
};

TEST_P(AccountsTest, ASessionNeverHasTheIdOfOneThatAnOlderDatabaseDoesNotKnow) {
    const SessionId before = open(user, "of the time after the backup");
    database().write([&](Session& session) {
        session.execute("DELETE FROM sessions");
        if (database().isPostgres()) session.execute("ALTER TABLE sessions ALTER COLUMN id RESTART WITH 1");
        else session.execute("DELETE FROM sqlite_sequence WHERE name = 'sessions'");
    });
    EXPECT_NE(open(other, "of the time after it was put back"), before);
}

TEST_P(AccountsTest, ANewUserIsActiveWithAnEmptyRootFolder) {
    const User made = accounts.create(
        {.username = "Carol", .email = "Carol@example.org", .passwordHash = "secret", .mustChangePassword = true});
    const auto found = accounts.find(made.id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->username, "Carol");
    EXPECT_EQ(found->email, "Carol@example.org");
    EXPECT_EQ(found->role, Role::user);
    EXPECT_EQ(found->state, UserState::active);
    EXPECT_TRUE(found->mustChangePassword);
    EXPECT_FALSE(found->quota);
    EXPECT_EQ(found->used + found->reserved, 0);
    EXPECT_EQ(found->createdAt, time.now());
    EXPECT_EQ(found->passwordChangedAt, time.now());
    EXPECT_FALSE(found->lastLoginAt);
    const Entry top = tree.get(made.id, found->root);
    EXPECT_EQ(top.kind, Kind::folder);
    EXPECT_FALSE(top.folder);
    EXPECT_EQ(top.name, "");
    EXPECT_TRUE(tree.list(made.id, {found->root}).items.empty());
    EXPECT_FALSE(accounts.find(UserId{987654}));
    EXPECT_EQ(accounts.count(), 3);
}

TEST_P(AccountsTest, NamesAndAddressesAreTakenOnceWhateverTheirCase) {
    accounts.create({"Dora", "Dora@Example.org", "hash"});
    struct Case {
        NewUser wanted;
        const char* refusal;
    };
    const Case cases[] = {
        {{"Dora", "", "hash"}, "user name"},
        {{"dORA", "", "hash"}, "user name"},
        {{"dora", "dora@example.org", "hash"}, "user name"},
        {{"eve", "Dora@Example.org", "hash"}, "email"},
        {{"eve", "DORA@EXAMPLE.ORG", "hash"}, "email"},
        {{"dora2", "dora2@example.org", "hash"}, ""},
        {{"no-address", "", "hash"}, ""},
        {{"no-address-either", "", "hash"}, ""},
    };
    for (const Case& each : cases) EXPECT_THAT(refusalOf(each.wanted), HasSubstr(each.refusal)) << each.wanted.username;
    EXPECT_THAT(refusalOf({"dora2", "", "hash"}), HasSubstr("dora2"));
    EXPECT_EQ(accounts.count(), 2 + 4);
    EXPECT_EQ(rows("files"), accounts.count());
}

TEST_P(AccountsTest, OfManyWhoWantOneNameOneGetsIt) {
    const auto result = inParallel(8, [&](int i) {
        accounts.create({i % 2 == 0 ? "Frank" : "fRANK", "f" + std::to_string(i) + "@example.org", "hash"});
    });
    EXPECT_EQ(result.succeeded, 1);
    EXPECT_THAT(result.refused, Each(ErrorCode::nameTaken));
    EXPECT_EQ(rows("files"), 3);
}

TEST_P(AccountsTest, ALoginFindsTheUserByNameInAnyCase) {
    ASSERT_TRUE(accounts.findForLogin("ANN"));
    EXPECT_EQ(accounts.findForLogin("ANN")->user.id, user);
    EXPECT_EQ(accounts.findForLogin("ann")->passwordHash, "hash");
    for (const std::string_view unknown : {"", "an", "ann ", "%", "\xff", "a\nb"})
        EXPECT_FALSE(accounts.findForLogin(unknown)) << unknown;
}

TEST_P(AccountsTest, UsersAreListedByNameInPages) {
    accounts.create({"Zoe", "zoe@example.org", "hash"});
    accounts.create({"_x", "100%@example.org", "hash"});
    accounts.create({"Bert", "", "hash"});
    EXPECT_THAT(listed(""), ElementsAre("_x", "ann", "Bert", "bob", "Zoe"));
    EXPECT_THAT(listed("", "", 2), ElementsAre("_x", "ann"));
    EXPECT_THAT(listed("", "ANN", 2), ElementsAre("Bert", "bob"));
    EXPECT_THAT(listed("", "zoe"), IsEmpty());
    EXPECT_THAT(listed("B"), ElementsAre("Bert", "bob"));
    EXPECT_THAT(listed("B", "bert"), ElementsAre("bob"));
    EXPECT_THAT(listed("EXAMPLE.org"), ElementsAre("_x", "Zoe"));
    EXPECT_THAT(listed("%"), ElementsAre("_x"));
    EXPECT_THAT(listed("_"), ElementsAre("_x"));
    EXPECT_THAT(listed("nobody"), IsEmpty());
}

TEST_P(AccountsTest, ANewPasswordEndsTheOtherSessionsAndIsAlwaysLater) {
    const SessionId kept = open(user, "kept"), ended = open(user, "ended"), others = open(other, "others");
    accounts.createApiToken(user, "token", hash("api"), false, std::nullopt);
    accounts.changePassword(user, accounts.find(user)->passwordChangedAt, "new", kept);
    EXPECT_TRUE(accounts.resolveSession(kept));
    EXPECT_FALSE(accounts.resolveSession(ended));
    EXPECT_TRUE(accounts.resolveSession(others));
    EXPECT_TRUE(accounts.resolveApiToken(hash("api")));
    EXPECT_EQ(errorOf([&] { accounts.rotate(hash("ended"), hash("x"), "", time.now() + dayUs); }),
              ErrorCode::unauthorized);
    const auto row = accounts.findForLogin("ann");
    EXPECT_EQ(row->passwordHash, "new");
    EXPECT_FALSE(row->user.mustChangePassword);

    Timestamp before = row->user.passwordChangedAt;
    for (const Timestamp step : {Timestamp{0}, -hourUs, 2 * hourUs}) {
        time.advance(step);
        accounts.changePassword(user, before, "newer", std::nullopt);
        const Timestamp after = accounts.find(user)->passwordChangedAt;
        EXPECT_GT(after, before);
        before = after;
    }
    EXPECT_EQ(before, time.now());
    EXPECT_FALSE(accounts.resolveSession(kept));
    EXPECT_EQ(errorOf([&] { accounts.changePassword(UserId{987654}, 0, "x", std::nullopt); }), ErrorCode::notFound);
}

TEST_P(AccountsTest, APasswordThatSomebodyElseGaveEndsAllThatOpenedTheAccount) {
    const SessionId session = open(user, "refresh"), others = open(other, "others");
    accounts.createApiToken(user, "token", hash("api"), false, std::nullopt);
    accounts.createApiToken(other, "token", hash("other api"), false, std::nullopt);
    const Timestamp before = accounts.find(user)->passwordChangedAt;
    accounts.resetPassword(user, "given", true);
    EXPECT_FALSE(accounts.resolveSession(session));
    EXPECT_FALSE(accounts.resolveApiToken(hash("api")));
    EXPECT_THAT(accounts.apiTokens(user), IsEmpty());
    EXPECT_TRUE(accounts.resolveSession(others));
    EXPECT_TRUE(accounts.resolveApiToken(hash("other api")));
    const auto row = accounts.findForLogin("ann");
    EXPECT_EQ(row->passwordHash, "given");
    EXPECT_TRUE(row->user.mustChangePassword);
    EXPECT_GT(row->user.passwordChangedAt, before);
    accounts.resetPassword(user, "given again", false);
    EXPECT_FALSE(accounts.find(user)->mustChangePassword);
    EXPECT_EQ(errorOf([&] { accounts.resetPassword(UserId{987654}, "x", true); }), ErrorCode::notFound);
}

TEST_P(AccountsTest, WhoeverShowedTheFormerPasswordGetsNothingByIt) {
    const Timestamp seen = accounts.find(user)->passwordChangedAt;
    const SessionId session = open(user, "kept");
    accounts.resetPassword(user, "by the admin", true);
    EXPECT_EQ(errorOf([&] { accounts.openSession(user, seen, hash("late"), "", "", time.now() + dayUs); }),
              ErrorCode::unauthorized);
    EXPECT_EQ(errorOf([&] { accounts.changePassword(user, seen, "late", session); }), ErrorCode::unauthorized);
    EXPECT_EQ(accounts.findForLogin("ann")->passwordHash, "by the admin");
    EXPECT_TRUE(accounts.find(user)->mustChangePassword);
    EXPECT_THAT(accounts.sessions(user), IsEmpty());

    const SessionId kept = open(user, "next"), ended = open(user, "other");
    const Timestamp changed = accounts.changePassword(user, accounts.find(user)->passwordChangedAt, "own", kept);
    EXPECT_EQ(changed, accounts.find(user)->passwordChangedAt);
    EXPECT_FALSE(accounts.find(user)->mustChangePassword);
    EXPECT_TRUE(accounts.resolveSession(kept));
    EXPECT_FALSE(accounts.resolveSession(ended));
    EXPECT_EQ(errorOf([&] { accounts.changePassword(UserId{987654}, 0, "x", std::nullopt); }), ErrorCode::notFound);
}

TEST_P(AccountsTest, ADisabledUserIsRefusedEverywhereAtOnce) {
    const SessionId session = open(user, "refresh");
    accounts.createApiToken(user, "token", hash("api"), false, std::nullopt);
    EXPECT_EQ(changesOf([&] { accounts.change(user, {.state = UserState::disabled}); }), 1);
    EXPECT_EQ(accounts.find(user)->state, UserState::disabled);
    EXPECT_FALSE(accounts.resolveSession(session));
    EXPECT_FALSE(accounts.resolveApiToken(hash("api")));
    EXPECT_EQ(errorOf([&] { accounts.rotate(hash("refresh"), hash("x"), "", time.now() + dayUs); }),
              ErrorCode::unauthorized);
    EXPECT_EQ(errorOf([&] { open(user, "another"); }), ErrorCode::unauthorized);

    EXPECT_EQ(changesOf([&] { accounts.change(user, {.state = UserState::active}); }), 1);
    EXPECT_FALSE(accounts.resolveSession(session));
    EXPECT_TRUE(accounts.resolveApiToken(hash("api")));
    EXPECT_EQ(errorOf([&] { accounts.change(UserId{987654}, {.state = UserState::disabled}); }), ErrorCode::notFound);
}

TEST_P(AccountsTest, RoleAndQuotaCanBeChanged) {
    accounts.change(user, {.role = Role::admin});
    EXPECT_EQ(accounts.find(user)->role, Role::admin);
    for (const std::optional<std::int64_t> quota :
         {std::optional<std::int64_t>(0), std::optional<std::int64_t>(1000), std::optional<std::int64_t>()}) {
        accounts.change(user, {.quota = quota});
        EXPECT_EQ(accounts.find(user)->quota, quota);
    }
    EXPECT_EQ(errorOf([&] { accounts.change(UserId{987654}, {.role = Role::user}); }), ErrorCode::notFound);
    EXPECT_EQ(errorOf([&] { accounts.change(UserId{987654}, {.quota = 1}); }), ErrorCode::notFound);
}

TEST_P(AccountsTest, ChangesAreMadeTogetherOrNotAtAll) {
    const UserId admin = makeAdmin("admin");
    const SessionId session = open(admin, "refresh");
    for (const UserChange& refused : {UserChange{.role = Role::user, .state = UserState::active, .quota = 5},
                                      UserChange{.role = Role::admin, .state = UserState::disabled, .quota = 5}})
        EXPECT_EQ(errorOf([&] { accounts.change(admin, refused); }), ErrorCode::conflict);
    const User before = *accounts.find(admin);
    EXPECT_EQ(before.role, Role::admin);
    EXPECT_EQ(before.state, UserState::active);
    EXPECT_FALSE(before.quota);
    EXPECT_TRUE(accounts.resolveSession(session));

    accounts.change(user, {.role = Role::admin, .state = UserState::active, .quota = 7});
    accounts.change(admin, {.role = Role::user, .state = UserState::disabled, .quota = 0});
    const User after = *accounts.find(admin);
    EXPECT_EQ(after.role, Role::user);
    EXPECT_EQ(after.state, UserState::disabled);
    EXPECT_EQ(after.quota, 0);
    EXPECT_FALSE(accounts.resolveSession(session));
    accounts.change(admin, {});
    EXPECT_EQ(accounts.find(admin)->state, UserState::disabled);
    EXPECT_EQ(accounts.find(admin)->quota, 0);
    EXPECT_EQ(accounts.find(admin)->revision.seq, after.revision.seq);
}

TEST_P(AccountsTest, TheLastActiveAdminStays) {
    const UserId admin = makeAdmin("admin"), second = makeAdmin("second");
    accounts.change(second, {.state = UserState::disabled});
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(errorOf([&] { accounts.change(admin, {.state = UserState::disabled}); }), ErrorCode::conflict);
        EXPECT_EQ(errorOf([&] { accounts.change(admin, {.role = Role::user}); }), ErrorCode::conflict);
        EXPECT_EQ(errorOf([&] { accounts.beginDelete(admin); }), ErrorCode::conflict);
        accounts.change(admin, {.role = Role::admin});
        accounts.change(admin, {.state = UserState::active});
        accounts.change(second, {.role = Role::user});  // was disabled: nobody's last admin
    }
    EXPECT_EQ(accounts.find(admin)->role, Role::admin);
    EXPECT_EQ(accounts.find(admin)->state, UserState::active);
    accounts.change(user, {.state = UserState::disabled});
    accounts.beginDelete(user);
    accounts.change(other, {.role = Role::admin});
    accounts.beginDelete(admin);
    EXPECT_EQ(errorOf([&] { accounts.beginDelete(other); }), ErrorCode::conflict);
}

TEST_P(AccountsTest, AdminsWhoEndEachOtherAtOnceLeaveOne) {
    for (int round = 0; round < 5; ++round) {
        const std::string suffix = std::to_string(round);
        const UserId admins[] = {makeAdmin("a" + suffix), makeAdmin("b" + suffix), makeAdmin("c" + suffix)};
        const auto result = inParallel(3, [&](int i) {
            if (i == 0) accounts.change(admins[0], {.state = UserState::disabled});
            if (i == 1) accounts.change(admins[1], {.role = Role::user});
            if (i == 2) accounts.beginDelete(admins[2]);
        });
        EXPECT_EQ(result.succeeded, 2);
        EXPECT_THAT(result.refused, ElementsAre(ErrorCode::conflict));
        EXPECT_EQ(number("SELECT COUNT(*) FROM users WHERE role = 'admin' AND state = 'active'"), 1);
        database().write([](Session& session) { session.execute("UPDATE users SET role = 'user'"); });
    }
}

TEST_P(AccountsTest, AttemptsAreCountedInAWindowThatStartsWithTheFirst) {
    const auto attempt = [&] { accounts.countAttempt("key", 3, 60); };
    for (int round = 0; round < 2; ++round) {
        attempt();
        time.advance(30 * secondUs);
        attempt();
        attempt();
        for (int i = 0; i < 3; ++i) EXPECT_EQ(errorOf(attempt), ErrorCode::tooManyRequests);
        accounts.countAttempt("another key", 30, 60);
        time.advance(29 * secondUs + 1);
        try {
            attempt();
            ADD_FAILURE() << "was not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.retryAfterS(), 1);
        }
        time.advance(secondUs);
    }
    attempt();
    accounts.clearAttempts("key");
    for (int i = 0; i < 3; ++i) attempt();
    EXPECT_EQ(errorOf(attempt), ErrorCode::tooManyRequests);
}

TEST_P(AccountsTest, ManyThreadsShareOneCountOfAttempts) {
    Database secondProcess(options());
    secondProcess.open();
    Accounts others(secondProcess, clock());
    const auto result = inParallel(16, [&](int i) { (i % 2 == 0 ? accounts : others).countAttempt("key", 5, 60); });
    EXPECT_EQ(result.succeeded, 5);
    EXPECT_THAT(result.refused, AllOf(SizeIs(11), Each(ErrorCode::tooManyRequests)));
}

TEST_P(AccountsTest, CountersThatAreOverAreRemoved) {
    for (const char* key : {"a", "b", "c"}) accounts.countAttempt(key, 1, 60);
    accounts.countAttempt("long", 1, 3600);
    EXPECT_EQ(accounts.expireAttempts(10), 0);
    time.advance(minuteUs);
    EXPECT_EQ(accounts.expireAttempts(2), 2);
    EXPECT_EQ(accounts.expireAttempts(2), 1);
    EXPECT_EQ(rows("attempts"), 1);
}

CATALOG_SUITE(AccountsTest);

}  // namespace
}  // namespace chunkvault::catalog
