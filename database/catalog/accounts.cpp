#include "database/catalog/accounts.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "common/error/error.h"
#include "common/wire/file_name.h"
#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

constexpr Timestamp rotationGraceUs = minuteUs;
constexpr Timestamp untilUsed = std::numeric_limits<Timestamp>::max();
constexpr Timestamp lastUsedStepUs = minuteUs;  // how exact an API token's last use is kept

// Never one that was given before, not even by the database from before a backup was put back: an access token names
// nothing but its session. Of 18 digits at most.
std::int64_t newSessionId() { return (newStamp() >> 4) + 1; }

// userOf reads these from column 0 on.
constexpr std::string_view userColumns =
    "u.id, u.username, u.email, u.role, u.state, u.must_change_password, u.quota, u.used, u.reserved, u.seq, "
    "u.seq_stamp, u.root_id, u.created_at, u.password_changed_at, u.last_login_at";
constexpr int userColumnCount = 15;

// As names and addresses are compared; "" stays "".
std::string keyOf(std::string_view text) { return text.empty() ? std::string() : FileName::searchKey(text); }

UserState stateOf(std::string_view text) {
    if (text == "active") return UserState::active;
    return text == "disabled" ? UserState::disabled : UserState::deleting;
}

User userOf(const Row& row) {
    return {row.id<UserId>(0),    row.text(1),
            row.text(2),          row.text(3) == "admin" ? Role::admin : Role::user,
            stateOf(row.text(4)), row.truth(5),
            row.maybeInteger(6),  row.integer(7),
            row.integer(8),       {row.integer(9), row.integer(10)},
            row.id<FileId>(11),   row.integer(12),
            row.integer(13),      row.maybeInteger(14)};
}

std::string selectUser(std::string_view rest) {
    return "SELECT " + std::string(userColumns) + " FROM users u " + std::string(rest);
}

std::string_view textOf(Role role) { return role == Role::admin ? "admin" : "user"; }

[[noreturn]] void refuseToken() {
    throw Error(ErrorCode::unauthorized, "The token is unknown, expired or revoked. Sign in again.");
}

void deleteSessions(Session& session, UserId user, std::optional<SessionId> keep) {
    session.execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", {user, keep ? valueOf(*keep) : 0});
}

// A password that was right while its hash was computed opens nothing once another one is set.
void refuseOtherPassword(const User& locked, Timestamp seenChangedAt) {
    if (locked.passwordChangedAt != seenChangedAt)
        throw Error(ErrorCode::unauthorized, "The password was changed meanwhile. Sign in with the new one.");
}

Timestamp putPassword(Session& session, const User& locked, std::string_view hash, bool mustChange, Timestamp now) {
    // Later than before even if the clock stands still: upload tokens end by it.
    const Timestamp changedAt = std::max(now, locked.passwordChangedAt + 1);
    session.execute(
        "UPDATE users SET password_hash = $1, must_change_password = $2, password_changed_at = $3 WHERE id = $4",
        {hash, mustChange, changedAt, locked.id});
    return changedAt;
}

User lockUser(Session& session, UserId user) {
    static const std::string sqlite = selectUser("WHERE u.id = $1"), postgres = sqlite + " FOR UPDATE";
    std::optional<User> found;
    session.query(session.isPostgres() ? postgres : sqlite, {user}, [&](const Row& row) { found = userOf(row); });
    if (!found) throw Error(ErrorCode::notFound, "There is no user with this id.");
    return std::move(*found);
}

// The user, who may stop being an admin now. The rows of all active admins are locked first and in order, so that of
// two who end each other at once one is refused, and neither waits for the other for ever.
User lockToDemote(Session& session, UserId user) {
    static const std::string sqlite = "SELECT id FROM users WHERE role = 'admin' AND state = 'active' ORDER BY id";
    static const std::string postgres = sqlite + " FOR UPDATE";
    bool othersLeft = false;
    session.query(session.isPostgres() ? postgres : sqlite, {},
                  [&](const Row& row) { othersLeft = othersLeft || row.id<UserId>(0) != user; });
    User locked = lockUser(session, user);
    if (!othersLeft && locked.role == Role::admin && locked.state == UserState::active)
        throw Error(ErrorCode::conflict, "This is the last active administrator. Make another one first.");
    return locked;
}

