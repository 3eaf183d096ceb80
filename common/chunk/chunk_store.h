// Where chunks are kept. Every implementation passes tests/storage/chunk_store_conformance.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/chunk/chunk.h"

namespace chunkvault {

// Counts the lives of a chunk: raised by one, in the catalog, when collection decides to remove it and again when it is
// uploaded anew. Starts at 1. A removal carries the generation it was decided at, so that a late one cannot remove what
// was put afterwards.
using Generation = std::int64_t;

struct PutItem {
    Chunk chunk;
    Generation generation;
};

// Thread-safe: every call may come from any thread at once.
// Failures are thrown as Error: storageFull (below the reserve of free space, or ENOSPC), unavailable (the store cannot
// be reached or used now), chunkMissing, chunkCorrupt, internal (any other I/O error).
class ChunkStore {
  public:
    virtual ~ChunkStore() = default;

    // Returns only when the chunk is durable: written to a temporary file, fsynced, renamed, its folder fsynced.
    // A chunk that is there already is read and verified, fsynced with its folder, and replaced if it is bad; its
    // generation becomes the larger of both.
    virtual void put(const Chunk& chunk, Generation generation) = 0;

    // The same for several, sharing the folder syncs. All are durable on return; a throw leaves any subset of them
    // there.
    virtual void putAll(std::span<const PutItem> items) = 0;

    // Reads the chunk into buffer (capacity >= size) and verifies it. size is what the catalog says.
    // Throws chunkMissing, or chunkCorrupt when size or hash differ: no unverified byte leaves a store.
    [[nodiscard]] virtual Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) = 0;

    // Whether a copy is there, by name only.
    [[nodiscard]] virtual bool has(const ChunkId& id) = 0;

    // Moves the copy to the trash, unless its last put was at a higher generation. True when the store no longer
    // offers the chunk (removed now, or not there); false when it was kept because it is newer.
    virtual bool remove(const ChunkId& id, Generation generation) = 0;
};

}  // namespace chunkvault
