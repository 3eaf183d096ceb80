// What tus says in headers (tus.io, protocol 1.0.0).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/file_name.h"
#include "common/wire/timestamp.h"
#include "database/catalog/uploads.h"

namespace chunkvault::server {

inline constexpr std::string_view tusVersion = "1.0.0";
// Without creation-defer-length: a file's room is reserved before its bytes come.
inline constexpr std::string_view tusExtensions = "creation,creation-with-upload,expiration,termination";

// Upload-Offset and Upload-Length: decimal digits, at most 2^63 - 1.
[[nodiscard]] std::optional<std::int64_t> parseTusNumber(std::string_view text);

// Upload-Metadata: "filename d29ybGQ=,is_confidential". Throws Error badRequest.
[[nodiscard]] std::map<std::string, std::string, std::less<>> parseTusMetadata(std::string_view header);

// Where the file goes and what is said of it, by these keys:
//   filename, or name    required
//   relativePath         "folder/sub/film.mkv": the folders on the way to the file, its last part is passed over
//   folder_id            the folder below which all of that is
//   modified_at          RFC 3339
//   on_conflict          version (default) or keep_both
//   sha256               of the whole, in hex
// Others are kept for HEAD and mean nothing.
struct TusFile {
    FileName name;
    std::vector<FileName> folders;
    std::optional<std::string> folderId;
    std::optional<Timestamp> modifiedAt;
    catalog::OnConflict onConflict;
    std::optional<Sha256Digest> sha256;
};
// Throws badRequest or invalidValue.
[[nodiscard]] TusFile parseTusFile(std::string_view metadataHeader);

}  // namespace chunkvault::server
