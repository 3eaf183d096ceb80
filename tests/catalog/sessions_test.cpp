#include <gmock/gmock.h>

#include "tests/catalog/parallel.h"
#include "tests/catalog/tree_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::Each;
using testing::IsEmpty;
using testing::SizeIs;

class SessionsTest : public TreeTest {
  protected:
    static Sha256Digest hash(std::string_view token) { return Sha256Digest::of(token); }

    SessionId open(std::string_view token, Timestamp lifetime = 30 * dayUs) {
        return accounts.openSession(user, accounts.find(user)->passwordChangedAt, hash(token), "192.0.2.1", "a browser",
                                    time.now() + lifetime);
    }
    Access rotate(std::string_view token, std::string_view next) {
        return accounts.rotate(hash(token), hash(next), "192.0.2.7", time.now() + 30 * dayUs);
    }
};

TEST_P(SessionsTest, ASessionIsItsUserUntilItExpires) {
    const SessionId id = open("t0", hourUs);
    const auto access = accounts.resolveSession(id);
    ASSERT_TRUE(access);
    EXPECT_EQ(access->user.id, user);
    EXPECT_EQ(access->user.root, root);
    EXPECT_EQ(access->user.lastLoginAt, time.now());
    EXPECT_EQ(access->session, id);
    EXPECT_FALSE(access->apiToken);
    EXPECT_FALSE(access->readOnly);
    EXPECT_FALSE(accounts.resolveSession(SessionId{987654}));
    time.advance(hourUs - 1);
    EXPECT_TRUE(accounts.resolveSession(id));
    time.advance(1);
    EXPECT_FALSE(accounts.resolveSession(id));
    EXPECT_EQ(errorOf([&] { rotate("t0", "t1"); }), ErrorCode::unauthorized);
    EXPECT_EQ(errorOf([&] { accounts.openSession(UserId{987654}, 0, hash("x"), "", "", 0); }), ErrorCode::notFound);
}

TEST_P(SessionsTest, TheRequestSeesTheUserAsItIsNow) {
    const SessionId id = open("t0");
    const auto before = accounts.resolveSession(id)->user.revision.seq;
    folder(root, "new");
    EXPECT_EQ(accounts.resolveSession(id)->user.revision.seq, before + 1);
    accounts.change(user, {.role = Role::admin});
    EXPECT_EQ(accounts.resolveSession(id)->user.role, Role::admin);
}

// One family of tokens from t0 on. Each step presents one and, unless it is refused, hands out the next number.
TEST_P(SessionsTest, RefreshTokensRotate) {
    struct Step {
        Timestamp after;
        int token;
        bool good;
    };
    struct Case {
        const char* name;
        std::vector<Step> steps;
    };
    const Case cases[] = {
        {"each token once", {{0, 0, true}, {dayUs, 1, true}, {dayUs, 2, true}}},
        {"a retry inside a minute", {{0, 0, true}, {minuteUs - 1, 0, true}}},
        {"a retry after a minute", {{0, 0, true}, {minuteUs, 0, false}, {0, 1, false}}},
        {"many retries", {{0, 0, true}, {secondUs, 0, true}, {secondUs, 0, true}, {secondUs, 0, true}}},
        {"a retry does not make the minute longer",
         {{0, 0, true}, {40 * secondUs, 0, true}, {20 * secondUs, 0, false}}},
        {"the previous one after the new one was used", {{0, 0, true}, {0, 1, true}, {0, 0, false}, {0, 2, false}}},
        {"a retry of the second rotation", {{0, 0, true}, {dayUs, 1, true}, {secondUs, 1, true}, {dayUs, 3, true}}},
        {"the first answer to a retried rotation", {{0, 0, true}, {0, 0, true}, {dayUs, 1, true}, {dayUs, 3, true}}},
        {"the second answer", {{0, 0, true}, {0, 0, true}, {dayUs, 2, true}, {dayUs, 3, true}}},
        {"a middle answer of three", {{0, 0, true}, {0, 0, true}, {0, 0, true}, {dayUs, 2, true}, {0, 4, true}}},
        {"the second answer after the first", {{0, 0, true}, {0, 0, true}, {0, 1, true}, {0, 2, false}, {0, 3, false}}},
        {"the first answer after the second", {{0, 0, true}, {0, 0, true}, {0, 2, true}, {0, 1, false}, {0, 3, false}}},
        {"the old one after an answer was used", {{0, 0, true}, {0, 0, true}, {0, 1, true}, {0, 0, false}}},
        {"a retry of an answer that was used", {{0, 0, true}, {0, 0, true}, {0, 1, true}, {secondUs, 1, true}}},
        {"an answer that was used, too late", {{0, 0, true}, {0, 0, true}, {0, 1, true}, {minuteUs, 1, false}}},
        {"a token that never was", {{0, 9, false}, {0, 0, true}}},
    };
    for (const Case& each : cases) {
        const auto named = [&](int number) { return each.name + std::to_string(number); };
        const SessionId id = open(named(0));
        int next = 1;
        for (std::size_t i = 0; i < each.steps.size(); ++i) {
            const Step& step = each.steps[i];
            SCOPED_TRACE(std::string(each.name) + ", step " + std::to_string(i));
            time.advance(step.after);
            if (!step.good) {
                EXPECT_EQ(errorOf([&] { rotate(named(step.token), "unused"); }), ErrorCode::unauthorized);
                EXPECT_EQ(accounts.resolveSession(id).has_value(), step.token == 9);
                continue;
            }
            const Access access = rotate(named(step.token), named(next++));
            EXPECT_EQ(access.session, id);
            EXPECT_EQ(access.user.id, user);
        }
    }
}

