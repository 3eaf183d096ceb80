#include <algorithm>

#include "database/catalog/bulk.h"
#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/rows.h"
#include "database/catalog/tree.h"
#include "database/catalog/versions.h"

namespace chunkvault::catalog {

namespace {

constexpr int rowsAtOnce = 1000;  // of what is purged before the call returns; the sweep takes the rest

void markPurging(Session& session, FileId file) {
    session.execute("UPDATE files SET state = 'purging', folder_id = NULL WHERE id = $1", {file});
}

void purgeOne(Session& session, UserId owner, FileId file, ChangeNotes& notes) {
    if (!findEntry(session, owner, file).inTrash)
        throw Error(ErrorCode::notFound, "There is nothing with this id in the trash.");
    markPurging(session, file);
    notes.entry(ChangeKind::purged, file, {});
}

// Children become purging on their own, so that each row can go as soon as it has none. What was put into the trash by
// itself stays there: from now on it belongs into the root.
int detachChildren(Session& session, FileId folder, FileId root, int limit) {
    return static_cast<int>(
        session.execute("UPDATE files SET folder_id = CASE state WHEN 'trashed' THEN CAST($3 AS BIGINT) END,"
                        " state = CASE state WHEN 'trashed' THEN 'trashed' ELSE 'purging' END"
                        " WHERE id IN (SELECT id FROM files WHERE folder_id = $1 LIMIT $2)",
                        {folder, limit, root}));
}

void removeRow(Session& session, FileId file) {
    session.execute("DELETE FROM share_tickets WHERE share_id IN (SELECT id FROM shares WHERE file_id = $1)", {file});
    session.execute("DELETE FROM shares WHERE file_id = $1", {file});
    session.execute("DELETE FROM files WHERE id = $1", {file});
}

struct Removed {
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
};

Removed removeVersions(Session& session, FileId file) {
    Removed removed;
    std::vector<ContentId> contents;
    session.query(
        "SELECT c.id, c.size, c.chunk_count FROM versions v JOIN contents c ON c.id = v.content_id WHERE v.file_id = "
        "$1",
        {file}, [&](const Row& row) {
            contents.push_back(row.id<ContentId>(0));
            removed.bytes += row.integer(1);
            removed.rows += 1 + row.integer(2);
        });
    session.execute("DELETE FROM versions WHERE file_id = $1", {file});
    for (const ContentId content : contents) dropContentIfUnused(session, content);
    return removed;
}

struct Purging {
    FileId id;
    bool isFile;
};

std::vector<Purging> purgingOf(Session& session, UserId owner, std::int64_t limit) {
    std::vector<Purging> purging;
    session.query("SELECT id, kind FROM files WHERE state = 'purging' AND owner_id = $1 ORDER BY id LIMIT $2",
                  {owner, limit}, [&](const Row& row) {
                      purging.push_back({row.id<FileId>(0), row.truth(1)});
                  });
    return purging;
}

// Stops after limit rows, but takes a content with all its chunks.
std::int64_t purgeRows(Session& session, UserId user, int limit, Timestamp now, std::int64_t defaultQuota) {
    OwnerRow owner = lockOwnerInAnyState(session, user);
    Removed removed;
    const auto purge = [&](const Purging& entry) {
        if (entry.isFile) {
            const Removed versions = removeVersions(session, entry.id);
            removed.rows += versions.rows;
            removed.bytes += versions.bytes;
        } else {
            removed.rows += detachChildren(session, entry.id, owner.root, static_cast<int>(limit - removed.rows));
            if (removed.rows >= limit) return;  // there may be more
        }
        removeRow(session, entry.id);
        ++removed.rows;
    };
    while (removed.rows < limit) {
        const auto purging = purgingOf(session, user, limit - removed.rows);
        if (purging.empty()) break;
        for (const Purging& entry : purging)
            if (removed.rows < limit) purge(entry);
    }
    addUsed(session, owner, -removed.bytes, defaultQuota);
    if (removed.rows > 0) {
        ChangeNotes notes(now);
        notes.account();
        notes.trash();  // what was in a folder by itself may be in another place
        bumpSeq(session, owner, notes);
    }
    return removed.rows;
}

// What was marked is out of every list, so that its bytes may as well be given back by the sweep when this fails.
void purgeSomeNow(Database& database, UserId owner, Timestamp now, std::int64_t defaultQuota) {
    try {
        database.write([&](Session& session) { purgeRows(session, owner, rowsAtOnce, now, defaultQuota); });
    } catch (const Error&) {
    }
}

}  // namespace

void Tree::purge(UserId owner, FileId file) {
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        purgeOne(session, owner, file, notes);
        bumpSeq(session, row, notes);
    });
    purgeSomeNow(database_, owner, clock_(), defaultQuota_);
}