// The session whose current or earlier refresh token this is, locked.
struct RefreshedSession {
    SessionId id;
    UserId user;
    Sha256Digest current;
    Timestamp expiresAt;
};
std::optional<RefreshedSession> lockSessionOf(Session& session, const Sha256Digest& refreshHash) {
    static const std::string sqlite =
        "SELECT id, user_id, refresh_hash, expires_at FROM sessions WHERE id = (SELECT id FROM sessions WHERE "
        "refresh_hash = $1"
        " UNION ALL SELECT session_id FROM rotated_tokens WHERE refresh_hash = $1)";
    static const std::string postgres = sqlite + " FOR UPDATE";
    std::optional<RefreshedSession> found;
    session.query(session.isPostgres() ? postgres : sqlite, {refreshHash}, [&](const Row& row) {
        found = RefreshedSession{row.id<SessionId>(0), row.id<UserId>(1), row.digest(2), row.integer(3)};
    });
    return found;
}

void noteAccount(Session& session, UserId user, Timestamp now) {
    OwnerRow row = lockOwnerInAnyState(session, user);
    ChangeNotes notes(now);
    notes.account();
    bumpSeq(session, row, notes);
}

}  // namespace

Accounts::Accounts(Database& database, Clock clock) : database_(database), clock_(std::move(clock)) {}

User Accounts::create(const NewUser& user) {
    static const std::string select = selectUser("WHERE u.id = $1");
    const std::string nameKey = keyOf(user.username), emailKey = keyOf(user.email);
    std::optional<User> made;
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        UserId id{};
        try {
            session.savepoint([&] {
                session.query(
                    "INSERT INTO users (username, username_key, email, email_key, password_hash, role, state, "
                    "must_change_password, created_at, password_changed_at, seq_stamp) VALUES ($1, $2, $3, $4, $5, $6,"
                    " 'active', $7, $8, $8, $9) RETURNING id",
                    {user.username, nameKey, user.email, emailKey.empty() ? Value(std::nullopt) : Value(emailKey),
                     user.passwordHash, textOf(user.role), user.mustChangePassword, now, newStamp()},
                    [&](const Row& row) { id = row.id<UserId>(0); });
            });
        } catch (const SqlError& error) {
            if (error.failure() != SqlFailure::unique) throw;
            bool nameTaken = false;
            session.query("SELECT 1 FROM users WHERE username_key = $1", {nameKey},
                          [&](const Row&) { nameTaken = true; });
            throw Error(ErrorCode::nameTaken,
                        nameTaken ? "The user name \"" + user.username + "\" is taken. Choose another one."
                                  : "There is an account with this email address already.");
        }
        FileId root{};
        session.query(
            "INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, modified_at, created_at, updated_at)"
            " VALUES ($1, NULL, 0, 'live', '', '', $2, $2, $2) RETURNING id",
            {id, now}, [&](const Row& row) { root = row.id<FileId>(0); });
        session.execute("UPDATE users SET root_id = $1 WHERE id = $2", {root, id});
        session.query(select, {id}, [&](const Row& row) { made = userOf(row); });
    });
    return std::move(*made);
}

std::optional<LoginRow> Accounts::findForLogin(std::string_view username) {
    static const std::string select =
        "SELECT " + std::string(userColumns) + ", u.password_hash FROM users u WHERE u.username_key = $1";
    const std::string key = loginKey(username);
    std::optional<LoginRow> found;
    if (key.empty()) return found;
    database_.read([&](Session& session) {
        session.query(select, {key}, [&](const Row& row) { found = LoginRow{userOf(row), row.text(userColumnCount)}; });
    });
    return found;
}

