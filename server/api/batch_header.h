// The header of POST /files/batch: one line of JSON, ended by LF, then the bytes of the files one after another.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/wire/file_name.h"
#include "database/catalog/types.h"

namespace chunkvault::server {

inline constexpr std::size_t maxBatchFiles = 1000;
inline constexpr std::int64_t maxBatchBytes = 32 << 20;  // of the files together
inline constexpr std::size_t maxBatchHeaderBytes = 2 << 20;
inline constexpr std::size_t maxBatchNames = 30'000;  // in the paths of the files together

struct BatchFile {
    std::int64_t size;
    Sha256Digest hash;
    std::optional<Timestamp> modifiedAt;
    catalog::OnConflict onConflict = catalog::OnConflict::version;
    std::vector<FileName> path;    // folders and, last, the name
    std::optional<Error> refused;  // the path is no good: its bytes are read and left
};

struct BatchHeader {
    std::optional<std::string> folderId;
    std::vector<BatchFile> files;
    std::size_t names = 0;  // in their paths
};

// Throws Error badRequest or invalidValue, naming what to change. A bad path refuses only its file.
[[nodiscard]] BatchHeader parseBatchHeader(std::string_view json);

}  // namespace chunkvault::server
