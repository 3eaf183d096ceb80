#include "database/catalog/entries.h"

#include <algorithm>
#include <vector>

#include "common/error/error.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

[[noreturn]] void refuseUnknown() { throw Error(ErrorCode::notFound, "There is no file or folder with this id."); }

}  // namespace

Found findEntry(Session& session, UserId owner, FileId file) {
    // What was put into the trash by itself stays there when a folder above it is purged: the nearest state counts.
    static const std::string sql =
        "WITH RECURSIVE up (id, folder_id, state, step) AS ("
        " SELECT id, folder_id, state, 0 FROM files WHERE id = $1 AND owner_id = $2"
        " UNION ALL SELECT f.id, f.folder_id, f.state, up.step + 1 FROM files f JOIN up ON f.id = up.folder_id)"
        " SELECT " +
        std::string(entryColumns) + ", (SELECT state FROM up WHERE state <> 'live' ORDER BY step LIMIT 1) FROM" +
        std::string(entryTables) + "WHERE f.id = $1 AND f.owner_id = $2";
    std::optional<Found> found;
    std::string standing;
    session.query(sql, {file, owner}, [&](const Row& row) {
        standing = row.maybeText(entryNameKeyColumn + 1).value_or("live");
        found = Found{entryOf(row), standing == "trashed"};
    });
    if (!found || standing == "purging") refuseUnknown();
    if (standing == "reserved")
        throw Error(ErrorCode::notYetComplete, "The upload of this file is not complete yet.").retryAfter(5);
    return std::move(*found);
}

Entry requireLive(Session& session, UserId owner, FileId file) {
    Found found = findEntry(session, owner, file);
    if (found.inTrash) refuseUnknown();
    return std::move(found.entry);
}

Entry requireChangeable(Session& session, UserId owner, FileId file) {
    Entry entry = requireLive(session, owner, file);
    if (!entry.folder) throw Error(ErrorCode::conflict, "The root folder cannot be changed.");
    return entry;
}

bool liesWithin(Session& session, UserId owner, FileId file, FileId folder) {
    bool met = false;
    bool live = true;
    session.query(
        "WITH RECURSIVE up (id, folder_id, state) AS ("
        " SELECT id, folder_id, state FROM files WHERE id = $1 AND owner_id = $2"
        " UNION ALL SELECT f.id, f.folder_id, f.state FROM files f JOIN up ON f.id = up.folder_id)"
        " SELECT id, state FROM up",
        {file, owner}, [&](const Row& row) {
            met = met || row.id<FileId>(0) == folder;
            live = live && row.text(1) == "live";
        });
    return met && live;
}

std::string Paths::of(FileId folder) {
    struct Step {
        FileId id;
        std::string name;
    };
    std::vector<Step> steps;
    std::string path;
    std::optional<FileId> at = folder;
    while (at) {
        const FileId id = *at;
        if (const auto known = known_.find(id); known != known_.end()) {
            path = known->second;
            break;
        }
        at.reset();
        session_.query("SELECT folder_id, name FROM files WHERE id = $1", {id}, [&](const Row& row) {
            if (row.isNull(0)) return;
            at = row.id<FileId>(0);
            steps.push_back({id, row.text(1)});
        });
        if (!at) known_[id] = "";
    }
    std::for_each(steps.rbegin(), steps.rend(), [&](const Step& step) {
        path += '/' + step.name;
        known_[step.id] = path;
    });
    return path;
}

}  // namespace chunkvault::catalog