std::string Accounts::loginKey(std::string_view username) {
    try {
        return keyOf(username);
    } catch (const Error&) {
        return {};
    }
}

std::optional<User> Accounts::find(UserId user) {
    static const std::string select = selectUser("WHERE u.id = $1");
    std::optional<User> found;
    database_.read(
        [&](Session& session) { session.query(select, {user}, [&](const Row& row) { found = userOf(row); }); });
    return found;
}

std::vector<User> Accounts::list(std::string_view q, std::string_view afterUsername, int limit) {
    static const std::string select = selectUser(
        "WHERE u.username_key > $1 AND (u.username_key LIKE $2 ESCAPE '\\' OR u.email_key LIKE $2 ESCAPE '\\')"
        " ORDER BY u.username_key LIMIT $3");
    static const std::string selectAll = selectUser("WHERE u.username_key > $1 ORDER BY u.username_key LIMIT $2");
    const std::string after = keyOf(afterUsername), pattern = likePattern(keyOf(q));
    std::vector<User> users;
    database_.read([&](Session& session) {
        users.clear();
        const auto each = [&](const Row& row) { users.push_back(userOf(row)); };
        if (q.empty()) session.query(selectAll, {after, limit}, each);
        else session.query(select, {after, pattern, limit}, each);
    });
    return users;
}

std::int64_t Accounts::count() {
    std::int64_t count = 0;
    database_.read([&](Session& session) {
        session.query("SELECT COUNT(*) FROM users", {}, [&](const Row& row) { count = row.integer(0); });
    });
    return count;
}

void Accounts::resetPassword(UserId user, std::string_view passwordHash, bool mustChange) {
    database_.write([&](Session& session) {
        putPassword(session, lockUser(session, user), passwordHash, mustChange, clock_());
        deleteSessions(session, user, std::nullopt);
        session.execute("DELETE FROM api_tokens WHERE user_id = $1", {user});
    });
}

Timestamp Accounts::changePassword(UserId user, Timestamp seenChangedAt, std::string_view passwordHash,
                                   std::optional<SessionId> keep) {
    Timestamp changedAt = 0;
    database_.write([&](Session& session) {
        const User locked = lockUser(session, user);
        refuseOtherPassword(locked, seenChangedAt);
        changedAt = putPassword(session, locked, passwordHash, false, clock_());
        deleteSessions(session, user, keep);
    });
    return changedAt;
}

void Accounts::change(UserId user, const UserChange& change) {
    assert(change.state != UserState::deleting);
    const bool disables = change.state == UserState::disabled;
    database_.write([&](Session& session) {
        const bool demotes = disables || change.role == Role::user;
        const User before = demotes ? lockToDemote(session, user) : lockUser(session, user);
        if (before.state == UserState::deleting)
            throw Error(ErrorCode::conflict, "This account is being deleted and cannot be changed.");
        const UserState state = change.state.value_or(before.state);
        session.execute("UPDATE users SET role = $1, state = $2, quota = $3 WHERE id = $4",
                        {textOf(change.role.value_or(before.role)), state == UserState::active ? "active" : "disabled",
                         change.quota.value_or(before.quota), user});
        if (change.state) noteAccount(session, user, clock_());
        if (disables) deleteSessions(session, user, std::nullopt);
    });
}

void Accounts::beginDelete(UserId user) {
    database_.write([&](Session& session) {
        const User before = lockToDemote(session, user);
        const Timestamp now = clock_();
        session.execute("UPDATE users SET state = 'deleting', reserved = 0 WHERE id = $1", {user});
        noteAccount(session, user, now);
        deleteSessions(session, user, std::nullopt);
        session.execute("DELETE FROM api_tokens WHERE user_id = $1", {user});
        session.execute("UPDATE shares SET revoked_at = $1 WHERE owner_id = $2 AND revoked_at IS NULL", {now, user});
        session.execute("DELETE FROM upload_chunks WHERE upload_id IN (SELECT id FROM uploads WHERE owner_id = $1)",
                        {user});
        session.execute("UPDATE uploads SET state = 'ended', reserved = 0 WHERE owner_id = $1 AND state = 'open'",
                        {user});
        session.execute(
            "UPDATE files SET state = 'purging', folder_id = NULL WHERE owner_id = $1"
            " AND (folder_id = $2 OR state IN ('trashed', 'reserved'))",
            {user, before.root});
    });
}

