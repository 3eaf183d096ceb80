#include "server/storage/chunk_intake.h"

#include <cassert>

#include "server/storage/replicated_chunk_store.h"

namespace chunkvault::server {

ChunkIntake::ChunkIntake(catalog::Uploads& uploads, ReplicatedChunkStore& stores, int replicationFactor,
                         std::function<void(catalog::ChunkRow)> onDegraded)
    : uploads_(uploads),
      stores_(stores),
      replicationFactor_(static_cast<std::size_t>(replicationFactor)),
      onDegraded_(std::move(onDegraded)) {}

void ChunkIntake::store(catalog::UploadId upload, std::int64_t index, const Chunk& chunk) {
    const auto pinned = uploads_.pin(upload, {index, static_cast<std::int64_t>(chunk.size()), chunk.id()});
    const catalog::StoredChunk stored{index, pinned.row, pinned.generation, stores_.put(chunk, pinned.generation)};
    uploads_.stored(upload, stored);
    report(stored);
}

std::vector<catalog::StoredChunk> ChunkIntake::putAll(std::span<const catalog::PinnedChunk> pinned,
                                                      std::span<const Chunk> chunks) {
    assert(pinned.size() == chunks.size());
    std::vector<PutItem> items;
    items.reserve(chunks.size());
    for (std::size_t i = 0; i < chunks.size(); ++i) items.push_back({chunks[i], pinned[i].generation});
    auto stores = stores_.putAll(items);
    std::vector<catalog::StoredChunk> stored;
    stored.reserve(chunks.size());
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        stored.push_back({pinned[i].index, pinned[i].row, pinned[i].generation, std::move(stores[i])});
        report(stored.back());
    }
    return stored;
}

Chunk ChunkIntake::get(catalog::Chunks& chunks, catalog::ChunkRow row, const ChunkId& id, std::size_t size,
                       ChunkBuffers& buffers, ChunkBuffer buffer) {
    const auto audit = chunks.audit(row);
    if (!audit) throw Error(ErrorCode::chunkMissing, "Part of the upload cannot be read.", "a pinned chunk has no row");
    return stores_.get(id, size, audit->good, buffers, std::move(buffer), audit->bad);
}

void ChunkIntake::report(const catalog::StoredChunk& stored) const {
    if (stored.stores.size() < replicationFactor_) onDegraded_(stored.row);
}

}  // namespace chunkvault::server