TEST_P(SessionsTest, RotationKeepsASessionAliveAndNotesItsAddress) {
    const SessionId id = open("t0", dayUs);
    time.advance(hourUs);
    rotate("t0", "t1");
    const auto listed = accounts.sessions(user);
    ASSERT_THAT(listed, SizeIs(1));
    EXPECT_EQ(listed[0].id, id);
    EXPECT_EQ(listed[0].address, "192.0.2.7");
    EXPECT_EQ(listed[0].userAgent, "a browser");
    EXPECT_EQ(listed[0].createdAt, time.now() - hourUs);
    EXPECT_EQ(listed[0].lastUsedAt, time.now());
    EXPECT_EQ(listed[0].expiresAt, time.now() + 30 * dayUs);
    time.advance(2 * dayUs);
    EXPECT_TRUE(accounts.resolveSession(id));
}

TEST_P(SessionsTest, TokensThatWereReplacedAreKnownAsLongAsALoginLasts) {
    const SessionId id = open("t0");
    for (int day = 0; day < 40; ++day) {
        time.advance(dayUs);
        rotate("t" + std::to_string(day), "t" + std::to_string(day + 1));
        EXPECT_LE(rows("rotated_tokens"), 30);
    }
    EXPECT_EQ(errorOf([&] { rotate("t5", "x"); }), ErrorCode::unauthorized);
    EXPECT_TRUE(accounts.resolveSession(id)) << "nobody knows it any more";
    EXPECT_EQ(errorOf([&] { rotate("t15", "x"); }), ErrorCode::unauthorized);
    EXPECT_FALSE(accounts.resolveSession(id)) << "somebody has a copy of it";
}

TEST_P(SessionsTest, AreListedInPages) {
    std::vector<SessionId> opened;
    for (int number = 0; number < 5; ++number) {
        opened.push_back(open("t" + std::to_string(number)));
        if (number % 2 == 0) time.advance(secondUs);
    }
    std::vector<SessionId> listed;
    std::optional<Accounts::SessionKey> after;
    for (;;) {
        const auto page = accounts.sessions(user, after, 2);
        for (const LoginSession& session : page) listed.push_back(session.id);
        if (page.size() < 2) break;
        after = {page.back().lastUsedAt, page.back().id};
    }
    EXPECT_THAT(listed, testing::UnorderedElementsAreArray(opened));
    EXPECT_EQ(listed.back(), opened.front()) << "the newest come first";
}

TEST_P(SessionsTest, AnAccountHasAHundredApiTokens) {
    for (int number = 0; number < Accounts::maxApiTokens; ++number)
        (void)accounts.createApiToken(user, "", ChunkId::of(std::to_string(number)), true, std::nullopt);
    EXPECT_EQ(errorOf([&] { (void)accounts.createApiToken(user, "", ChunkId::of("more"), true, std::nullopt); }),
              ErrorCode::conflict);
    accounts.revokeApiToken(user, accounts.apiTokens(user).front().id);
    (void)accounts.createApiToken(user, "", ChunkId::of("more"), true, std::nullopt);
}

TEST_P(SessionsTest, RotationsOfOneTokenAtOnceAllSucceed) {
    const SessionId id = open("t0");
    const auto result = inParallel(8, [&](int i) { rotate("t0", "next" + std::to_string(i)); });
    EXPECT_THAT(result.refused, IsEmpty());
    EXPECT_TRUE(accounts.resolveSession(id));
    time.advance(dayUs);
    EXPECT_EQ(rotate("next3", "after").session, id);
    EXPECT_EQ(rotate("after", "after that").session, id);
    EXPECT_EQ(errorOf([&] { rotate("next4", "x"); }), ErrorCode::unauthorized);
    EXPECT_FALSE(accounts.resolveSession(id));
}