int Tree::emptyTrash(UserId owner) {
    std::int64_t emptied = 0;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        emptied = session.execute(
            "UPDATE files SET state = 'purging', folder_id = NULL WHERE owner_id = $1 AND state = 'trashed'", {owner});
        if (emptied == 0) return;
        ChangeNotes notes(clock_());
        notes.trash();
        bumpSeq(session, row, notes);
    });
    if (emptied > 0) purgeSomeNow(database_, owner, clock_(), defaultQuota_);
    return static_cast<int>(emptied);
}

std::vector<BulkResult> Tree::purgeAll(UserId owner, std::span<const FileId> files) {
    auto results = forEach(database_, owner, files, clock_(),
                           [&](Session& session, const OwnerRow&, FileId file, ChangeNotes& notes) {
                               purgeOne(session, owner, file, notes);
                           });
    purgeSomeNow(database_, owner, clock_(), defaultQuota_);
    return results;
}

int Tree::purgeStep(int limit) {
    std::int64_t done = 0;
    while (done < limit) {
        std::optional<UserId> owner;
        database_.read([&](Session& session) {
            owner.reset();
            session.query("SELECT owner_id FROM files WHERE state = 'purging' ORDER BY id LIMIT 1", {},
                          [&](const Row& row) { owner = row.id<UserId>(0); });
        });
        if (!owner) break;
        std::int64_t rows = 0;
        database_.write([&](Session& session) {
            rows = purgeRows(session, *owner, static_cast<int>(limit - done), clock_(), defaultQuota_);
        });
        done += rows;
    }
    return static_cast<int>(std::min<std::int64_t>(done, limit));
}

int Tree::expireTrash(Timestamp trashedBefore, int limit) {
    struct Trashed {
        UserId owner;
        FileId file;
    };
    std::vector<Trashed> over;
    database_.read([&](Session& session) {
        over.clear();
        session.query(
            "SELECT owner_id, id FROM files WHERE state = 'trashed' AND trashed_at < $1 ORDER BY owner_id, id LIMIT $2",
            {trashedBefore, limit}, [&](const Row& row) {
                over.push_back({row.id<UserId>(0), row.id<FileId>(1)});
            });
    });
    for (auto first = over.begin(); first != over.end();) {
        const UserId owner = first->owner;
        const auto last = std::find_if(first, over.end(), [&](const Trashed& entry) { return entry.owner != owner; });
        database_.write([&](Session& session) {
            OwnerRow row = lockOwnerInAnyState(session, owner);
            ChangeNotes notes(clock_());
            for (auto entry = first; entry != last; ++entry) {
                const auto marked = session.execute(
                    "UPDATE files SET state = 'purging', folder_id = NULL"
                    " WHERE id = $1 AND state = 'trashed' AND trashed_at < $2",
                    {entry->file, trashedBefore});
                if (marked > 0) notes.entry(ChangeKind::purged, entry->file, {});
            }
            if (!notes.empty()) bumpSeq(session, row, notes);
        });
        first = last;
    }
    return static_cast<int>(over.size());
}

}  // namespace chunkvault::catalog
