// Bulk calls: one transaction under the owner's lock, a savepoint for each id. Private to database/catalog.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/rows.h"
#include "database/catalog/tree.h"

namespace chunkvault::catalog {

// work notes what it changed; what it throws undoes that id only. One change of seq for all.
[[nodiscard]] std::vector<BulkResult> forEach(
    Database& database, UserId owner, std::span<const FileId> files, Timestamp now,
    const std::function<void(Session&, const OwnerRow&, FileId, ChangeNotes&)>& work);

}  // namespace chunkvault::catalog
