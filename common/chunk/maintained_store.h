// A chunk store as the workers that look after it see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/chunk/chunk_store.h"
#include "common/wire/timestamp.h"

namespace chunkvault {

enum class CopyState { good, bad, missing };

struct KeptChunk {
    ChunkId id;
    Generation generation;
    std::uint64_t sizeBytes;
    Timestamp putAt;  // the last put, by the store's own clock: nobody else's can be compared with it
};

struct KeptPage {
    std::vector<KeptChunk> chunks;  // by id
    bool more = false;              // behind the last of them
};
inline constexpr std::size_t maxKeptPage = 5000;  // chunks

struct FileTotals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
};

struct PurgedTrash {
    FileTotals purged;
    bool more = false;  // behind those that were looked at
};
inline constexpr std::size_t maxPurgedFiles = 1000;  // looked at in one call

// Thread-safe; throws as ChunkStore.
class MaintainedStore : public ChunkStore {
  public:
    // Moves a copy that the catalog does not know to the trash, if it is the one that was listed: kept (false) when its
    // generation or the time of its last put is another, so that an upload that began since does not lose it.
    virtual bool removeOrphan(const KeptChunk& listed) = 0;

    // Reads the copy from the disk and compares length and hash, without holding it in memory. What cannot be read is
    // bad, though it may be good again later.
    [[nodiscard]] virtual CopyState check(const ChunkId& id, std::uint64_t size) = 0;

    // Moves a copy to the trash if it was read to its end and its hash is wrong. True when it was moved. Throws, and
    // leaves it where it is, when it cannot be read. For who has just verified another copy of the chunk.
    virtual bool moveAside(const ChunkId& id) = 0;

    // Of the chunks whose ids begin with this byte, are behind after, and were last put at least minAgeUs ago, the
    // first limit (at most maxKeptPage).
    [[nodiscard]] virtual KeptPage list(std::uint8_t firstByte, std::int64_t minAgeUs,
                                        const std::optional<ChunkId>& after, std::size_t limit) = 0;

    // Deletes what came to the trash at least minAgeUs ago, for good, among the next limit files there (at most
    // maxPurgedFiles). Goes on where the call before has stopped, whoever made it, and after the last from the
    // beginning.
    virtual PurgedTrash purgeTrash(std::int64_t minAgeUs, std::size_t limit) = 0;
};

}  // namespace chunkvault
