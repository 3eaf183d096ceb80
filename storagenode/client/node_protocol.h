// What a storage node and those who ask it agree on, besides paths: limits, and the bodies that are not plain bytes of
// one chunk. All requests but /health and /metrics are signed (common/wire/signature.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/chunk/maintained_store.h"
#include "common/wire/json.h"

namespace chunkvault::storagenode {

inline constexpr std::size_t maxChunkBytes = 100 << 20;
inline constexpr std::size_t maxBatchChunks = 64;
inline constexpr std::size_t maxBatchBytes = 8 << 20;  // of the chunks together

// "true" or "false", in the answer to HEAD /chunks/{id}.
inline constexpr std::string_view presentHeaderName = "X-ChunkVault-Present";

// The body of POST /chunks/batch: the number of chunks in 4 bytes; for each its hash in 32, its generation in 8 and its
// size in 8; then the bytes of the chunks. Numbers are big-endian.
struct BatchEntry {
    ChunkId id;
    Generation generation;
    std::uint64_t size;
};
inline constexpr std::size_t batchCountBytes = 4;
inline constexpr std::size_t batchEntryBytes = ChunkId::bytes + 8 + 8;

[[nodiscard]] std::string encodeBatchHead(std::span<const BatchEntry> entries);
// Of the first batchCountBytes. Throws Error badRequest unless it is from 1 to maxBatchChunks.
[[nodiscard]] std::size_t parseBatchCount(std::string_view bytes);
// Of the entries' bytes. Throws Error badRequest for a generation below 1, and for more than maxBatchBytes together.
[[nodiscard]] std::vector<BatchEntry> parseBatchEntries(std::string_view bytes);

struct NodeStats {
    std::string nodeId;
    std::string storeId;
    std::string vaultId;
    std::string zone;
    std::int64_t capacityBytes = 0;
    std::int64_t freeBytes = 0;  // above the reserve
    std::int64_t catalogSeq = 0;
};

// parse functions throw Error badRequest or invalidValue.
[[nodiscard]] wire::Json encode(const NodeStats& stats);
[[nodiscard]] NodeStats parseStats(std::string_view json);
// One page of GET /chunks.
[[nodiscard]] wire::Json encode(const KeptPage& page);
[[nodiscard]] KeptPage parseKeptPage(std::string_view json);
[[nodiscard]] std::string_view textOf(CopyState state) noexcept;
[[nodiscard]] CopyState parseCopyState(std::string_view text);

}  // namespace chunkvault::storagenode
