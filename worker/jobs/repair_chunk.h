// Brings a chunk to its number of good copies.
#pragma once

#include "common/chunk/chunk_buffers.h"
#include "database/catalog/chunks.h"
#include "worker/jobs/stores.h"

namespace chunkvault::worker {

enum class RepairOutcome {
    nothingToDo,
    repaired,
    noSource,  // no live store has a good copy
    noTarget,  // no other store has room
};

// Thread-safe. Idempotent. Throws Error when a store failed in a way that trying again may help.
class ChunkRepair {
  public:
    ChunkRepair(catalog::Chunks& chunks, Stores stores, ChunkBuffers& buffers, int replicationFactor);

    // At each copy: read it verified from a good store, put it on the next store by placement, record it. A source that
    // turns out bad is recorded and set aside.
    RepairOutcome run(catalog::ChunkRow chunk);

  private:
    [[nodiscard]] std::optional<Chunk> readGood(catalog::ChunkAudit& audit, const std::vector<LiveStore>& stores);

    catalog::Chunks& chunks_;
    Stores stores_;
    ChunkBuffers& buffers_;
    const std::size_t replicationFactor_;
};

}  // namespace chunkvault::worker
