#include "database/catalog/shares.h"

#include <algorithm>
#include <limits>

#include "common/error/error.h"
#include "database/catalog/database.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

constexpr Timestamp ticketUs = dayUs;

// shareOf reads these from column 0 on.
constexpr std::string_view shareColumns =
    "s.id, s.owner_id, s.file_id, s.salt, s.password_hash, s.expires_at, s.max_downloads, s.downloads, s.created_at, "
    "s.last_used_at,"
    " s.revoked_at";

Share shareOf(const Row& row) {
    return {row.id<ShareId>(0), row.id<UserId>(1), row.id<FileId>(2),   ShareKind::download,
            row.text(3),        row.maybeText(4),  row.maybeInteger(5), row.maybeInteger(6),
            row.integer(7),     row.integer(8),    row.maybeInteger(9), row.maybeInteger(10)};
}

Share requireShare(Session& session, UserId owner, ShareId share) {
    static const std::string select = "SELECT " + std::string(shareColumns) +
                                      " FROM shares s WHERE s.id = $1 AND s.owner_id = $2 AND s.revoked_at IS NULL";
    std::optional<Share> found;
    session.query(select, {share, owner}, [&](const Row& row) { found = shareOf(row); });
    if (!found) throw Error(ErrorCode::notFound, "There is no link with this id.");
    return std::move(*found);
}

[[noreturn]] void refuseUnknown() { throw Error(ErrorCode::notFound, "This link does not exist, or it was revoked."); }

[[noreturn]] void refuseUsedUp() {
    throw Error(ErrorCode::gone, "This link has been used as often as it may be. Ask its sender for a new one.");
}

// Why the share's next download was refused.
[[noreturn]] void refuseSpent(Session& session, ShareId share, Timestamp now) {
    static const std::string select =
        "SELECT " + std::string(shareColumns) + " FROM shares s WHERE s.id = $1 AND s.revoked_at IS NULL";
    std::optional<Share> found;
    session.query(select, {share}, [&](const Row& row) { found = shareOf(row); });
    if (!found) refuseUnknown();
    Shares::checkTime(*found, now);
    refuseUsedUp();
}

// The entry, live or reserved, with nothing above it in the trash.
std::optional<Entry> findShared(Session& session, UserId owner, FileId file) {
    static const std::string select = "SELECT " + std::string(entryColumns) + " FROM" + std::string(entryTables) +
                                      "WHERE f.id = $1 AND f.owner_id = $2";
    std::optional<Entry> entry;
    session.query(select, {file, owner}, [&](const Row& row) { entry = entryOf(row); });
    if (!entry || (entry->state != EntryState::live && entry->state != EntryState::reserved)) return std::nullopt;
    try {
        if (entry->folder) requireLiveFolder(session, owner, *entry->folder);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::notFound) throw;
        return std::nullopt;
    }
    return entry;
}

}  // namespace

Shares::Shares(Database& database, Clock clock) : database_(database), clock_(std::move(clock)) {}

Share Shares::create(UserId owner, const NewShare& share, std::string_view salt,
                     const std::function<Sha256Digest(ShareId)>& tokenHashOf) {
    std::optional<Share> made;
    database_.write([&](Session& session) {
        (void)lockOwner(session, owner);
        if (!findShared(session, owner, share.file))
            throw Error(ErrorCode::notFound, "There is no file with this id, or it is in the trash.");
        ShareId id{};
        session.query(
            "INSERT INTO shares (owner_id, file_id, kind, salt, password_hash, expires_at, max_downloads, created_at)"
            " VALUES ($1, $2, 'download', $3, $4, $5, $6, $7) RETURNING id",
            {owner, share.file, salt, share.passwordHash, share.expiresAt, share.maxDownloads, clock_()},
            [&](const Row& row) { id = row.id<ShareId>(0); });
        session.execute("UPDATE shares SET token_hash = $1 WHERE id = $2", {tokenHashOf(id), id});
        bumpSeq(session, owner);
        made = requireShare(session, owner, id);
    });
    return std::move(*made);
}

Share Shares::get(UserId owner, ShareId share) {
    std::optional<Share> found;
    database_.read([&](Session& session) { found = requireShare(session, owner, share); });
    return std::move(*found);
}

std::vector<Share> Shares::list(UserId owner, std::optional<FileId> file, std::optional<ShareId> after, int limit) {
    static const std::string begin = "SELECT " + std::string(shareColumns) +
                                     " FROM shares s WHERE s.owner_id = $1 AND s.revoked_at IS NULL AND s.id < $2";
    static const std::string all = begin + " ORDER BY s.id DESC LIMIT $3",
                             ofFile = begin + " AND s.file_id = $4 ORDER BY s.id DESC LIMIT $3";
    const std::int64_t before = after ? valueOf(*after) : std::numeric_limits<std::int64_t>::max();
    std::vector<Share> shares;
    database_.read([&](Session& session) {
        shares.clear();
        const auto each = [&](const Row& row) { shares.push_back(shareOf(row)); };
        if (file) session.query(ofFile, {owner, before, limit, *file}, each);
        else session.query(all, {owner, before, limit}, each);
    });
    return shares;
}

Share Shares::change(UserId owner, ShareId share, const ShareChange& change) {
    std::optional<Share> changed;
    database_.write([&](Session& session) {
        (void)lockOwner(session, owner);
        Share now = requireShare(session, owner, share);
        if (change.passwordHash) now.passwordHash = *change.passwordHash;
        if (change.expiresAt) now.expiresAt = *change.expiresAt;
        if (change.maxDownloads) now.maxDownloads = *change.maxDownloads;
        session.execute("UPDATE shares SET password_hash = $1, expires_at = $2, max_downloads = $3 WHERE id = $4",
                        {now.passwordHash, now.expiresAt, now.maxDownloads, share});
        bumpSeq(session, owner);
        changed = std::move(now);
    });
    return std::move(*changed);
}

