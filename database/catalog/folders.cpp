#include "database/catalog/folders.h"

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
    if (steps == 0 || !good) throw Error(ErrorCode::notFound, "There is no folder with this id, or it is in the trash.");
    return steps - 1;
}

std::optional<NamedEntry> findByName(Session& session, FileId folder, const FileName& name) {
    std::optional<NamedEntry> found;
    session.query("SELECT id, kind FROM files WHERE folder_id = $1 AND name_key = $2 AND state = 'live'", {folder, name.key()},
                  [&](const Row& row) { found = {row.id<FileId>(0), row.integer(1) == 0 ? Kind::folder : Kind::file}; });
    return found;
}

FileName freeName(Session& session, FileId folder, const FileName& name) {
    if (!findByName(session, folder, name)) return name;
    for (int number = 2; number <= 10'000; ++number)
        if (FileName candidate = name.numbered(number); !findByName(session, folder, candidate)) return candidate;
    refuseTakenName(name);
}

void refuseTakenName(const FileName& name) {
    throw Error(ErrorCode::nameTaken, "There is something named \"" + name.text() + "\" in this folder already. Choose another name.");
}

}  // namespace chunkvault::catalog
