// The chunks of an upload, many in a few statements, inside a transaction. Rows that other uploads may want at the same
// time are always taken in one order. Private to database/catalog.
#pragma once

#include <span>
#include <vector>

#include "database/catalog/session.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {

// In the order of chunks, whose indexes are all different. Throws checksumMismatch when a chunk of that hash has
// another length.
[[nodiscard]] std::vector<PinnedChunk> pinChunks(Session& session, UploadId upload,
                                                 std::span<const DeclaredChunk> chunks, Timestamp now);

// Replica rows, and the chunks are stored. One that was collected meanwhile, because its index was pinned with another
// one, has a later generation or no row: nothing is recorded then, as of a copy on a disk that was replaced meanwhile.
void recordStored(Session& session, UploadId upload, std::span<const StoredChunk> chunks, Timestamp now);

// Pins as stored those chunks that are one of owner's or stored in this upload, with writeQuorum copies on live stores.
// The indexes of the others, in the order of chunks.
[[nodiscard]] std::vector<std::int64_t> pinPresent(Session& session, UploadId upload, UserId owner,
                                                   std::span<const DeclaredChunk> chunks, int writeQuorum);

}  // namespace chunkvault::catalog
