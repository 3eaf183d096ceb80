#include "database/catalog/rows.h"

#include <random>

#include "common/error/error.h"

namespace chunkvault::catalog {

namespace {

void requireRoom(const OwnerRow& owner, std::int64_t bytes, std::int64_t defaultQuota) {
    const std::int64_t quota = owner.quota.value_or(defaultQuota);
    if (bytes <= 0 || quota == 0) return;
    if (owner.used + owner.reserved > quota - bytes)
        throw Error(ErrorCode::quotaExceeded,
                    "Your quota of " + std::to_string(quota) +
                        " bytes is used up. Delete files, empty the trash, or ask for more room.");
}

[[noreturn]] void refuseUnknown() { throw Error(ErrorCode::notFound, "There is no such account."); }

struct Locked {
    OwnerRow row;
    bool deleting;
};

Locked lockUser(Session& session, UserId owner) {
    static const std::string sqlite =
        "SELECT root_id, quota, used, reserved, seq, seq_stamp, state FROM users WHERE id = $1";
    // What refers to the user may be inserted meanwhile.
    static const std::string postgres = sqlite + " FOR NO KEY UPDATE";
    std::optional<Locked> found;
    session.query(session.isPostgres() ? postgres : sqlite, {owner}, [&](const Row& row) {
        found = Locked{
            {owner,
             row.id<FileId>(0),
             row.maybeInteger(1),
             row.integer(2),
             row.integer(3),
             {row.integer(4), row.integer(5)}},
            row.text(6) == "deleting",
        };
    });
    if (!found) refuseUnknown();
    return *found;
}

EntryState stateOf(std::string_view text) {
    if (text == "live") return EntryState::live;
    if (text == "trashed") return EntryState::trashed;
    return text == "reserved" ? EntryState::reserved : EntryState::purging;
}

}  // namespace

OwnerRow lockOwner(Session& session, UserId owner) {
    const auto [row, deleting] = lockUser(session, owner);
    if (deleting) refuseUnknown();
    return row;
}

OwnerRow lockOwnerInAnyState(Session& session, UserId owner) { return lockUser(session, owner).row; }

std::int64_t newStamp() {
    thread_local std::mt19937_64 random{std::random_device{}()};
    return static_cast<std::int64_t>(random() >> 1);
}

void addUsed(Session& session, OwnerRow& owner, std::int64_t bytes, std::int64_t defaultQuota) {
    if (bytes == 0) return;
    requireRoom(owner, bytes, defaultQuota);
    owner.used += bytes;
    session.executeLater("UPDATE users SET used = used + $1 WHERE id = $2", {bytes, owner.id});
}

void addReserved(Session& session, OwnerRow& owner, std::int64_t bytes, std::int64_t defaultQuota) {
    if (bytes == 0) return;
    requireRoom(owner, bytes, defaultQuota);
    owner.reserved += bytes;
    session.executeLater("UPDATE users SET reserved = reserved + $1 WHERE id = $2", {bytes, owner.id});
}

std::string likePattern(std::string_view part) {
    std::string pattern = "%";
    for (const char c : part) {
        if (c == '%' || c == '_' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern + '%';
}

Entry entryOf(const Row& row) {
    Entry entry;
    entry.id = row.id<FileId>(0);
    entry.owner = row.id<UserId>(1);
    if (!row.isNull(2)) entry.folder = row.id<FileId>(2);
    entry.kind = row.integer(3) == 0 ? Kind::folder : Kind::file;
    entry.state = stateOf(row.text(4));
    entry.name = row.text(5);
    entry.version = row.integer(6);
    entry.size = row.integer(7);
    entry.modifiedAt = row.integer(8);
    entry.createdAt = row.integer(9);
    entry.updatedAt = row.integer(10);
    entry.trashedAt = row.maybeInteger(11);
    if (!row.isNull(12)) {
        entry.content = row.id<ContentId>(12);
        entry.root = row.digest(13);
        entry.sha256 = row.maybeDigest(14);
        entry.sha256Verified = row.truth(15);
        entry.chunkCount = row.integer(16);
    }
    return entry;
}

Timestamp databaseNow(Session& session) {
    if (!session.isPostgres()) return systemNow();
    Timestamp now = 0;
    session.query("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", {},
                  [&](const Row& row) { now = row.integer(0); });
    return now;
}

}  // namespace chunkvault::catalog
