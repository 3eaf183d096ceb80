#include "database/catalog/bulk.h"
#include "database/catalog/change_log.h"
#include "database/catalog/contents.h"
#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"
#include "database/catalog/tree.h"
#include "database/catalog/versions.h"

namespace chunkvault::catalog {

namespace {

void place(Session& session, FileId file, FileId folder, const FileName& name, Timestamp now) {
    session.execute("UPDATE files SET folder_id = $1, name = $2, name_key = $3, updated_at = $4 WHERE id = $5",
                    {folder, name.text(), name.key(), now, file});
}

// Notes nothing when everything is as change asks already.
void changeOne(Session& session, UserId owner, FileId file, const Change& change, const TreeLimits& limits,
               ChangeNotes& notes) {
    const Entry entry = requireChangeable(session, owner, file);
    const FileId folder = change.folder.value_or(*entry.folder);
    const FileName name = change.name ? *change.name : FileName::parse(entry.name);
    const bool timed = change.modifiedAt && *change.modifiedAt != entry.modifiedAt;
    const bool moved = folder != *entry.folder;
    if (!timed && !moved && name.text() == entry.name) return;

    if (moved) {
        const int depth = requireLiveFolder(session, owner, folder);
        if (liesWithin(session, owner, folder, file))
            throw Error(ErrorCode::conflict, "A folder cannot be moved into itself or a folder below it.");
        requireDepth(depth + 1 + heightOf(session, entry), limits.maxDepth);
    }
    place(session, file, folder, placeFor(session, folder, name, change.onConflict, file), notes.now());
    const ChangeKind kind = moved                       ? ChangeKind::moved
                            : name.text() != entry.name ? ChangeKind::renamed
                                                        : ChangeKind::changed;
    notes.entry(kind, file, folder, *entry.folder);
    if (timed) {
        session.execute("UPDATE files SET modified_at = $1 WHERE id = $2", {*change.modifiedAt, file});
        session.execute("UPDATE versions SET modified_at = $1 WHERE file_id = $2 AND n = $3",
                        {*change.modifiedAt, file, entry.version});
    }
}

void trashOne(Session& session, UserId owner, FileId file, ChangeNotes& notes) {
    const Entry entry = requireChangeable(session, owner, file);
    session.execute("UPDATE files SET state = 'trashed', trashed_at = $1 WHERE id = $2", {notes.now(), file});
    notes.entry(ChangeKind::trashed, file, *entry.folder);
}

bool isLiveFolder(Session& session, UserId owner, FileId folder) { return liesWithin(session, owner, folder, folder); }

void restoreOne(Session& session, const OwnerRow& owner, FileId file, std::optional<FileId> toFolder,
                OnConflict onConflict, const TreeLimits& limits, ChangeNotes& notes) {
    const auto [entry, inTrash] = findEntry(session, owner.id, file);
    if (!inTrash) throw Error(ErrorCode::notFound, "There is nothing with this id in the trash.");
    const FileId before = *entry.folder;
    const FileId folder = toFolder ? *toFolder : isLiveFolder(session, owner.id, before) ? before : owner.root;
    const int depth = requireLiveFolder(session, owner.id, folder);
    requireDepth(depth + 1 + heightOf(session, entry), limits.maxDepth);
    place(session, file, folder, placeFor(session, folder, FileName::parse(entry.name), onConflict), notes.now());
    session.execute("UPDATE files SET state = 'live', trashed_at = NULL WHERE id = $1", {file});
    notes.entry(ChangeKind::restored, file, folder, before);
}

void noteEntry(Session& session, OwnerRow& owner, ChangeKind kind, const Entry& entry, Timestamp now) {
    ChangeNotes notes(now);
    notes.entry(kind, entry.id, *entry.folder);
    bumpSeq(session, owner, notes);
}

}  // namespace

Entry Tree::makeFolders(UserId owner, FileId base, std::span<const FileName> path, bool* created) {
    std::optional<Entry> entry;
    bool made = false;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        FolderPaths folders(session, owner, limits_, notes);
        const FileId last = folders.make(base, path);
        made = !notes.empty();
        if (made) bumpSeq(session, row, notes);
        entry = requireLive(session, owner, last);
    });
    if (created != nullptr) *created = made;
    return std::move(*entry);
}