int Accounts::finishDeleted() {
    std::vector<UserId> ready;
    database_.read([&](Session& session) {
        ready.clear();
        session.query(
            "SELECT u.id FROM users u WHERE u.state = 'deleting' AND NOT EXISTS (SELECT 1 FROM files f WHERE "
            "f.owner_id = u.id"
            " AND f.id <> u.root_id) LIMIT 100",
            {}, [&](const Row& row) { ready.push_back(row.id<UserId>(0)); });
    });
    int finished = 0;
    for (const UserId user : ready) {
        std::int64_t removed = 0;
        database_.write([&](Session& session) {
            session.execute("DELETE FROM share_tickets WHERE share_id IN (SELECT id FROM shares WHERE owner_id = $1)",
                            {user});
            session.execute("DELETE FROM shares WHERE owner_id = $1", {user});
            session.execute("DELETE FROM upload_chunks WHERE upload_id IN (SELECT id FROM uploads WHERE owner_id = $1)",
                            {user});
            session.execute("DELETE FROM uploads WHERE owner_id = $1", {user});
            session.execute(
                "DELETE FROM content_chunks WHERE content_id IN (SELECT id FROM contents WHERE owner_id = $1)", {user});
            session.execute("DELETE FROM contents WHERE owner_id = $1", {user});
            session.execute("DELETE FROM files WHERE owner_id = $1", {user});
            removed = session.execute("DELETE FROM users WHERE id = $1", {user});
            session.execute("DELETE FROM changes WHERE owner_id = $1", {user});  // nobody can add any more
        });
        finished += static_cast<int>(removed);
    }
    return finished;
}

SessionId Accounts::openSession(UserId user, Timestamp seenChangedAt, const Sha256Digest& refreshHash,
                                std::string_view address, std::string_view userAgent, Timestamp expiresAt) {
    SessionId id{};
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        const User locked = lockUser(session, user);
        if (locked.state != UserState::active) refuseToken();
        refuseOtherPassword(locked, seenChangedAt);
        session.query(
            "INSERT INTO sessions (id, user_id, refresh_hash, address, user_agent, created_at, last_used_at, "
            "expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $6, $7) RETURNING id",
            {newSessionId(), user, refreshHash, address, userAgent, now, expiresAt},
            [&](const Row& row) { id = row.id<SessionId>(0); });
        session.execute("UPDATE users SET last_login_at = $1 WHERE id = $2", {now, user});
    });
    return id;
}

std::optional<Access> Accounts::resolveSession(SessionId session) {
    static const std::string select = "SELECT " + std::string(userColumns) +
                                      " FROM sessions s JOIN users u ON u.id = s.user_id"
                                      " WHERE s.id = $1 AND s.expires_at > $2 AND u.state = 'active'";
    std::optional<Access> access;
    database_.read([&](Session& statements) {
        access.reset();
        statements.query(select, {session, clock_()}, [&](const Row& row) {
            access = Access{userOf(row), session, std::nullopt, false};
        });
    });
    return access;
}

std::optional<Access> Accounts::resolveApiToken(const Sha256Digest& tokenHash) {
    static const std::string select =
        "SELECT " + std::string(userColumns) +
        ", t.id, t.read_only, t.last_used_at FROM api_tokens t JOIN users u ON u.id = t.user_id"
        " WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2) AND u.state = 'active'";
    const Timestamp now = clock_();
    std::optional<Access> access;
    bool noteUse = false;
    database_.read([&](Session& session) {
        access.reset();
        session.query(select, {tokenHash, now}, [&](const Row& row) {
            access =
                Access{userOf(row), std::nullopt, row.id<ApiTokenId>(userColumnCount), row.truth(userColumnCount + 1)};
            noteUse = row.maybeInteger(userColumnCount + 2).value_or(0) + lastUsedStepUs < now;
        });
    });
    if (!access || !noteUse) return access;
    try {
        database_.write([&](Session& session) {
            session.execute(
                "UPDATE api_tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)",
                {now, *access->apiToken});
        });
    } catch (const Error&) {
        // What the token was asked for may need no write: a full disk must not stop reading.
    }
    return access;
}

