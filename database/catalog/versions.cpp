#include "database/catalog/versions.h"

#include <vector>

#include "common/error/error.h"

namespace chunkvault::catalog {

namespace {

struct Current {
    std::int64_t number;
    std::optional<ContentId> content;
};

Current currentVersion(Session& session, FileId file) {
    std::optional<Current> current;
    session.query(
        "SELECT f.version, v.content_id FROM files f LEFT JOIN versions v ON v.file_id = f.id AND v.n = f.version"
        " WHERE f.id = $1 AND f.kind = 1",
        {file}, [&](const Row& row) {
            current = {row.integer(0), row.isNull(1) ? std::nullopt : std::optional(row.id<ContentId>(1))};
        });
    if (!current) throw Error(ErrorCode::notFound, "There is no file with this id.");
    return *current;
}

StoredVersion storedVersionOf(const Row& row) {
    return {row.integer(0), row.id<ContentId>(1), row.integer(2), row.integer(3)};
}

void insertVersion(Session& session, FileId file, std::int64_t number, ContentId content, Timestamp modifiedAt,
                   Timestamp now) {
    session.executeLater(
        "INSERT INTO versions (file_id, n, content_id, modified_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        {file, number, content, modifiedAt, now});
}

}  // namespace

int trimVersions(Session& session, OwnerRow& owner, FileId file, int keep, std::int64_t defaultQuota) {
    std::vector<StoredVersion> old;
    session.query(
        "SELECT v.n, v.content_id, c.size, v.modified_at FROM versions v JOIN contents c ON c.id = v.content_id"
        " WHERE v.file_id = $1 ORDER BY v.n DESC LIMIT 1000 OFFSET $2",
        {file, keep}, [&](const Row& row) { old.push_back(storedVersionOf(row)); });
    for (const StoredVersion& version : old) removeVersion(session, owner, file, version, defaultQuota);
    return static_cast<int>(old.size());
}

void addFirstVersion(Session& session, OwnerRow& owner, FileId file, ContentId content, std::int64_t size,
                     Timestamp modifiedAt, Timestamp now, std::int64_t defaultQuota) {
    insertVersion(session, file, 1, content, modifiedAt, now);
    addUsed(session, owner, size, defaultQuota);
}

AddedVersion addVersion(Session& session, OwnerRow& owner, FileId file, ContentId content, std::int64_t size,
                        Timestamp modifiedAt, Timestamp now, const TreeLimits& limits, std::int64_t defaultQuota) {
    const Current current = currentVersion(session, file);
    if (current.content == content) {
        session.execute("UPDATE versions SET modified_at = $1 WHERE file_id = $2 AND n = $3",
                        {modifiedAt, file, current.number});
        session.execute("UPDATE files SET modified_at = $1, updated_at = $2 WHERE id = $3", {modifiedAt, now, file});
        return {current.number, false};
    }
    const std::int64_t number = current.number + 1;
    // First the new row, so that trimming cannot drop a content that comes back.
    insertVersion(session, file, number, content, modifiedAt, now);
    session.executeLater("UPDATE files SET version = $1, size = $2, modified_at = $3, updated_at = $4 WHERE id = $5",
                         {number, size, modifiedAt, now, file});
    (void)trimVersions(session, owner, file, limits.versionsKeep, defaultQuota);
    addUsed(session, owner, size, defaultQuota);
    return {number, true};
}

StoredVersion requireVersion(Session& session, FileId file, std::int64_t number) {
    std::optional<StoredVersion> version;
    session.query(
        "SELECT v.n, v.content_id, c.size, v.modified_at FROM versions v JOIN contents c ON c.id = v.content_id"
        " WHERE v.file_id = $1 AND v.n = $2",
        {file, number}, [&](const Row& row) { version = storedVersionOf(row); });
    if (!version) throw Error(ErrorCode::notFound, "This file has no such version, or it was deleted.");
    return *version;
}

void removeVersion(Session& session, OwnerRow& owner, FileId file, const StoredVersion& version,
                   std::int64_t defaultQuota) {
    session.execute("DELETE FROM versions WHERE file_id = $1 AND n = $2", {file, version.number});
    dropContentIfUnused(session, version.content);
    addUsed(session, owner, -version.size, defaultQuota);
}

void dropContentIfUnused(Session& session, ContentId content) {
    session.execute(
        "DELETE FROM content_chunks WHERE content_id = $1 AND NOT EXISTS (SELECT 1 FROM versions WHERE content_id = "
        "$1)",
        {content});
    session.execute("DELETE FROM contents WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM versions WHERE content_id = $1)",
                    {content});
}

}  // namespace chunkvault::catalog
