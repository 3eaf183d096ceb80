#include "database/catalog/contents.h"

#include <algorithm>

#include "common/chunk/manifest.h"
#include "common/error/error.h"
#include "database/catalog/folders.h"
#include "database/catalog/versions.h"

namespace chunkvault::catalog {

namespace {

constexpr int namedInMessage = 20;
constexpr int mostInTheWay = 1000;             // files with the numbered names of one folder
constexpr std::int64_t windowChunks = 10'000;  // rows of one query: a large file has millions

Entry readEntry(Session& session, FileId file) {
    static const std::string sql =
        "SELECT " + std::string(entryColumns) + " FROM" + std::string(entryTables) + "WHERE f.id = $1";
    std::optional<Entry> entry;
    session.query(sql, {file}, [&](const Row& row) { entry = entryOf(row); });
    if (!entry) throw Error(ErrorCode::notFound, "There is no file with this id.");
    return std::move(*entry);
}

// A file of one version, whose row is still to be made.
FileId makeFile(Session& session, const OwnerRow& owner, const FileTarget& target, const FileName& name,
                std::int64_t size, Timestamp now) {
    if (target.reserved) {
        const auto taken = session.execute(
            "UPDATE files SET state = 'live', folder_id = $1, name = $2, name_key = $3, version = 1, size = $4,"
            " modified_at = $5, updated_at = $6 WHERE id = $7 AND state = 'reserved'",
            {target.folder, name.text(), name.key(), size, target.modifiedAt, now, *target.reserved});
        if (taken == 1) return *target.reserved;
    }
    FileId file{};
    session.query(
        "INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, version, size, modified_at, created_at,"
        " updated_at) VALUES ($1, $2, 1, 'live', $3, $4, 1, $5, $6, $7, $7) RETURNING id",
        {owner.id, target.folder, name.text(), name.key(), size, target.modifiedAt, now},
        [&](const Row& row) { file = row.id<FileId>(0); });
    return file;
}

// The upload became a version of file after all: links to the reserved file follow.
void giveUpReserved(Session& session, const FileTarget& target, FileId file) {
    if (!target.reserved || *target.reserved == file) return;
    session.execute(
        "UPDATE shares SET file_id = $1 WHERE file_id = $2 AND EXISTS (SELECT 1 FROM files WHERE id = $2 AND state = "
        "'reserved')",
        {file, *target.reserved});
    session.execute("DELETE FROM files WHERE id = $1 AND state = 'reserved'", {*target.reserved});
}

}  // namespace

Sha256Digest requireComplete(Session& session, UploadId upload, Range range, std::int64_t size, int writeQuorum) {
    static const std::string sql =
        "SELECT u.idx, u.length, k.hash, u.stored, (SELECT COUNT(*) FROM replicas r JOIN stores s ON s.id = r.store_id"
        " WHERE r.chunk_id = k.id AND r.state = 'good' AND s.state IN " +
        std::string(liveStates) +
        ") FROM upload_chunks u JOIN chunks k ON k.id = u.chunk_id"
        " WHERE u.upload_id = $1 AND u.idx >= $2 AND u.idx < $3 ORDER BY u.idx";
    RootHash root;
    std::int64_t next = range.first, bytes = 0, missing = 0;
    std::string named;
    const auto miss = [&](std::int64_t index) {
        if (missing++ < namedInMessage) named += (named.empty() ? "" : ", ") + std::to_string(index - range.first);
    };
    const std::int64_t end = range.first + range.count;
    for (std::int64_t first = range.first; first < end && missing <= namedInMessage; first += windowChunks) {
        const std::int64_t windowEnd = std::min(first + windowChunks, end);
        session.query(sql, {upload, first, windowEnd}, [&](const Row& row) {
            for (; next < row.integer(0); ++next) miss(next);
            ++next;
            if (!row.truth(3) || row.integer(4) < writeQuorum) miss(row.integer(0));
            bytes += row.integer(1);
            root.add(static_cast<std::uint64_t>(row.integer(1)), row.digest(2));
        });
        for (; next < windowEnd && missing <= namedInMessage; ++next) miss(next);
    }
    if (missing > 0)
        throw Error(ErrorCode::uploadIncomplete, "Chunks have to be sent, or sent again: " + named +
                                                     (missing > namedInMessage ? ", and more." : ".") +
                                                     " Ask which with \"have\", send them and commit again.");
    if (bytes != size)
        throw Error(ErrorCode::uploadIncomplete, "The chunks have " + std::to_string(bytes) +
                                                     " bytes together, the file " + std::to_string(size) + '.');
    return root.finish();
}

ContentId contentOf(Session& session, UploadId upload, Range range, const NewContent& content) {
    std::optional<ContentId> found;
    std::optional<Sha256Digest> known;
    bool knownVerified = false;
    session.query("SELECT id, sha256, sha256_verified FROM contents WHERE owner_id = $1 AND root = $2",
                  {content.owner, content.root}, [&](const Row& row) {
                      found = row.id<ContentId>(0);
                      known = row.maybeDigest(1);
                      knownVerified = row.truth(2);
                  });
    if (found) {
        if (knownVerified && content.sha256 && *content.sha256 != *known)
            throw Error(ErrorCode::checksumMismatch,
                        "The SHA-256 of this content is " + known->toHex() + ", not the one announced.");
        if (!knownVerified && content.sha256 && (content.verified || !known))
            session.execute("UPDATE contents SET sha256 = $1, sha256_verified = $2 WHERE id = $3",
                            {*content.sha256, content.verified, *found});
        return *found;
    }
    ContentId made{};
    session.query(
        "INSERT INTO contents (owner_id, size, root, sha256, sha256_verified, chunk_count, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        {content.owner, content.size, content.root, content.sha256, content.verified, range.count, content.now},
        [&](const Row& row) { made = row.id<ContentId>(0); });
    session.executeLater(
        "INSERT INTO content_chunks (content_id, idx, byte_offset, length, chunk_id)"
        " SELECT CAST($1 AS BIGINT), idx - $2, SUM(length) OVER (ORDER BY idx) - length, length, chunk_id FROM "
        "upload_chunks"
        " WHERE upload_id = $3 AND idx >= $2 AND idx < $4",
        {made, range.first, upload, range.first + range.count});
    return made;
}

CommittedFile attachContent(Session& session, OwnerRow& owner, const FileTarget& target, ContentId content,
                            std::int64_t size, Timestamp now, const TreeLimits& limits, std::int64_t defaultQuota) {
    const auto taken = findByName(session, target.folder, target.name);
    if (taken && target.onConflict != OnConflict::keepBoth) {
        if (target.onConflict == OnConflict::fail || taken->kind == Kind::folder) refuseTakenName(target.name);
        giveUpReserved(session, target, taken->id);
        const AddedVersion added =
            addVersion(session, owner, taken->id, content, size, target.modifiedAt, now, limits, defaultQuota);
        return {readEntry(session, taken->id), added.isNew};
    }
    const FileId file = makeFile(session, owner, target,
                                 taken ? freeName(session, target.folder, target.name) : target.name, size, now);
    giveUpReserved(session, target, file);
    addFirstVersion(session, owner, file, content, size, target.modifiedAt, now, defaultQuota);
    return {readEntry(session, file), true};
}

CommittedFile committedBefore(Session& session, const OpenUpload& upload, const std::optional<Sha256Digest>& root) {
    bool same = false;
    session.query(
        "SELECT c.root FROM versions v JOIN contents c ON c.id = v.content_id WHERE v.file_id = $1 AND v.n = $2",
        {upload.file, upload.version}, [&](const Row& row) { same = !root || row.digest(0) == *root; });
    if (!same)
        throw Error(ErrorCode::conflict,
                    "This upload was committed with another root, or its version was deleted since. Begin a new one.");
    return {readEntry(session, upload.file), upload.newVersion};
}

FileId FolderPaths::make(FileId base, std::span<const FileName> path) {
    std::string key = std::to_string(valueOf(base));
    if (!known_.contains(key)) known_[key] = {base, requireLiveFolder(session_, owner_, base)};
    Known at = known_[key];
    for (const FileName& name : path) {
        key += '/' + name.key();
        if (const auto found = known_.find(key); found != known_.end()) {
            at = found->second;
            continue;
        }
        const int depth = at.depth + 1;
        FileName here = name;
        auto existing = findByName(session_, at.id, here);
        for (int number = 2; files_ == InTheWay::goRound && existing && existing->kind == Kind::file; ++number) {
            if (number > mostInTheWay) refuseTakenName(name);
            here = name.numbered(number);
            existing = findByName(session_, at.id, here);
        }
        if (existing) {
            if (existing->kind == Kind::file)
                throw Error(ErrorCode::nameTaken,
                            "\"" + name.text() + "\" on the way is a file, not a folder. Choose another path.");
            at = {existing->id, depth};
        } else {
            requireDepth(depth, limits_.maxDepth);
            const FileId parent = at.id;
            session_.query(
                "INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, modified_at, created_at, "
                "updated_at)"
                " VALUES ($1, $2, 0, 'live', $3, $4, $5, $5, $5) RETURNING id",
                {owner_, parent, here.text(), here.key(), notes_.now()}, [&](const Row& row) {
                    at = {row.id<FileId>(0), depth};
                });
            notes_.entry(ChangeKind::created, at.id, parent);
        }
        known_[key] = at;
    }
    return at.id;
}

}  // namespace chunkvault::catalog
