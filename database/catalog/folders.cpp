#include "database/catalog/folders.h"

#include <unordered_set>
#include <vector>

#include "common/error/error.h"

namespace chunkvault::catalog {

int requireLiveFolder(Session& session, UserId owner, FileId folder) {
    int steps = 0;
    bool good = true;
    session.query(
        "WITH RECURSIVE up (id, folder_id, owner_id, kind, state) AS ("
        " SELECT id, folder_id, owner_id, kind, state FROM files WHERE id = $1"
        " UNION ALL SELECT f.id, f.folder_id, f.owner_id, f.kind, f.state FROM files f JOIN up ON f.id = up.folder_id)"
        " SELECT owner_id, kind, state FROM up",
        {folder}, [&](const Row& row) {
            ++steps;
            good = good && row.id<UserId>(0) == owner && row.integer(1) == 0 && row.text(2) == "live";
        });
    if (steps == 0 || !good)
        throw Error(ErrorCode::notFound, "There is no folder with this id, or it is in the trash.");
    return steps - 1;
}

std::optional<NamedEntry> findByName(Session& session, FileId folder, const FileName& name) {
    std::optional<NamedEntry> found;
    session.query("SELECT id, kind FROM files WHERE folder_id = $1 AND name_key = $2 AND state = 'live'",
                  {folder, name.key()}, [&](const Row& row) {
                      found = {row.id<FileId>(0), row.integer(1) == 0 ? Kind::folder : Kind::file};
                  });
    return found;
}

FileName freeName(Session& session, FileId folder, const FileName& name) {
    if (!findByName(session, folder, name)) return name;
    // Many files of one name are rare, but must not cost a statement each.
    constexpr int batch = 20;
    static const std::string taken = [] {
        std::string sql = "SELECT name_key FROM files WHERE folder_id = $1 AND state = 'live' AND name_key IN (";
        for (int i = 0; i < batch; ++i) sql += (i == 0 ? "$" : ", $") + std::to_string(i + 2);
        return sql + ')';
    }();
    for (int number = 2; number <= 10'000; number += batch) {
        std::vector<FileName> candidates;
        for (int i = 0; i < batch; ++i) candidates.push_back(name.numbered(number + i));
        std::vector<Value> values{folder};
        for (const FileName& candidate : candidates) values.emplace_back(candidate.key());
        std::unordered_set<std::string> found;
        session.query(taken, values, [&](const Row& row) { found.insert(row.text(0)); });
        for (FileName& candidate : candidates)
            if (!found.contains(candidate.key())) return std::move(candidate);
    }
    refuseTakenName(name);
}

FileName placeFor(Session& session, FileId folder, const FileName& name, OnConflict onConflict,
                  std::optional<FileId> self) {
    const auto taken = findByName(session, folder, name);
    if (!taken || taken->id == self) return name;
    if (onConflict == OnConflict::keepBoth) return freeName(session, folder, name);
    refuseTakenName(name);
}

int heightOf(Session& session, const Entry& entry) {
    if (entry.kind == Kind::file) return -1;
    int height = 0;
    session.query(
        "WITH RECURSIVE down (id, depth) AS (SELECT id, 0 FROM files WHERE id = $1"
        " UNION ALL SELECT f.id, down.depth + 1 FROM files f JOIN down ON f.folder_id = down.id"
        "  WHERE f.kind = 0 AND f.state = 'live')"
        " SELECT MAX(depth) FROM down",
        {entry.id}, [&](const Row& row) { height = static_cast<int>(row.integer(0)); });
    return height;
}

void requireDepth(int depth, int maxDepth) {
    if (depth > maxDepth)
        throw Error(ErrorCode::invalidValue, "Folders may lie at most " + std::to_string(maxDepth) + " deep.");
}

void refuseTakenName(const FileName& name) {
    throw Error(ErrorCode::nameTaken,
                "There is something named \"" + name.text() + "\" in this folder already. Choose another name.");
}

}  // namespace chunkvault::catalog