void Shares::revoke(UserId owner, ShareId share) {
    database_.write([&](Session& session) {
        (void)lockOwner(session, owner);
        (void)requireShare(session, owner, share);
        session.execute("UPDATE shares SET revoked_at = $1 WHERE id = $2", {clock_(), share});
        session.execute("DELETE FROM share_tickets WHERE share_id = $1", {share});
        bumpSeq(session, owner);
    });
}

SharedThing Shares::resolve(const Sha256Digest& tokenHash) {
    static const std::string select = "SELECT " + std::string(shareColumns) +
                                      ", u.username, u.seq, u.seq_stamp FROM shares s JOIN users u ON u.id = s.owner_id"
                                      " WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND u.state = 'active'";
    std::optional<Share> share;
    std::optional<Entry> entry;
    std::string ownerName;
    Revision ownerRevision{};
    database_.read([&](Session& session) {
        share.reset();
        entry.reset();
        session.query(select, {tokenHash}, [&](const Row& row) {
            share = shareOf(row);
            ownerName = row.text(11);
            ownerRevision = {row.integer(12), row.integer(13)};
        });
        if (share) entry = findShared(session, share->owner, share->file);
    });
    if (!share || !entry) refuseUnknown();
    return {std::move(*share), std::move(*entry), std::move(ownerName), ownerRevision};
}

void Shares::checkTime(const Share& share, Timestamp now) {
    if (share.expiresAt && *share.expiresAt <= now)
        throw Error(ErrorCode::gone, "This link has expired. Ask its sender for a new one.");
}

void Shares::checkUses(const Share& share) {
    if (share.maxDownloads && share.downloads >= *share.maxDownloads) refuseUsedUp();
}

void Shares::spend(ShareId share, FileId file, std::int64_t version, std::int64_t bytes, std::int64_t firstBytes,
                   const Sha256Digest& ticketHash) {
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        bool spent = false, limited = false;
        session.query(
            "UPDATE shares SET downloads = downloads + 1, last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > $1) AND (max_downloads IS NULL OR downloads < max_downloads)"
            " RETURNING max_downloads",
            {now, share}, [&](const Row& row) {
                spent = true;
                limited = !row.isNull(0);
            });
        if (!spent) refuseSpent(session, share, now);
        if (limited)
            session.execute(
                "INSERT INTO share_tickets (share_id, ticket_hash, file_id, version, bytes_left, expires_at) VALUES "
                "($1, $2, $3, $4, $5, $6)",
                {share, ticketHash, file, version, 2 * bytes - firstBytes, now + ticketUs});
    });
}

bool Shares::useTicket(ShareId share, const Sha256Digest& ticketHash, FileId file, std::int64_t version,
                       std::int64_t bytes) {
    bool used = false;
    database_.write([&](Session& session) {
        used = session.execute(
                   "UPDATE share_tickets SET bytes_left = bytes_left - $1 WHERE share_id = $2 AND ticket_hash = $3 AND "
                   "file_id = $4"
                   " AND version = $5 AND expires_at > $6 AND bytes_left >= $1",
                   {bytes, share, ticketHash, file, version, clock_()}) == 1;
    });
    return used;
}

int Shares::expireTickets(int limit) {
    std::int64_t removed = 0;
    database_.write([&](Session& session) {
        removed = session.execute(
            "DELETE FROM share_tickets WHERE expires_at <= $1 AND ticket_hash IN"
            " (SELECT ticket_hash FROM share_tickets WHERE expires_at <= $1 LIMIT $2)",
            {clock_(), limit});
    });
    return static_cast<int>(removed);
}

SweptWindow<ShareId> Shares::expire(Timestamp overBefore, ShareId after, int limit) {
    static const std::string isOver =
        " (revoked_at < $1 OR expires_at < $1 OR (downloads >= max_downloads AND last_used_at < $1))";
    static const std::string window =
        "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM shares WHERE id > $1 ORDER BY id LIMIT $2) near";
    static const std::string find =
        "SELECT owner_id, id FROM shares WHERE id > $2 AND id <= $3 AND" + isOver + " ORDER BY owner_id, id";
    // Again under the owner's lock: it may have been prolonged meanwhile. One with a ticket is for a later pass.
    static const std::string remove = "DELETE FROM shares WHERE id = $2 AND" + isOver +
                                      " AND NOT EXISTS (SELECT 1 FROM share_tickets t WHERE t.share_id = shares.id)";
    struct Over {
        UserId owner;
        ShareId share;
    };
    std::vector<Over> over;
    SweptWindow<ShareId> swept;
    database_.read([&](Session& session) {
        over.clear();
        session.query(window, {after, limit}, [&](const Row& row) {
            swept.last = static_cast<ShareId>(row.maybeInteger(0).value_or(valueOf(after)));
            swept.examined = row.integer(1);
        });
        session.query(find, {overBefore, after, swept.last}, [&](const Row& row) {
            over.push_back({row.id<UserId>(0), row.id<ShareId>(1)});
        });
    });
    for (auto first = over.begin(); first != over.end();) {
        const UserId owner = first->owner;
        const auto last = std::find_if(first, over.end(), [&](const Over& one) { return one.owner != owner; });
        std::int64_t gone = 0;
        database_.write([&](Session& session) {
            gone = 0;
            (void)lockOwnerInAnyState(session, owner);
            for (auto one = first; one != last; ++one) gone += session.execute(remove, {overBefore, one->share});
            if (gone > 0) bumpSeq(session, owner);
        });
        swept.changed += gone;
        first = last;
    }
    return swept;
}

}  // namespace chunkvault::catalog
