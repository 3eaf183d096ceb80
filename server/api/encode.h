// Catalog rows as the JSON of the API. The schemas are in openapi_schemas.json.
#pragma once

#include <string_view>

#include "common/error/error.h"
#include "common/wire/json.h"
#include "database/catalog/types.h"
#include "database/catalog/uploads.h"

namespace chunkvault::server {

// The media type (RFC 6838) that goes with a file name's extension; application/octet-stream when unknown.
[[nodiscard]] std::string_view mimeType(std::string_view filename);

[[nodiscard]] wire::Json toJson(const catalog::Entry& entry);
[[nodiscard]] wire::Json toJson(const catalog::ChangeItem& item);
[[nodiscard]] wire::Json toJson(const catalog::Version& version);
[[nodiscard]] wire::Json toJson(const catalog::User& user, std::int64_t defaultQuota);
[[nodiscard]] wire::Json toJson(const catalog::LoginSession& session, bool current);
[[nodiscard]] wire::Json toJson(const catalog::ApiToken& token);
[[nodiscard]] wire::Json toJson(const catalog::Upload& upload);
[[nodiscard]] wire::Json toJson(const catalog::Store& node, Timestamp now);

// What every door answers when a file is there: {file_id, filename, size, chunk_count, sha256, root, status, ...}.
[[nodiscard]] wire::Json committedJson(const catalog::CommittedFile& file);
// One part's failure inside an answer: {type, status, detail}, as in a problem document.
[[nodiscard]] wire::Json errorJson(const Error& error);
[[nodiscard]] wire::Json numberOrNull(std::optional<std::int64_t> number);
[[nodiscard]] wire::Json timeOrNull(std::optional<Timestamp> time);
[[nodiscard]] std::string_view stateName(catalog::StoreState state);

}  // namespace chunkvault::server
