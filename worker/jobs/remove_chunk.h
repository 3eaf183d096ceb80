// Collects one chunk that nothing refers to.
#pragma once

#include "database/catalog/chunks.h"
#include "worker/jobs/stores.h"

namespace chunkvault::worker {

// Rechecks under the chunk's lock that nothing refers to it, raises its generation, and moves its copies to the stores'
// trash. True when its row is gone: every store that may hold a copy has answered. False when it is wanted after all,
// collection is held, or a store that may hold a copy is not live or does not answer; a later sweep asks again. Throws
// Error when a live store failed.
bool removeChunk(catalog::Chunks& chunks, const std::vector<LiveStore>& stores, catalog::ChunkRow chunk);

}  // namespace chunkvault::worker
