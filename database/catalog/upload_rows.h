// Rows of uploads, inside a transaction. Private to database/catalog.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/file_name.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

struct OpenUpload {
    UploadId id;
    UserId owner;
    bool isIntake;  // of one request: no key, no file and no size
    UploadState state;
    FileId folder;
    std::string nameText;
    std::int64_t size;
    std::int64_t chunkSize;
    OnConflict onConflict;
    Timestamp modifiedAt;
    FileId file;
    std::int64_t version;
    bool newVersion;  // of the commit
    std::int64_t reserved;
    Timestamp expiresAt;
    std::optional<std::int64_t> received;  // tus: bytes from the start; nullopt: not by tus
    std::optional<ShareId> request;        // a guest's
    std::int64_t lease;                    // of the request that writes; 0: none does
    Timestamp leaseUntil;                  // by the database's clock
    UserState ownerState;
    Timestamp ownerPasswordChangedAt;

    [[nodiscard]] FileName name() const { return FileName::parse(nameText); }
};

[[nodiscard]] constexpr std::int64_t chunkCountFor(std::int64_t size, std::int64_t chunkSize) {
    return size / chunkSize + (size % chunkSize != 0 ? 1 : 0);
}

[[nodiscard]] std::optional<OpenUpload> openUploadOf(Session& session, UploadId upload);
// Under its row's lock. Throws notFound, conflict (committed) or uploadExpired.
[[nodiscard]] OpenUpload lockOpenUpload(Session& session, UploadId upload, Timestamp now);
// The same, and conflict for one whose bytes come in order: its client alone knows what is where.
[[nodiscard]] OpenUpload lockChunkedUpload(Session& session, UploadId upload, Timestamp now);
// Gives back the quota, drops pins and the reserved file. Under the owner's lock.
void endUpload(Session& session, OwnerRow& owner, const OpenUpload& upload, std::int64_t defaultQuota);
[[nodiscard]] std::vector<OpenUpload> expiredUploads(Session& session, Timestamp now, int limit);

[[nodiscard]] std::optional<Upload> findUpload(Session& session, UploadId upload);
[[nodiscard]] std::optional<Upload> findUploadByKey(Session& session, UserId owner, std::string_view key);
[[nodiscard]] std::optional<Upload> findOpenUploadFor(Session& session, UserId owner, FileId file);
// Fills in how much of it is stored.
void readProgress(Session& session, Upload& upload);
[[nodiscard]] std::vector<Upload> listOpenUploads(Session& session, UserId owner, Timestamp now, int limit);

}  // namespace chunkvault::catalog
