// How bytes come in, for every door: pin, put on the stores, record. Thread-safe.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "common/chunk/chunk.h"
#include "database/catalog/chunks.h"
#include "database/catalog/uploads.h"

namespace chunkvault::server {

class ReplicatedChunkStore;

class ChunkIntake {
  public:
    // Both must outlive this. onDegraded is told of a chunk that has its quorum but not all its copies, after the
    // client's request can be answered.
    ChunkIntake(catalog::Uploads& uploads, ReplicatedChunkStore& stores, int replicationFactor,
                std::function<void(catalog::ChunkRow)> onDegraded);

    // One chunk of a resumable upload or of a form: durable on a quorum of stores and recorded when it returns.
    void store(catalog::UploadId upload, std::int64_t index, const Chunk& chunk);

    // Puts chunks that are pinned already; recording them is left to the caller, whose commit takes them along.
    [[nodiscard]] std::vector<catalog::StoredChunk> putAll(std::span<const catalog::PinnedChunk> pinned,
                                                           std::span<const Chunk> chunks);

    // A chunk that an upload has stored, verified, in buffer of at least its size. Throws as ReplicatedChunkStore::get.
    [[nodiscard]] Chunk get(catalog::Chunks& chunks, catalog::ChunkRow row, const ChunkId& id, std::size_t size,
                            ChunkBuffers& buffers, ChunkBuffer buffer);

  private:
    void report(const catalog::StoredChunk& stored) const;

    catalog::Uploads& uploads_;
    ReplicatedChunkStore& stores_;
    const std::size_t replicationFactor_;
    const std::function<void(catalog::ChunkRow)> onDegraded_;
};

}  // namespace chunkvault::server
