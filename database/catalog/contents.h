// From the chunks of an upload to a content, and from a content to a file, inside a transaction and under the owner's
// lock. Private to database/catalog.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "common/wire/file_name.h"
#include "database/catalog/change_log.h"
#include "database/catalog/rows.h"
#include "database/catalog/upload_rows.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {

// Indexes [first, first + count) of an upload.
struct Range {
    std::int64_t first, count;
};

// The root of the chunks of range, computed from their rows. Throws uploadIncomplete, with the indexes to send, unless
// each is stored with quorum on live stores and together they have size bytes.
[[nodiscard]] Sha256Digest requireComplete(Session& session, UploadId upload, Range range, std::int64_t size,
                                           int writeQuorum);

struct NewContent {
    UserId owner;
    std::int64_t size;
    Sha256Digest root;
    std::optional<Sha256Digest> sha256;
    bool verified;  // the server has hashed the bytes itself
    Timestamp now;
};
// The owner's content of that root, made of the chunks of range when it is new. Throws checksumMismatch when sha256 is
// not what was verified for this root before.
[[nodiscard]] ContentId contentOf(Session& session, UploadId upload, Range range, const NewContent& content);

struct FileTarget {
    FileId folder;
    FileName name;
    OnConflict onConflict;
    Timestamp modifiedAt;
    std::optional<FileId> reserved;  // the file that an upload reserved, if it is still reserved
};
// Makes content a file in the folder, which is live, or a version of one, as the policy says. Throws nameTaken,
// quotaExceeded.
[[nodiscard]] CommittedFile attachContent(Session& session, OwnerRow& owner, const FileTarget& target,
                                          ContentId content, std::int64_t size, Timestamp now, const TreeLimits& limits,
                                          std::int64_t defaultQuota);

// What an earlier commit of upload made. Throws conflict when that had another root than the one given, or is gone.
[[nodiscard]] CommittedFile committedBefore(Session& session, const OpenUpload& upload,
                                            const std::optional<Sha256Digest>& root);

// What happens about a file that has the name of a folder on the way.
enum class InTheWay { refuse, goRound };  // goRound: the folder is "name (2)", or the next one that is no file

// mkdir -p for many files at once: each folder is looked up once.
class FolderPaths {
  public:
    // Folders that are made are noted.
    FolderPaths(Session& session, UserId owner, const TreeLimits& limits, ChangeNotes& notes,
                InTheWay files = InTheWay::refuse)
        : session_(session), owner_(owner), limits_(limits), notes_(notes), files_(files) {}

    // The last folder of path below base. Throws notFound (base), nameTaken (a file is in the way), invalidValue
    // (depth).
    [[nodiscard]] FileId make(FileId base, std::span<const FileName> path);
    // What was looked up may have been rolled back.
    void forget() { known_.clear(); }

  private:
    struct Known {
        FileId id;
        int depth;
    };
    Session& session_;
    UserId owner_;
    const TreeLimits& limits_;
    ChangeNotes& notes_;
    InTheWay files_;
    std::unordered_map<std::string, Known> known_;  // by base and the keys on the way
};

}  // namespace chunkvault::catalog
