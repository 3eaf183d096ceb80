#include <algorithm>
#include <unordered_map>

#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"
#include "database/catalog/tree.h"

namespace chunkvault::catalog {

namespace {

struct Source {
    FileId id;
    std::optional<FileId> folder;
    int depth;  // below the copied entry
    bool isFile;
    std::string name, nameKey;
    std::int64_t size;
    Timestamp modifiedAt;
    std::optional<ContentId> content;
};

// The entry and all that is live below it, parents before children.
std::vector<Source> readSubtree(Session& session, FileId top, int maxEntries) {
    std::vector<Source> sources;
    session.query(
        "WITH RECURSIVE down (id, folder_id, depth, kind, name, name_key, size, modified_at, version) AS ("
        " SELECT id, folder_id, 0, kind, name, name_key, size, modified_at, version FROM files WHERE id = $1"
        " UNION ALL SELECT f.id, f.folder_id, down.depth + 1, f.kind, f.name, f.name_key, f.size, f.modified_at, "
        "f.version"
        "  FROM files f JOIN down ON f.folder_id = down.id WHERE f.state = 'live')"
        " SELECT d.id, d.folder_id, d.depth, d.kind, d.name, d.name_key, d.size, d.modified_at, v.content_id"
        " FROM down d LEFT JOIN versions v ON v.file_id = d.id AND v.n = d.version LIMIT $2",
        {top, maxEntries + 1}, [&](const Row& row) {
            sources.push_back({row.id<FileId>(0), row.isNull(1) ? std::nullopt : std::optional(row.id<FileId>(1)),
                               static_cast<int>(row.integer(2)), row.truth(3), row.text(4), row.text(5), row.integer(6),
                               row.integer(7), row.isNull(8) ? std::nullopt : std::optional(row.id<ContentId>(8))});
        });
    if (static_cast<int>(sources.size()) > maxEntries)
        throw Error(ErrorCode::invalidValue, "One copy takes at most " + std::to_string(maxEntries) +
                                                 " files and folders. Copy the folders in it one by one.");
    std::ranges::stable_sort(sources, {}, &Source::depth);
    return sources;
}

FileId insertCopy(Session& session, UserId owner, FileId folder, const Source& source, Timestamp now) {
    FileId made{};
    session.query(
        "INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, version, size, modified_at, created_at, "
        "updated_at)"
        " VALUES ($1, $2, $3, 'live', $4, $5, $6, $7, $8, $9, $9) RETURNING id",
        {owner, folder, source.isFile, source.name, source.nameKey, source.isFile, source.size, source.modifiedAt, now},
        [&](const Row& row) { made = row.id<FileId>(0); });
    if (source.content)
        session.execute(
            "INSERT INTO versions (file_id, n, content_id, modified_at, created_at) VALUES ($1, 1, $2, $3, $4)",
            {made, *source.content, source.modifiedAt, now});
    return made;
}

}  // namespace

Entry Tree::copy(UserId owner, FileId file, FileId toFolder, std::optional<FileName> name, OnConflict onConflict) {
    std::optional<Entry> copied;
    database_.write([&](Session& session) {
        copied.reset();
        const Timestamp now = clock_();
        OwnerRow row = lockOwner(session, owner);
        const Entry entry = requireChangeable(session, owner, file);
        const int folderDepth = requireLiveFolder(session, owner, toFolder);
        if (liesWithin(session, owner, toFolder, file))
            throw Error(ErrorCode::conflict, "A folder cannot be copied into itself or a folder below it.");

        std::vector<Source> sources = readSubtree(session, file, limits_.maxEntriesAtOnce);
        int height = -1;
        std::int64_t bytes = 0;
        for (const Source& source : sources) {
            if (!source.isFile) height = std::max(height, source.depth);
            bytes += source.size;
        }
        requireDepth(folderDepth + 1 + height, limits_.maxDepth);
        const FileName wanted = name ? *name : FileName::parse(entry.name);
        const FileName free = placeFor(session, toFolder, wanted, onConflict);
        addUsed(session, row, bytes, defaultQuota_);

        sources.front().name = free.text();
        sources.front().nameKey = free.key();
        std::unordered_map<FileId, FileId> copies;
        for (const Source& source : sources) {
            const FileId folder = source.depth == 0 ? toFolder : copies.at(*source.folder);
            copies[source.id] = insertCopy(session, owner, folder, source, now);
        }
        ChangeNotes notes(now);
        notes.entry(ChangeKind::created, copies.at(file), toFolder);  // nobody has a list of what is below it
        bumpSeq(session, row, notes);
        copied = requireLive(session, owner, copies.at(file));
    });
    return std::move(*copied);
}

}  // namespace chunkvault::catalog
