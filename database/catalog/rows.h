// What the parts of the catalog share: the owner's lock, and rows as values. Private to database/catalog.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "database/catalog/session.h"

namespace chunkvault::catalog {

// The users row under the owner's lock, which lasts until the transaction ends. One lock per owner covers quota, tree
// changes, commits and seq.
struct OwnerRow {
    UserId id;
    FileId root;
    std::optional<std::int64_t> quota;
    std::int64_t used, reserved;
    Revision revision;
};
// Throws Error notFound when there is no such user, or it is being deleted.
[[nodiscard]] OwnerRow lockOwner(Session& session, UserId owner);
// The same for sweeps: also when the user is being deleted. Throws notFound when the row is gone.
[[nodiscard]] OwnerRow lockOwnerInAnyState(Session& session, UserId owner);
// Of a Revision.
[[nodiscard]] std::int64_t newStamp();
// Under the lock; negative gives back. Throws quotaExceeded when used + reserved would pass the quota and bytes > 0.
void addUsed(Session& session, OwnerRow& owner, std::int64_t bytes, std::int64_t defaultQuota);
void addReserved(Session& session, OwnerRow& owner, std::int64_t bytes, std::int64_t defaultQuota);

// The columns of an Entry from "files f LEFT JOIN versions v ON v.file_id = f.id AND v.n = f.version LEFT JOIN contents
// c ON c.id = v.content_id": entryColumns, then entryOf(row) reads them from column 0 on.
inline constexpr std::string_view entryColumns =
    "f.id, f.owner_id, f.folder_id, f.kind, f.state, f.name, f.version, f.size, f.modified_at, f.created_at, "
    "f.updated_at,"
    " f.trashed_at, c.id, c.root, c.sha256, c.sha256_verified, c.chunk_count, f.name_key";
inline constexpr std::string_view entryTables =
    " files f LEFT JOIN versions v ON v.file_id = f.id AND v.n = f.version LEFT JOIN contents c ON c.id = "
    "v.content_id ";
inline constexpr int entryNameKeyColumn = 17;
[[nodiscard]] Entry entryOf(const Row& row);

// Finds part as it is, anywhere: for "LIKE $1 ESCAPE '\\'".
[[nodiscard]] std::string likePattern(std::string_view part);

// By the clock that all who use the database share.
[[nodiscard]] Timestamp databaseNow(Session& session);

// The states of stores whose copies count.
inline constexpr std::string_view liveStates = "('up', 'suspect', 'draining')";

}  // namespace chunkvault::catalog
