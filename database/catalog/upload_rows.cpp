#include "database/catalog/upload_rows.h"

#include "common/error/error.h"

namespace chunkvault::catalog {

namespace {

constexpr std::string_view columns =
    "SELECT u.id, u.owner_id, u.upload_key, u.state, u.folder_id, u.name, u.size, u.chunk_size, u.on_conflict, "
    "u.modified_at,"
    " u.file_id, u.version, u.reserved, u.created_at, u.expires_at, o.state, o.password_changed_at,"
    " u.new_version, u.received, u.metadata, u.request_id, u.lease, u.lease_until"
    " FROM uploads u JOIN users o ON o.id = u.owner_id ";

UploadState stateOf(std::string_view text) {
    if (text == "open") return UploadState::open;
    return text == "committed" ? UploadState::committed : UploadState::ended;
}

UserState userStateOf(std::string_view text) {
    if (text == "active") return UserState::active;
    return text == "disabled" ? UserState::disabled : UserState::deleting;
}

OnConflict policyOf(std::string_view text) {
    if (text == "version") return OnConflict::version;
    return text == "keep_both" ? OnConflict::keepBoth : OnConflict::fail;
}

Upload uploadOf(const Row& row) {
    Upload upload{};
    upload.id = row.id<UploadId>(0);
    upload.owner = row.id<UserId>(1);
    upload.key = row.maybeText(2).value_or("");
    upload.state = stateOf(row.text(3));
    upload.folder = static_cast<FileId>(row.maybeInteger(4).value_or(0));
    upload.name = row.maybeText(5).value_or("");
    upload.size = row.maybeInteger(6).value_or(0);
    upload.chunkSize = row.integer(7);
    upload.onConflict = policyOf(row.maybeText(8).value_or("fail"));
    upload.modifiedAt = row.maybeInteger(9).value_or(0);
    upload.file = static_cast<FileId>(row.maybeInteger(10).value_or(0));
    upload.version = row.maybeInteger(11).value_or(0);
    upload.createdAt = row.integer(13);
    upload.expiresAt = row.integer(14);
    upload.received = row.maybeInteger(18);
    upload.metadata = row.text(19);
    if (!row.isNull(20)) upload.request = row.id<ShareId>(20);
    upload.ownerState = userStateOf(row.text(15));
    upload.ownerPasswordChangedAt = row.integer(16);
    return upload;
}

OpenUpload openOf(const Row& row) {
    const Upload upload = uploadOf(row);
    return {.id = upload.id,
            .owner = upload.owner,
            .isIntake = row.isNull(2),
            .state = upload.state,
            .folder = upload.folder,
            .nameText = upload.name,
            .size = upload.size,
            .chunkSize = upload.chunkSize,
            .onConflict = upload.onConflict,
            .modifiedAt = upload.modifiedAt,
            .file = upload.file,
            .version = upload.version,
            .newVersion = row.maybeInteger(17).value_or(0) != 0,
            .reserved = row.integer(12),
            .expiresAt = upload.expiresAt,
            .received = upload.received,
            .request = upload.request,
            .lease = row.integer(21),
            .leaseUntil = row.integer(22),
            .ownerState = upload.ownerState,
            .ownerPasswordChangedAt = upload.ownerPasswordChangedAt};
}

std::optional<OpenUpload> select(Session& session, const std::string& sql, UploadId upload) {
    std::optional<OpenUpload> found;
    session.query(sql, {upload}, [&](const Row& row) { found = openOf(row); });
    return found;
}

}  // namespace

std::optional<OpenUpload> openUploadOf(Session& session, UploadId upload) {
    static const std::string sql = std::string(columns) + "WHERE u.id = $1";
    return select(session, sql, upload);
}

OpenUpload lockOpenUpload(Session& session, UploadId upload, Timestamp now) {
    static const std::string sqlite = std::string(columns) + "WHERE u.id = $1", postgres = sqlite + " FOR UPDATE OF u";
    auto found = select(session, session.isPostgres() ? postgres : sqlite, upload);
    if (!found) throw Error(ErrorCode::notFound, "There is no upload with this id.");
    if (found->state == UploadState::committed)
        throw Error(ErrorCode::conflict, "This upload is committed already and takes no more chunks.");
    if (found->state == UploadState::ended || found->expiresAt <= now)
        throw Error(ErrorCode::uploadExpired, "This upload has ended. Begin it again with POST /uploads.");
    return std::move(*found);
}

OpenUpload lockChunkedUpload(Session& session, UploadId upload, Timestamp now) {
    OpenUpload open = lockOpenUpload(session, upload, now);
    if (open.received)
        throw Error(ErrorCode::conflict, "This upload was begun with tus. Go on at its own address, with PATCH.");
    return open;
}

void endUpload(Session& session, OwnerRow& owner, const OpenUpload& upload, std::int64_t defaultQuota) {
    addReserved(session, owner, -upload.reserved, defaultQuota);
    session.execute("DELETE FROM upload_chunks WHERE upload_id = $1", {upload.id});
    if (!upload.isIntake) {
        session.execute(
            "UPDATE shares SET revoked_at = created_at WHERE file_id = $1 AND revoked_at IS NULL"
            " AND EXISTS (SELECT 1 FROM files WHERE id = $1 AND state = 'reserved')",
            {upload.file});
        session.execute("DELETE FROM files WHERE id = $1 AND state = 'reserved'", {upload.file});
    }
    session.execute("UPDATE uploads SET state = 'ended', reserved = 0 WHERE id = $1", {upload.id});
}

std::vector<OpenUpload> expiredUploads(Session& session, Timestamp now, int limit) {
    static const std::string sql = std::string(columns) + "WHERE u.expires_at <= $1 ORDER BY u.expires_at LIMIT $2";
    std::vector<OpenUpload> uploads;
    session.query(sql, {now, limit}, [&](const Row& row) { uploads.push_back(openOf(row)); });
    return uploads;
}

std::optional<Upload> findUpload(Session& session, UploadId upload) {
    static const std::string sql = std::string(columns) + "WHERE u.id = $1 AND u.upload_key IS NOT NULL";
    std::optional<Upload> found;
    session.query(sql, {upload}, [&](const Row& row) { found = uploadOf(row); });
    return found;
}

std::optional<Upload> findUploadByKey(Session& session, UserId owner, std::string_view key) {
    static const std::string sql = std::string(columns) + "WHERE u.owner_id = $1 AND u.upload_key = $2";
    std::optional<Upload> found;
    session.query(sql, {owner, key}, [&](const Row& row) { found = uploadOf(row); });
    return found;
}

std::optional<Upload> findOpenUploadFor(Session& session, UserId owner, FileId file) {
    static const std::string sql =
        std::string(columns) + "WHERE u.owner_id = $1 AND u.file_id = $2 AND u.state = 'open'";
    std::optional<Upload> found;
    session.query(sql, {owner, file}, [&](const Row& row) { found = uploadOf(row); });
    return found;
}

void readProgress(Session& session, Upload& upload) {
    session.query("SELECT COUNT(*), COALESCE(SUM(length), 0) FROM upload_chunks WHERE upload_id = $1 AND stored = 1",
                  {upload.id}, [&](const Row& row) {
                      upload.chunksStored = row.integer(0);
                      upload.bytesStored = row.integer(1);
                  });
}

std::vector<Upload> listOpenUploads(Session& session, UserId owner, Timestamp now, int limit) {
    static const std::string sql =
        std::string(columns) +
        "WHERE u.owner_id = $1 AND u.state = 'open' AND u.upload_key IS NOT NULL AND u.expires_at > $2"
        " ORDER BY u.id DESC LIMIT $3";
    std::vector<Upload> uploads;
    session.query(sql, {owner, now, limit}, [&](const Row& row) { uploads.push_back(uploadOf(row)); });
    return uploads;
}

}  // namespace chunkvault::catalog