Entry Tree::change(UserId owner, FileId file, const Change& change) {
    std::optional<Entry> entry;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        changeOne(session, owner, file, change, limits_, notes);
        if (!notes.empty()) bumpSeq(session, row, notes);
        entry = requireLive(session, owner, file);
    });
    return std::move(*entry);
}

void Tree::moveToTrash(UserId owner, FileId file) {
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        trashOne(session, owner, file, notes);
        bumpSeq(session, row, notes);
    });
}

Entry Tree::restore(UserId owner, FileId file, std::optional<FileId> toFolder, OnConflict onConflict) {
    std::optional<Entry> entry;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        restoreOne(session, row, file, toFolder, onConflict, limits_, notes);
        bumpSeq(session, row, notes);
        entry = requireLive(session, owner, file);
    });
    return std::move(*entry);
}

std::vector<BulkResult> Tree::moveAll(UserId owner, std::span<const FileId> files, FileId toFolder,
                                      OnConflict onConflict) {
    const Change change{std::nullopt, toFolder, std::nullopt, onConflict};
    return forEach(database_, owner, files, clock_(),
                   [&](Session& session, const OwnerRow&, FileId file, ChangeNotes& notes) {
                       changeOne(session, owner, file, change, limits_, notes);
                   });
}

std::vector<BulkResult> Tree::trashAll(UserId owner, std::span<const FileId> files) {
    return forEach(database_, owner, files, clock_(),
                   [&](Session& session, const OwnerRow&, FileId file, ChangeNotes& notes) {
                       trashOne(session, owner, file, notes);
                   });
}

std::vector<BulkResult> Tree::restoreAll(UserId owner, std::span<const FileId> files, OnConflict onConflict) {
    return forEach(database_, owner, files, clock_(),
                   [&](Session& session, const OwnerRow& row, FileId file, ChangeNotes& notes) {
                       restoreOne(session, row, file, std::nullopt, onConflict, limits_, notes);
                   });
}

Entry Tree::restoreVersion(UserId owner, FileId file, std::int64_t number) {
    std::optional<Entry> entry;
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        OwnerRow row = lockOwner(session, owner);
        entry = requireLive(session, owner, file);
        const StoredVersion old = requireVersion(session, file, number);
        if (old.content == entry->content) return;
        addVersion(session, row, file, old.content, old.size, old.modifiedAt, now, limits_, defaultQuota_);
        noteEntry(session, row, ChangeKind::version, *entry, now);
        entry = requireLive(session, owner, file);
    });
    return std::move(*entry);
}

void Tree::deleteVersion(UserId owner, FileId file, std::int64_t number) {
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        const Entry entry = requireLive(session, owner, file);
        const StoredVersion old = requireVersion(session, file, number);
        if (number == entry.version)
            throw Error(ErrorCode::conflict,
                        "The current version cannot be deleted. Restore another one first, or delete the file.");
        removeVersion(session, row, file, old, defaultQuota_);
        noteEntry(session, row, ChangeKind::changed, entry, clock_());
    });
}

SweptWindow<FileId> Tree::trimVersions(int keep, FileId after, int limit) {
    static const std::string window =
        "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT $2) near";
    static const std::string find =
        "SELECT f.owner_id, f.id FROM versions v JOIN files f ON f.id = v.file_id WHERE v.file_id > $1 AND"
        " v.file_id <= $2 GROUP BY f.owner_id, f.id HAVING COUNT(*) > $3";
    struct Long {
        UserId owner;
        FileId file;
    };
    std::vector<Long> files;
    SweptWindow<FileId> swept;
    database_.read([&](Session& session) {
        files.clear();
        session.query(window, {after, limit}, [&](const Row& row) {
            swept.last = static_cast<FileId>(row.maybeInteger(0).value_or(valueOf(after)));
            swept.examined = row.integer(1);
        });
        session.query(find, {after, swept.last, keep}, [&](const Row& row) {
            files.push_back({row.id<UserId>(0), row.id<FileId>(1)});
        });
    });
    for (const Long& found : files) {
        int removed = 0;
        database_.write([&](Session& session) {
            OwnerRow owner = lockOwnerInAnyState(session, found.owner);
            removed = catalog::trimVersions(session, owner, found.file, keep, defaultQuota_);
            if (removed == 0) return;
            ChangeNotes notes(clock_());
            notes.account();  // an old version is in no list
            bumpSeq(session, owner, notes);
        });
        swept.changed += removed;
    }
    return swept;
}

}  // namespace chunkvault::catalog
