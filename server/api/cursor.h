// The opaque next_cursor of lists: the order of the list and the key of its last entry.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "database/catalog/tree.h"

namespace chunkvault::server {

struct Cursor {
    catalog::SortBy sort;
    bool descending;
    catalog::PageKey key;
};

[[nodiscard]] std::string encodeCursor(const Cursor& cursor);
// Throws Error invalidValue for anything that encodeCursor did not make.
[[nodiscard]] Cursor decodeCursor(std::string_view text);

// The cursor of GET /changes.
[[nodiscard]] std::string encodeChangesCursor(const catalog::Revision& revision);
// Throws Error invalidValue for anything that encodeChangesCursor did not make.
[[nodiscard]] catalog::Revision decodeChangesCursor(std::string_view text);

}  // namespace chunkvault::server
