#include "database/catalog/shares.h"

#include <algorithm>
#include <limits>

#include "common/error/error.h"
#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"
#include "database/catalog/share_rows.h"

namespace chunkvault::catalog {

namespace {

constexpr Timestamp ticketUs = dayUs;

// shareOf reads these from column 0 on.
constexpr std::string_view shareColumns =
    "s.id, s.owner_id, s.file_id, s.salt, s.password_hash, s.expires_at, s.max_downloads, s.downloads, s.created_at, "
    "s.last_used_at,"
    " s.revoked_at, s.kind, s.title, s.max_bytes, s.max_file_bytes, s.max_files, s.types, s.arrived_files, "
    "s.arrived_bytes";
constexpr int shareColumnCount = 19;

constexpr std::string_view textOf(ShareKind kind) { return kind == ShareKind::upload ? "upload" : "download"; }

Share shareOf(const Row& row) {
    Share share{};
    share.id = row.id<ShareId>(0);
    share.owner = row.id<UserId>(1);
    share.file = row.id<FileId>(2);
    share.salt = row.text(3);
    share.passwordHash = row.maybeText(4);
    share.expiresAt = row.maybeInteger(5);
    share.maxDownloads = row.maybeInteger(6);
    share.downloads = row.integer(7);
    share.createdAt = row.integer(8);
    share.lastUsedAt = row.maybeInteger(9);
    share.revokedAt = row.maybeInteger(10);
    share.kind = row.text(11) == textOf(ShareKind::upload) ? ShareKind::upload : ShareKind::download;
    share.title = row.text(12);
    share.limits = {row.maybeInteger(13), row.maybeInteger(14), row.maybeInteger(15), row.text(16)};
    share.arrivedFiles = row.integer(17);
    share.arrivedBytes = row.integer(18);
    return share;
}

Share requireShare(Session& session, UserId owner, ShareId share, ShareKind kind) {
    static const std::string select =
        "SELECT " + std::string(shareColumns) +
        " FROM shares s WHERE s.id = $1 AND s.owner_id = $2 AND s.kind = $3 AND s.revoked_at IS NULL";
    std::optional<Share> found;
    session.query(select, {share, owner, textOf(kind)}, [&](const Row& row) { found = shareOf(row); });
    if (!found) throw Error(ErrorCode::notFound, "There is no link with this id.");
    countOpen(session, *found);
    return std::move(*found);
}

void noteShare(Session& session, OwnerRow& owner, ChangeKind kind, ShareId share, FileId file, Timestamp now) {
    ChangeNotes notes(now);
    notes.share(kind, share, file);
    bumpSeq(session, owner, notes);
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

Share requireOpenRequest(Session& session, ShareId request, Timestamp now) {
    static const std::string select = "SELECT " + std::string(shareColumns) +
                                      " FROM shares s WHERE s.id = $1 AND s.kind = 'upload' AND s.revoked_at IS NULL";
    std::optional<Share> found;
    session.query(select, {request}, [&](const Row& row) { found = shareOf(row); });
    if (!found) refuseUnknown();
    Shares::checkTime(*found, now);
    return std::move(*found);
}

void countOpen(Session& session, Share& share) {
    if (share.kind != ShareKind::upload) return;
    session.query("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM uploads WHERE request_id = $1 AND state = 'open'",
                  {share.id}, [&](const Row& row) {
                      share.openFiles = row.integer(0);
                      share.openBytes = row.integer(1);
                  });
}

void countArrival(Session& session, ShareId request, std::int64_t bytes, Timestamp now) {
    session.executeLater(
        "UPDATE shares SET arrived_files = arrived_files + 1, arrived_bytes = arrived_bytes + $1, last_used_at = $2"
        " WHERE id = $3",
        {bytes, now, request});
}

Shares::Shares(Database& database, Clock clock) : database_(database), clock_(std::move(clock)) {}

Share Shares::create(UserId owner, const NewShare& share, std::string_view salt,
                     const std::function<Sha256Digest(ShareId)>& tokenHashOf) {
    std::optional<Share> made;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        if (share.kind == ShareKind::upload) requireLiveFolder(session, owner, share.file);
        else if (!findShared(session, owner, share.file))
            throw Error(ErrorCode::notFound, "There is no file with this id, or it is in the trash.");
        const RequestLimits& limits = share.limits;
        ShareId id{};
        session.query(
            "INSERT INTO shares (owner_id, file_id, kind, salt, password_hash, expires_at, max_downloads, created_at,"
            " title, max_bytes, max_file_bytes, max_files, types)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id",
            {owner, share.file, textOf(share.kind), salt, share.passwordHash, share.expiresAt, share.maxDownloads,
             clock_(), share.title, limits.maxBytes, limits.maxFileBytes, limits.maxFiles, limits.types},
            [&](const Row& inserted) { id = inserted.id<ShareId>(0); });
        session.execute("UPDATE shares SET token_hash = $1 WHERE id = $2", {tokenHashOf(id), id});
        noteShare(session, row, ChangeKind::shareCreated, id, share.file, clock_());
        made = requireShare(session, owner, id, share.kind);
    });
    return std::move(*made);
}

Share Shares::get(UserId owner, ShareId share, ShareKind kind) {
    std::optional<Share> found;
    database_.read([&](Session& session) { found = requireShare(session, owner, share, kind); });
    return std::move(*found);
}

std::vector<Share> Shares::list(UserId owner, std::optional<FileId> file, std::optional<ShareId> after, int limit,
                                ShareKind kind) {
    static const std::string begin =
        "SELECT " + std::string(shareColumns) +
        " FROM shares s WHERE s.owner_id = $1 AND s.revoked_at IS NULL AND s.id < $2 AND s.kind = $4";
    static const std::string all = begin + " ORDER BY s.id DESC LIMIT $3",
                             ofFile = begin + " AND s.file_id = $5 ORDER BY s.id DESC LIMIT $3";
    const std::int64_t before = after ? valueOf(*after) : std::numeric_limits<std::int64_t>::max();
    std::vector<Share> shares;
    database_.read([&](Session& session) {
        shares.clear();
        const auto each = [&](const Row& row) { shares.push_back(shareOf(row)); };
        if (file) session.query(ofFile, {owner, before, limit, textOf(kind), *file}, each);
        else session.query(all, {owner, before, limit, textOf(kind)}, each);
        for (Share& share : shares) countOpen(session, share);
    });
    return shares;
}

Share Shares::change(UserId owner, ShareId share, const ShareChange& change, ShareKind kind) {
    std::optional<Share> changed;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        Share now = requireShare(session, owner, share, kind);
        if (change.passwordHash) now.passwordHash = *change.passwordHash;
        if (change.expiresAt) now.expiresAt = *change.expiresAt;
        if (change.maxDownloads) now.maxDownloads = *change.maxDownloads;
        if (change.title) now.title = *change.title;
        if (change.maxBytes) now.limits.maxBytes = *change.maxBytes;
        if (change.maxFileBytes) now.limits.maxFileBytes = *change.maxFileBytes;
        if (change.maxFiles) now.limits.maxFiles = *change.maxFiles;
        if (change.types) now.limits.types = *change.types;
        session.execute(
            "UPDATE shares SET password_hash = $1, expires_at = $2, max_downloads = $3, title = $4, max_bytes = $5,"
            " max_file_bytes = $6, max_files = $7, types = $8 WHERE id = $9",
            {now.passwordHash, now.expiresAt, now.maxDownloads, now.title, now.limits.maxBytes, now.limits.maxFileBytes,
             now.limits.maxFiles, now.limits.types, share});
        noteShare(session, row, ChangeKind::shareChanged, share, now.file, clock_());
        changed = std::move(now);
    });
    return std::move(*changed);
}