Access Accounts::rotate(const Sha256Digest& refreshHash, const Sha256Digest& newRefreshHash, std::string_view address,
                        Timestamp expiresAt) {
    static const std::string selectActive = selectUser("WHERE u.id = $1 AND u.state = 'active'");
    std::optional<Access> access;
    database_.write([&](Session& session) {
        access.reset();
        const Timestamp now = clock_();
        const auto found = lockSessionOf(session, refreshHash);
        if (!found || found->expiresAt <= now) return;
        const bool isCurrent = found->current == refreshHash;
        Timestamp validUntil = isCurrent ? untilUsed : 0;
        if (!isCurrent)
            session.query("SELECT valid_until FROM rotated_tokens WHERE refresh_hash = $1", {refreshHash},
                          [&](const Row& row) { validUntil = row.integer(0); });
        if (validUntil <= now) {
            // It was replaced, and its replacement used or its time over: somebody has a copy of it.
            session.execute("DELETE FROM sessions WHERE id = $1", {found->id});
            return;
        }
        const bool isRetry = validUntil != untilUsed;
        if (!isRetry)
            session.execute(
                "UPDATE rotated_tokens SET valid_until = CASE WHEN refresh_hash = $1 THEN $2 ELSE 0 END"
                " WHERE session_id = $3 AND valid_until > 0",
                {refreshHash, now + rotationGraceUs, found->id});
        // After a retry nobody knows which of the new tokens arrived: this one is as good as the next.
        const Timestamp currentUntil = isRetry ? untilUsed : isCurrent ? now + rotationGraceUs : 0;
        session.execute("DELETE FROM rotated_tokens WHERE session_id = $1 AND rotated_at <= $2",
                        {found->id, now - (expiresAt - now)});
        session.execute(
            "INSERT INTO rotated_tokens (refresh_hash, session_id, valid_until, rotated_at) VALUES ($1, $2, $3, $4)",
            {found->current, found->id, currentUntil, now});
        session.execute(
            "UPDATE sessions SET refresh_hash = $1, address = $2, last_used_at = $3, expires_at = $4 WHERE id = $5",
            {newRefreshHash, address, now, expiresAt, found->id});
        session.query(selectActive, {found->user}, [&](const Row& row) {
            access = Access{userOf(row), found->id, std::nullopt, false};
        });
    });
    if (!access) refuseToken();
    return std::move(*access);
}

std::vector<LoginSession> Accounts::sessions(UserId user, std::optional<SessionKey> after, int limit) {
    const SessionKey key = after.value_or(SessionKey{untilUsed, SessionId{}});
    std::vector<LoginSession> sessions;
    database_.read([&](Session& session) {
        sessions.clear();
        session.query(
            "SELECT id, address, user_agent, created_at, last_used_at, expires_at FROM sessions WHERE user_id = $1 AND "
            "expires_at > $2 AND (last_used_at, id) < ($3, $4) ORDER BY last_used_at DESC, id DESC LIMIT $5",
            {user, clock_(), key.lastUsedAt, key.id, limit}, [&](const Row& row) {
                sessions.push_back(
                    {row.id<SessionId>(0), row.text(1), row.text(2), row.integer(3), row.integer(4), row.integer(5)});
            });
    });
    return sessions;
}

void Accounts::revokeSession(UserId user, SessionId id) {
    database_.write([&](Session& session) {
        if (session.execute("DELETE FROM sessions WHERE id = $1 AND user_id = $2", {id, user}) == 0)
            throw Error(ErrorCode::notFound, "There is no session with this id.");
    });
}

