// Work that is done soon, apart from any request. Jobs carry ids, never bytes; each may run twice or be lost: the
// sweeps post again what is still true.
#pragma once

#include <compare>
#include <cstdint>

namespace chunkvault::worker {

enum class JobKind {
    repairChunk,    // id: catalog::ChunkRow; bring it to its number of good copies
    verifyContent,  // id: catalog::ContentId; read it once and check the hash of the whole
};

struct Job {
    JobKind kind;
    std::int64_t id;
    friend auto operator<=>(const Job&, const Job&) = default;
};

// Thread-safe.
class JobQueue {
  public:
    virtual ~JobQueue() = default;
    // Never blocks for long and never throws: a job that cannot be kept is one that a sweep posts again.
    virtual void post(const Job& job) noexcept = 0;
};

}  // namespace chunkvault::worker
