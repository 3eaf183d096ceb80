// A chunk store as the workers that look after it see it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/chunk/chunk_store.h"
#include "common/wire/timestamp.h"

namespace chunkvault {

enum class CopyState { good, bad, missing };

struct KeptChunk {
    ChunkId id;
    Generation generation;
    std::uint64_t sizeBytes;
    Timestamp putAt;  // the last put
};

struct FileTotals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
};

// Thread-safe; throws as ChunkStore.
class MaintainedStore : public ChunkStore {
  public:
    // As remove, for a chunk that the catalog does not know: kept also (false) when it was put at or after putBefore,
    // so that an upload that began since it was listed does not lose it.
    virtual bool removeOrphan(const ChunkId& id, Generation generation, Timestamp putBefore) = 0;

    // Reads the copy from the disk and compares length and hash, without holding it in memory. What cannot be read is
    // bad.
    [[nodiscard]] virtual CopyState check(const ChunkId& id, std::uint64_t size) = 0;

    // Moves a copy to the trash if its hash is wrong or it cannot be read. True when it was moved.
    virtual bool moveAside(const ChunkId& id) = 0;

    // The chunks whose ids begin with this byte and that were last put before putBefore, by id.
    [[nodiscard]] virtual std::vector<KeptChunk> list(std::uint8_t firstByte, Timestamp putBefore) = 0;

    // Deletes what came to the trash before removedBefore, for good. Gives what was deleted.
    virtual FileTotals purgeTrash(Timestamp removedBefore) = 0;
};

}  // namespace chunkvault