void Shares::revoke(UserId owner, ShareId share, ShareKind kind) {
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        const FileId file = requireShare(session, owner, share, kind).file;
        session.execute("UPDATE shares SET revoked_at = $1 WHERE id = $2", {clock_(), share});
        session.execute("DELETE FROM share_tickets WHERE share_id = $1", {share});
        // The sweep gives back what they reserved.
        session.execute("UPDATE uploads SET expires_at = $1 WHERE request_id = $2 AND state = 'open'",
                        {clock_(), share});
        noteShare(session, row, ChangeKind::shareRevoked, share, file, clock_());
    });
}

SharedThing Shares::resolve(const Sha256Digest& tokenHash, ShareKind kind) {
    return resolveBy("s.token_hash = $1", tokenHash, kind);
}

SharedThing Shares::resolve(ShareId share, ShareKind kind) { return resolveBy("s.id = $1", share, kind); }

SharedThing Shares::resolveBy(std::string_view condition, const Value& value, ShareKind kind) {
    const std::string select = "SELECT " + std::string(shareColumns) +
                               ", u.username, u.seq, u.seq_stamp FROM shares s JOIN users u ON u.id = s.owner_id"
                               " WHERE s.kind = $2 AND s.revoked_at IS NULL AND u.state = 'active' AND " +
                               std::string(condition);
    std::optional<Share> share;
    std::optional<Entry> entry;
    std::string ownerName;
    Revision ownerRevision{};
    database_.read([&](Session& session) {
        share.reset();
        entry.reset();
        session.query(select, {value, textOf(kind)}, [&](const Row& row) {
            share = shareOf(row);
            ownerName = row.text(shareColumnCount);
            ownerRevision = {row.integer(shareColumnCount + 1), row.integer(shareColumnCount + 2)};
        });
        if (!share) return;
        entry = findShared(session, share->owner, share->file);
        countOpen(session, *share);
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
        UserId owner{};
        session.query(
            "UPDATE shares SET downloads = downloads + 1, last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > $1) AND (max_downloads IS NULL OR downloads < max_downloads)"
            " RETURNING max_downloads, owner_id",
            {now, share}, [&](const Row& row) {
                spent = true;
                limited = !row.isNull(0);
                owner = row.id<UserId>(1);
            });
        if (!spent) refuseSpent(session, share, now);
        session.executeLater(
            "INSERT INTO share_downloads (share_id, file_id, owner_id, count, last_at) VALUES ($1, $2, $3, 1, $4)"
            " ON CONFLICT (share_id, file_id) DO UPDATE SET count = share_downloads.count + 1, last_at = $4",
            {share, file, owner, now});
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
            OwnerRow row = lockOwnerInAnyState(session, owner);
            ChangeNotes notes(clock_());
            for (auto one = first; one != last; ++one) {
                if (session.execute(remove, {overBefore, one->share}) == 0) continue;
                ++gone;
                notes.share(ChangeKind::shareRevoked, one->share, {});
            }
            if (gone > 0) bumpSeq(session, row, notes);
        });
        swept.changed += gone;
        first = last;
    }
    return swept;
}

}  // namespace chunkvault::catalog