TEST_P(SessionsTest, ADisabledUsersTokenIsNotRotatedWhateverComesFirst) {
    for (int round = 0; round < 5; ++round) {
        const std::string token = "t" + std::to_string(round);
        const SessionId id = open(token);
        const auto result = inParallel(2, [&](int i) {
            if (i == 0) accounts.change(user, {.state = UserState::disabled});
            else rotate(token, token + "next");
        });
        EXPECT_GE(result.succeeded, 1);
        EXPECT_THAT(result.refused, Each(ErrorCode::unauthorized));
        accounts.change(user, {.state = UserState::active});
        EXPECT_FALSE(accounts.resolveSession(id));
        EXPECT_EQ(rows("sessions") + rows("rotated_tokens"), 0);
    }
}

TEST_P(SessionsTest, SessionsAreListedAndRevokedByTheirUserOnly) {
    const SessionId first = open("t0");
    time.advance(1);
    const SessionId second = open("s0"), expired = open("e0", 1);
    rotate("t0", "t1");
    time.advance(1);
    rotate("t1", "t2");
    const auto listed = accounts.sessions(user);
    ASSERT_THAT(listed, SizeIs(2));
    EXPECT_EQ(listed[0].id, first);
    EXPECT_EQ(listed[1].id, second);
    EXPECT_THAT(accounts.sessions(other), IsEmpty());
    EXPECT_EQ(errorOf([&] { accounts.revokeSession(other, first); }), ErrorCode::notFound);
    accounts.revokeSession(user, first);
    EXPECT_EQ(errorOf([&] { accounts.revokeSession(user, first); }), ErrorCode::notFound);
    EXPECT_FALSE(accounts.resolveSession(first));
    EXPECT_EQ(rows("rotated_tokens"), 0);
    EXPECT_TRUE(accounts.resolveSession(second));
    EXPECT_EQ(accounts.expireSessions(10), 1);
    EXPECT_EQ(accounts.expireSessions(10), 0);
    EXPECT_EQ(errorOf([&] { accounts.revokeSession(user, expired); }), ErrorCode::notFound);
}

TEST_P(SessionsTest, AnApiTokenIsItsUserUntilItExpires) {
    const ApiTokenId writing = accounts.createApiToken(user, "backup", hash("w"), false, std::nullopt);
    const ApiTokenId reading = accounts.createApiToken(user, "phone", hash("r"), true, time.now() + hourUs);
    EXPECT_EQ(accounts.resolveApiToken(hash("w"))->apiToken, writing);
    EXPECT_FALSE(accounts.resolveApiToken(hash("w"))->readOnly);
    EXPECT_FALSE(accounts.resolveApiToken(hash("w"))->session);
    EXPECT_EQ(accounts.resolveApiToken(hash("r"))->user.id, user);
    EXPECT_TRUE(accounts.resolveApiToken(hash("r"))->readOnly);
    EXPECT_FALSE(accounts.resolveApiToken(hash("unknown")));
    time.advance(hourUs);
    EXPECT_FALSE(accounts.resolveApiToken(hash("r")));
    EXPECT_TRUE(accounts.resolveApiToken(hash("w")));
    const auto listed = accounts.apiTokens(user);
    ASSERT_THAT(listed, SizeIs(2));
    EXPECT_EQ(listed[0].id, reading);
    EXPECT_EQ(listed[0].name, "phone");
    EXPECT_TRUE(listed[0].readOnly);
    EXPECT_EQ(listed[0].expiresAt, time.now());
    EXPECT_EQ(listed[1].createdAt, time.now() - hourUs);
    EXPECT_FALSE(listed[1].expiresAt);
    EXPECT_THAT(accounts.apiTokens(other), IsEmpty());
    EXPECT_EQ(errorOf([&] { accounts.revokeApiToken(other, writing); }), ErrorCode::notFound);
    accounts.revokeApiToken(user, writing);
    EXPECT_EQ(errorOf([&] { accounts.revokeApiToken(user, writing); }), ErrorCode::notFound);
    EXPECT_FALSE(accounts.resolveApiToken(hash("w")));
}

TEST_P(SessionsTest, TheLastUseOfAnApiTokenIsNotedOnceAMinute) {
    accounts.createApiToken(user, "backup", hash("w"), false, std::nullopt);
    const auto lastUse = [&] { return accounts.apiTokens(user).front().lastUsedAt; };
    EXPECT_FALSE(lastUse());
    ASSERT_TRUE(accounts.resolveApiToken(hash("w")));
    const Timestamp first = time.now();
    EXPECT_EQ(lastUse(), first);
    time.advance(minuteUs);
    ASSERT_TRUE(accounts.resolveApiToken(hash("w")));
    EXPECT_EQ(lastUse(), first);
    time.advance(1);
    ASSERT_TRUE(accounts.resolveApiToken(hash("w")));
    EXPECT_EQ(lastUse(), time.now());
}

CATALOG_SUITE(SessionsTest);

}  // namespace
}  // namespace chunkvault::catalog
