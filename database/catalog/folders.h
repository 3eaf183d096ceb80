// Looking things up in the live tree, inside a transaction. Private to database/catalog.
#pragma once

#include <optional>

#include "common/wire/file_name.h"
#include "database/catalog/session.h"

namespace chunkvault::catalog {

// The number of folders above it (0: the root). Throws Error notFound unless folder is a folder of owner, live, with
// nothing above it in the trash.
int requireLiveFolder(Session& session, UserId owner, FileId folder);

struct NamedEntry {
    FileId id;
    Kind kind;
};
// The live entry of that name in folder.
[[nodiscard]] std::optional<NamedEntry> findByName(Session& session, FileId folder, const FileName& name);
// name, or the first of "name (2)", "name (3)", ... that no live entry in folder has. Throws nameTaken after 10,000.
[[nodiscard]] FileName freeName(Session& session, FileId folder, const FileName& name);
// name when no other live entry in folder than self has it, or a free one for keepBoth; else throws nameTaken.
[[nodiscard]] FileName placeFor(Session& session, FileId folder, const FileName& name, OnConflict onConflict,
                                std::optional<FileId> self = std::nullopt);
// The number of folders below folder inside each other; -1 when it is a file.
[[nodiscard]] int heightOf(Session& session, const Entry& entry);
// Throws invalidValue when a folder as deep as this is too deep.
void requireDepth(int depth, int maxDepth);
// Throws nameTaken that names it.
[[noreturn]] void refuseTakenName(const FileName& name);

}  // namespace chunkvault::catalog
