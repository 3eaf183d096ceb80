// Versions of a file as rows, inside a transaction and under the owner's lock. Private to database/catalog.
#pragma once

#include "database/catalog/rows.h"
#include "database/catalog/tree.h"

namespace chunkvault::catalog {

// The version of a file that was just made as one of version 1 and this size. Throws quotaExceeded.
void addFirstVersion(Session& session, OwnerRow& owner, FileId file, ContentId content, std::int64_t size,
                     Timestamp modifiedAt, Timestamp now, std::int64_t defaultQuota);

struct AddedVersion {
    std::int64_t number;
    bool isNew;
};
// Makes content the current version of file, which is live or becomes so. The same content as the current version makes
// no new one: only the times are brought up to date. Versions beyond limits.versionsKeep go, oldest first, and give
// their bytes back before the new one takes its own. Throws quotaExceeded.
AddedVersion addVersion(Session& session, OwnerRow& owner, FileId file, ContentId content, std::int64_t size,
                        Timestamp modifiedAt, Timestamp now, const TreeLimits& limits, std::int64_t defaultQuota);
// Takes away the oldest beyond keep, at most 1000, and gives their bytes back. Says how many.
int trimVersions(Session& session, OwnerRow& owner, FileId file, int keep, std::int64_t defaultQuota);

struct StoredVersion {
    std::int64_t number;
    ContentId content;
    std::int64_t size;
    Timestamp modifiedAt;
};
// Throws notFound.
[[nodiscard]] StoredVersion requireVersion(Session& session, FileId file, std::int64_t number);
// Deletes the version and gives its bytes back, whatever the file's current version is.
void removeVersion(Session& session, OwnerRow& owner, FileId file, const StoredVersion& version,
                   std::int64_t defaultQuota);

// Deletes the content and its list of chunks when no version refers to it. The chunks themselves are for collection.
void dropContentIfUnused(Session& session, ContentId content);

}  // namespace chunkvault::catalog
