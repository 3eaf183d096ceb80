// Reads a content once and checks the hash of the whole, which its client only claimed.
#pragma once

#include "common/chunk/chunk_buffers.h"
#include "database/catalog/chunks.h"
#include "worker/jobs/stores.h"

namespace chunkvault::worker {

// Thread-safe. Records what the hash really is. Throws Error when a chunk cannot be read now, the content is gone,
// or stop was requested.
void verifyContent(catalog::Chunks& chunks, const Stores& stores, ChunkBuffers& buffers, catalog::ContentId content,
                   const std::stop_token& stop = {});

}  // namespace chunkvault::worker
