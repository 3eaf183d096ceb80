// Users, sessions, API tokens and the counters that limit guessing. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;

struct NewUser {
    std::string username;
    std::string email;  // may be empty
    std::string passwordHash;
    Role role = Role::user;
    bool mustChangePassword = false;
};

// What is to be changed of a user; nullopt: stays.
struct UserChange {
    std::optional<Role> role = {};
    std::optional<UserState> state = {};  // active or disabled
    std::optional<std::optional<std::int64_t>> quota = {};
};

// Who is asking, read from SQL with every request.
struct Access {
    User user;
    std::optional<SessionId> session;    // one of
    std::optional<ApiTokenId> apiToken;  // these two
    bool readOnly = false;
};

struct LoginRow {
    User user;
    std::string passwordHash;
};

class Accounts {
  public:
    Accounts(Database& database, Clock clock);

    // Throws Error nameTaken when user name or email, compared without case, are in use.
    User create(const NewUser& user);
    [[nodiscard]] std::optional<LoginRow> findForLogin(std::string_view username);
    // The same for all spellings that findForLogin takes for one user; "" when no user can have such a name.
    [[nodiscard]] static std::string loginKey(std::string_view username);
    [[nodiscard]] std::optional<User> find(UserId user);
    // Sorted by user name; users after the given name, at most limit. q: part of name or email, without case.
    [[nodiscard]] std::vector<User> list(std::string_view q, std::string_view afterUsername, int limit);
    [[nodiscard]] std::int64_t count();

    // The user's own change: ends all sessions but keep, and by passwordChangedAt, which always rises, all upload
    // tokens. API tokens stay. When the password was checked at seenChangedAt of that account and has been changed
    // since: unauthorized. Returns the new passwordChangedAt. Throws notFound.
    Timestamp changePassword(UserId user, Timestamp seenChangedAt, std::string_view passwordHash,
                             std::optional<SessionId> keep);
    // A password given by somebody else, as to an account that was lost or taken over: ends all sessions, upload tokens
    // and API tokens. Throws notFound.
    void resetPassword(UserId user, std::string_view passwordHash, bool mustChange);
    // All of it or, when it throws, nothing. Disabling ends all sessions and refuses everything else of the account at
    // once. Throws notFound; conflict for the last active admin and when the account is being deleted.
    void change(UserId user, const UserChange& change);
    // state becomes deleting, sessions, tokens, shares and uploads end, the tree goes to purging; deleteStep finishes
    // it.
    void beginDelete(UserId user);  // throws conflict for the last active admin
    // Removes users whose tree is gone. Part of the purge sweep.
    int finishDeleted();

    // Sessions. Refresh tokens are kept as SHA-256 of 256 random bits. Throws unauthorized when the user is not active,
    // or the password is not that of seenChangedAt any more, against which the login was checked.
    SessionId openSession(UserId user, Timestamp seenChangedAt, const Sha256Digest& refreshHash,
                          std::string_view address, std::string_view userAgent, Timestamp expiresAt);
    // The session with its user, nullopt when revoked, expired or its user is not active.
    [[nodiscard]] std::optional<Access> resolveSession(SessionId session);
    [[nodiscard]] std::optional<Access> resolveApiToken(const Sha256Digest& tokenHash);
    // Rotation: the previous token stays valid until the new one is used or 60 s pass; presenting an older one, or the
    // previous one later, revokes the session (throws Error unauthorized, as for an unknown token). A retry with the
    // previous token inside its time gives another new token, and the one handed out before stays valid as well until
    // one of the two is used. A token that was replaced as long ago as the new one lasts is unknown again.
    Access rotate(const Sha256Digest& refreshHash, const Sha256Digest& newRefreshHash, std::string_view address,
                  Timestamp expiresAt);
    // By their last use, newest first; those after the given one, at most limit.
    struct SessionKey {
        Timestamp lastUsedAt;
        SessionId id;
    };
    [[nodiscard]] std::vector<LoginSession> sessions(UserId user, std::optional<SessionKey> after = std::nullopt,
                                                     int limit = 1000);
    void revokeSession(UserId user, SessionId session);  // throws notFound
    int expireSessions(int limit);                       // deletes ended rows; how many

    // Throws notFound when there is no such user, or it is being deleted; conflict when it has maxApiTokens.
    static constexpr int maxApiTokens = 100;
    ApiTokenId createApiToken(UserId user, std::string_view name, const Sha256Digest& tokenHash, bool readOnly,
                              std::optional<Timestamp> expiresAt);
    [[nodiscard]] std::vector<ApiToken> apiTokens(UserId user);
    void revokeApiToken(UserId user, ApiTokenId token);  // throws notFound

    // Counts an attempt under key in a window that starts with the first; throws Error tooManyRequests with Retry-After
    // when more than limit were made in it. Holds across processes.
    void countAttempt(std::string_view key, int limit, int windowS);
    void clearAttempts(std::string_view key);
    int expireAttempts(int limit);

  private:
    Database& database_;
    Clock clock_;
};

}  // namespace chunkvault::catalog