int Accounts::expireSessions(int limit) {
    std::int64_t removed = 0;
    database_.write([&](Session& session) {
        removed = session.execute(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2)",
            {clock_(), limit});
    });
    return static_cast<int>(removed);
}

ApiTokenId Accounts::createApiToken(UserId user, std::string_view name, const Sha256Digest& tokenHash, bool readOnly,
                                    std::optional<Timestamp> expiresAt) {
    ApiTokenId id{};
    database_.write([&](Session& session) {
        (void)lockOwner(session, user);
        std::int64_t count = 0;
        session.query("SELECT COUNT(*) FROM api_tokens WHERE user_id = $1", {user},
                      [&](const Row& row) { count = row.integer(0); });
        if (count >= maxApiTokens)
            throw Error(ErrorCode::conflict, "You have " + std::to_string(count) +
                                                 " API tokens, which is the most. Revoke those that you do not need.");
        session.query(
            "INSERT INTO api_tokens (user_id, name, token_hash, read_only, created_at, expires_at) VALUES ($1, $2, $3, "
            "$4, $5, $6) RETURNING id",
            {user, name, tokenHash, readOnly, clock_(), expiresAt},
            [&](const Row& row) { id = row.id<ApiTokenId>(0); });
    });
    return id;
}

std::vector<ApiToken> Accounts::apiTokens(UserId user) {
    std::vector<ApiToken> tokens;
    database_.read([&](Session& session) {
        tokens.clear();
        session.query(
            "SELECT id, name, read_only, created_at, expires_at, last_used_at FROM api_tokens WHERE user_id = $1 ORDER "
            "BY id DESC",
            {user}, [&](const Row& row) {
                tokens.push_back({row.id<ApiTokenId>(0), row.text(1), row.truth(2), row.integer(3), row.maybeInteger(4),
                                  row.maybeInteger(5)});
            });
    });
    return tokens;
}

void Accounts::revokeApiToken(UserId user, ApiTokenId token) {
    database_.write([&](Session& session) {
        if (session.execute("DELETE FROM api_tokens WHERE id = $1 AND user_id = $2", {token, user}) == 0)
            throw Error(ErrorCode::notFound, "There is no API token with this id.");
    });
}

void Accounts::countAttempt(std::string_view key, int limit, int windowS) {
    std::int64_t count = 0;
    Timestamp endsAt = 0, now = 0;
    database_.write([&](Session& session) {
        now = clock_();
        session.query(
            "INSERT INTO attempts (attempt_key, count, window_ends_at) VALUES ($1, 1, $2)"
            " ON CONFLICT (attempt_key) DO UPDATE SET"
            " count = CASE WHEN attempts.window_ends_at <= $3 THEN 1 ELSE attempts.count + 1 END,"
            " window_ends_at = CASE WHEN attempts.window_ends_at <= $3 THEN excluded.window_ends_at ELSE "
            "attempts.window_ends_at END"
            " RETURNING count, window_ends_at",
            {key, now + windowS * secondUs, now}, [&](const Row& row) {
                count = row.integer(0);
                endsAt = row.integer(1);
            });
    });
    if (count > limit)
        throw Error(ErrorCode::tooManyRequests, "Too many attempts. Wait before you try again.")
            .retryAfter(static_cast<int>((endsAt - now + secondUs - 1) / secondUs));
}

void Accounts::clearAttempts(std::string_view key) {
    database_.write([&](Session& session) { session.execute("DELETE FROM attempts WHERE attempt_key = $1", {key}); });
}

int Accounts::expireAttempts(int limit) {
    std::int64_t removed = 0;
    database_.write([&](Session& session) {
        removed = session.execute(
            "DELETE FROM attempts WHERE attempt_key IN (SELECT attempt_key FROM attempts WHERE window_ends_at <= $1 "
            "LIMIT $2)",
            {clock_(), limit});
    });
    return static_cast<int>(removed);
}

}  // namespace chunkvault::catalog
