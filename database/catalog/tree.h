// Folders, files, versions and trash of one owner. Every change takes the owner's lock and raises the owner's seq.
// An id of another owner, of nothing, or (except where said) of something in the trash or being purged is Error
// notFound; of a file whose first upload is not committed: notYetComplete. Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/file_name.h"
#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;

enum class SortBy { name, size, modifiedAt };

struct ListQuery {
    FileId folder;
    SortBy sort = SortBy::name;  // folders first, then the key, then name_key bytewise, then id
    bool descending = false;     // all but folders first
    int limit = 100;
    std::optional<PageKey> after = std::nullopt;
};

struct SearchQuery {
    std::string text;  // part of a name, compared case-folded; wildcards have no meaning
    int limit = 100;
    std::optional<PageKey> after = std::nullopt;  // sorted by name_key, then id
};

// What is live below a folder, without itself.
struct Extent {
    std::int64_t entries;
    std::int64_t pathBytes;  // of all their paths, which begin with the folder's own name
};

struct TreeLimits {
    int maxDepth = 100;             // folders inside each other
    int maxEntriesAtOnce = 10'000;  // of one copy
    int versionsKeep = 10;
};

struct Change {
    std::optional<FileName> name;
    std::optional<FileId> folder;
    std::optional<Timestamp> modifiedAt;
    OnConflict onConflict = OnConflict::fail;  // fail or keepBoth
};

// The outcome for one id of a bulk call: the error, or nothing.
struct BulkResult {
    FileId id;
    std::optional<Error> error;
};

class Tree {
  public:
    Tree(Database& database, Clock clock, TreeLimits limits, std::int64_t defaultQuota);

    // Live entries and, when trashToo, those in the trash or below a trashed folder.
    [[nodiscard]] Entry get(UserId owner, FileId file, bool trashToo = false);
    // From the root (left out) to the entry itself.
    [[nodiscard]] std::vector<Entry> path(UserId owner, FileId file);
    [[nodiscard]] Page list(UserId owner, const ListQuery& query);
    // Of more than maxEntries only so many are counted, and one more.
    [[nodiscard]] Extent extent(UserId owner, FileId folder, std::int64_t maxEntries);
    [[nodiscard]] Page search(UserId owner, const SearchQuery& query);
    [[nodiscard]] Page trash(UserId owner, int limit, std::optional<PageKey> after);  // newest first

    // Like mkdir -p below base: the last folder. A file on the way throws nameTaken. created says if anything was made.
    Entry makeFolders(UserId owner, FileId base, std::span<const FileName> path, bool* created = nullptr);
    // Rename and move. Into itself or below: conflict. The root: conflict. Names clash: nameTaken.
    Entry change(UserId owner, FileId file, const Change& change);
    // No bytes move; folders with all below (current versions only). Counts against the quota. Into itself or below,
    // and the root: conflict.
    Entry copy(UserId owner, FileId file, FileId toFolder, std::optional<FileName> name, OnConflict onConflict);

    void moveToTrash(UserId owner, FileId file);
    // To toFolder, which has to be live; or where it was, or the root if that is gone. Also something below a trashed
    // folder. On a clash keepBoth renames, fail throws nameTaken.
    Entry restore(UserId owner, FileId file, std::optional<FileId> toFolder, OnConflict onConflict);
    // Deletes something in the trash for good. What lies below it and was put into the trash before stays there.
    void purge(UserId owner, FileId file);
    int emptyTrash(UserId owner);  // how many top entries

    // Each id is its own savepoint in one transaction: the good ones happen.
    std::vector<BulkResult> moveAll(UserId owner, std::span<const FileId> files, FileId toFolder,
                                    OnConflict onConflict);
    std::vector<BulkResult> trashAll(UserId owner, std::span<const FileId> files);
    std::vector<BulkResult> restoreAll(UserId owner, std::span<const FileId> files, OnConflict onConflict);
    std::vector<BulkResult> purgeAll(UserId owner, std::span<const FileId> files);

    [[nodiscard]] std::vector<Version> versions(UserId owner, FileId file);  // newest first
    [[nodiscard]] Version version(UserId owner, FileId file, std::int64_t number);
    // The old content becomes the newest version; one row. The same content as the current one changes nothing.
    Entry restoreVersion(UserId owner, FileId file, std::int64_t number);
    void deleteVersion(UserId owner, FileId file, std::int64_t number);  // conflict for the current one

    // Whether file is folder or lies below it, and nothing on the way is trashed: what a folder share checks.
    [[nodiscard]] bool isWithin(UserId owner, FileId file, FileId folder);

    // Sweeps. Each takes away at most limit rows and says how many; 0: nothing is left to do.
    int purgeStep(int limit);  // rows of purging entries and below, with contents that no version has
    int expireTrash(Timestamp trashedBefore, int limit);
    // Of the next limit files, those with more than keep versions lose the oldest. New versions do that by themselves;
    // this is for when fewer are kept than before.
    SweptWindow<FileId> trimVersions(int keep, FileId after, int limit);

    // used and reserved of every owner as their rows sum up, for the test that they never drift.
    struct Usage {
        UserId owner;
        std::int64_t used, reserved, usedBySum, reservedBySum;
    };
    [[nodiscard]] std::vector<Usage> auditUsage();

  private:
    Database& database_;
    Clock clock_;
    TreeLimits limits_;
    std::int64_t defaultQuota_;
};

}  // namespace chunkvault::catalog
