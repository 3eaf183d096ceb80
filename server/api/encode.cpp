#include "server/api/encode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "common/wire/error_table.h"
#include "database/catalog/changes.h"
#include "server/api/call.h"
#include "server/storage/node_advice.h"

namespace chunkvault::server {

using catalog::Entry;
using wire::Json;

std::string_view mimeType(std::string_view filename) {
    // Sorted by extension. The types are IANA's.
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 58> types{{
        {"7z", "application/x-7z-compressed"},
        {"aac", "audio/aac"},
        {"avi", "video/x-msvideo"},
        {"avif", "image/avif"},
        {"bmp", "image/bmp"},
        {"bz2", "application/x-bzip2"},
        {"c", "text/plain"},
        {"cpp", "text/plain"},
        {"css", "text/css"},
        {"csv", "text/csv"},
        {"doc", "application/msword"},
        {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
        {"eml", "message/rfc822"},
        {"epub", "application/epub+zip"},
        {"flac", "audio/flac"},
        {"gif", "image/gif"},
        {"gz", "application/gzip"},
        {"h", "text/plain"},
        {"heic", "image/heic"},
        {"htm", "text/html"},
        {"html", "text/html"},
        {"ico", "image/vnd.microsoft.icon"},
        {"ics", "text/calendar"},
        {"iso", "application/x-iso9660-image"},
        {"jpeg", "image/jpeg"},
        {"jpg", "image/jpeg"},
        {"js", "text/javascript"},
        {"json", "application/json"},
        {"log", "text/plain"},
        {"m4a", "audio/mp4"},
        {"md", "text/markdown"},
        {"mkv", "video/x-matroska"},
        {"mov", "video/quicktime"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
        {"odp", "application/vnd.oasis.opendocument.presentation"},
        {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
        {"odt", "application/vnd.oasis.opendocument.text"},
        {"ogg", "audio/ogg"},
        {"opus", "audio/ogg"},
        {"pdf", "application/pdf"},
        {"png", "image/png"},
        {"ppt", "application/vnd.ms-powerpoint"},
        {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
        {"py", "text/plain"},
        {"rtf", "application/rtf"},
        {"svg", "image/svg+xml"},
        {"tar", "application/x-tar"},
        {"tif", "image/tiff"},
        {"tiff", "image/tiff"},
        {"txt", "text/plain"},
        {"wav", "audio/wav"},
        {"webm", "video/webm"},
        {"webp", "image/webp"},
        {"xls", "application/vnd.ms-excel"},
        {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
        {"xml", "application/xml"},
        {"zip", "application/zip"},
    }};
    const auto dot = filename.rfind('.');
    if (dot != std::string_view::npos && filename.size() - dot <= 8) {
        std::string extension(filename.substr(dot + 1));
        for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        const auto found = std::lower_bound(types.begin(), types.end(), extension,
                                            [](const auto& row, const std::string& key) { return row.first < key; });
        if (found != types.end() && found->first == extension) return found->second;
    }
    return "application/octet-stream";
}

Json committedJson(const catalog::CommittedFile& file) {
    const Entry& entry = file.entry;
    return {{"file_id", wireId(entry.id)},
            {"filename", entry.name},
            {"folder_id", entry.folder ? Json(wireId(*entry.folder)) : Json(nullptr)},
            {"size", entry.size},
            {"chunk_count", entry.chunkCount},
            {"sha256", entry.sha256 ? Json(entry.sha256->toHex()) : Json(nullptr)},
            {"sha256_verified", entry.sha256Verified},
            {"root", entry.root.toHex()},
            {"version", entry.version},
            {"new_version", file.newVersion},
            {"status", "completed"}};
}

Json errorJson(const Error& error) {
    const wire::ErrorRow row = wire::errorRow(error.code());
    return {{"type", "urn:chunkvault:error:" + std::string(row.name)},
            {"status", row.status},
            {"detail", error.publicMessage()}};
}

Json numberOrNull(std::optional<std::int64_t> number) { return number ? Json(*number) : Json(nullptr); }

Json timeOrNull(std::optional<Timestamp> time) { return time ? Json(toRfc3339(*time)) : Json(nullptr); }

Json toJson(const Entry& entry) {
    const bool isFile = entry.kind == catalog::Kind::file;
    Json json = {{"id", wireId(entry.id)},
                 {"kind", isFile ? "file" : "folder"},
                 {"filename", entry.name},
                 {"folder_id", entry.folder ? Json(wireId(*entry.folder)) : Json(nullptr)}};
    if (isFile) {
        json["size"] = entry.size;
        json["mime_type"] = mimeType(entry.name);
        json["version"] = entry.version;
        json["status"] = entry.state == catalog::EntryState::reserved ? "uploading" : "completed";
        json["sha256"] = entry.sha256 ? Json(entry.sha256->toHex()) : Json(nullptr);
        json["sha256_verified"] = entry.sha256Verified;
        json["root"] = entry.content ? Json(entry.root.toHex()) : Json(nullptr);
        json["chunk_count"] = entry.chunkCount;
    }
    json["modified_at"] = toRfc3339(entry.modifiedAt);
    json["created_at"] = toRfc3339(entry.createdAt);
    json["updated_at"] = toRfc3339(entry.updatedAt);
    if (entry.trashedAt) json["trashed_at"] = toRfc3339(*entry.trashedAt);
    if (!entry.path.empty()) json["path"] = entry.path;
    return json;
}

Json toJson(const catalog::ChangeItem& item) {
    Json json = {{"change", catalog::textOf(item.kind)}, {"at", toRfc3339(item.at)}};
    if (item.entry) json["id"] = wireId(*item.entry);
    if (item.folder) json["folder_id"] = wireId(*item.folder);
    if (item.share) json["share_id"] = wireId(*item.share);
    if (item.kind == catalog::ChangeKind::shareDownloaded) json["count"] = item.count;
    if (item.entry) json["entry"] = item.now ? toJson(*item.now) : Json(nullptr);
    return json;
}

Json toJson(const catalog::Version& version) {
    return {{"version", version.number},
            {"size", version.size},
            {"sha256", version.sha256 ? Json(version.sha256->toHex()) : Json(nullptr)},
            {"sha256_verified", version.sha256Verified},
            {"root", version.root.toHex()},
            {"chunk_count", version.chunkCount},
            {"modified_at", toRfc3339(version.modifiedAt)},
            {"created_at", toRfc3339(version.createdAt)}};
}

Json toJson(const catalog::User& user, std::int64_t defaultQuota) {
    const std::int64_t quota = user.quota.value_or(defaultQuota);
    const char* state = user.state == catalog::UserState::active     ? "active"
                        : user.state == catalog::UserState::disabled ? "disabled"
                                                                     : "deleting";
    return {{"user_id", wireId(user.id)},
            {"username", user.username},
            {"email", user.email},
            {"role", user.role == catalog::Role::admin ? "admin" : "user"},
            {"state", state},
            {"must_change_password", user.mustChangePassword},
            {"root_folder_id", wireId(user.root)},
            {"used", user.used},
            {"reserved", user.reserved},
            {"quota", quota == 0 ? Json(nullptr) : Json(quota)},
            {"created_at", toRfc3339(user.createdAt)},
            {"last_login_at", timeOrNull(user.lastLoginAt)}};
}

Json toJson(const catalog::LoginSession& session, bool current) {
    return {{"session_id", wireId(session.id)},
            {"address", session.address},
            {"user_agent", session.userAgent},
            {"current", current},
            {"created_at", toRfc3339(session.createdAt)},
            {"last_used_at", toRfc3339(session.lastUsedAt)},
            {"expires_at", toRfc3339(session.expiresAt)}};
}

Json toJson(const catalog::ApiToken& token) {
    return {{"token_id", wireId(token.id)},
            {"name", token.name},
            {"read_only", token.readOnly},
            {"created_at", toRfc3339(token.createdAt)},
            {"expires_at", timeOrNull(token.expiresAt)},
            {"last_used_at", timeOrNull(token.lastUsedAt)}};
}

Json toJson(const catalog::Upload& upload) {
    const char* state = upload.state == catalog::UploadState::open        ? "open"
                        : upload.state == catalog::UploadState::committed ? "committed"
                                                                          : "ended";
    return {{"upload_id", wireId(upload.id)},
            {"key", upload.key},
            {"status", state},
            {"folder_id", wireId(upload.folder)},
            {"filename", upload.name},
            {"size", upload.size},
            {"chunk_size", upload.chunkSize},
            {"file_id", wireId(upload.file)},
            {"chunks_stored", upload.chunksStored},
            {"bytes_stored", upload.bytesStored},
            {"created_at", toRfc3339(upload.createdAt)},
            {"expires_at", toRfc3339(upload.expiresAt)}};
}

std::string_view stateName(catalog::StoreState state) {
    switch (state) {
        case catalog::StoreState::joining: return "joining";
        case catalog::StoreState::up: return "up";
        case catalog::StoreState::suspect: return "suspect";
        case catalog::StoreState::down: return "down";
        case catalog::StoreState::draining: return "draining";
        case catalog::StoreState::drained: return "drained";
        case catalog::StoreState::removed: break;
    }
    return "removed";
}

std::string problemOf(const catalog::Store& node, Timestamp now) {
    if (!node.problem.empty() || !catalog::isFaulty(node, now)) return node.problem;
    return "It gave something else than the copy that it finds good itself, last at " + toRfc3339(*node.wrongAnswerAt) +
           ". Look at its memory, its disk and the network, or drain it.";
}

Json toJson(const catalog::Store& node, Timestamp now) {
    Json json = {{"node_id", node.nodeId},
                 {"zone", node.zone},
                 {"url", node.endpoint},
                 {"state", stateName(node.state)},
                 {"state_since", toRfc3339(node.stateSince)},
                 {"problem", problemOf(node, now)},
                 {"capacity", node.capacityBytes},
                 {"free", node.freeBytes},
                 {"replicas", node.replicas},
                 {"last_seen_at", toRfc3339(node.lastSeenAt)},
                 {"drain", nullptr}};
    if (node.drain)
        json["drain"] = {{"started_at", timeOrNull(node.drainStartedAt)},
                         {"copies_at_start", node.drainReplicas},
                         {"copies_left", node.replicas},
                         {"expected_at", timeOrNull(drainedAt(node, now))}};
    return json;
}

}  // namespace chunkvault::server
