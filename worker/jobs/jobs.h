// From a job to what it does: the one switch. The same in a worker and in the embedded server.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "common/chunk/chunk_buffers.h"
#include "database/catalog/catalog.h"
#include "worker/jobs/repair_chunk.h"
#include "worker/queue/job_queue.h"

namespace chunkvault::worker {

// Thread-safe.
class Jobs {
  public:
    // Called when a store gave a wrong answer, after that was recorded.
    using OnWrongAnswer = std::function<void(const std::string& nodeId, const WrongAnswer&)>;

    // All must outlive this. After stop was requested, long jobs end early by throwing: they are done again later.
    Jobs(catalog::Catalog& catalog, Stores stores, ChunkBuffers& buffers, int replicationFactor, Throttle& repairs,
         Throttle& moves, std::stop_token stop, OnWrongAnswer onWrongAnswer);

    // Does one job. Throws Error when it should be tried again; what is not there any more is done.
    void run(const Job& job);

    [[nodiscard]] std::uint64_t repaired() const { return repaired_; }      // chunks brought back to their copies
    [[nodiscard]] std::uint64_t rebalanced() const { return rebalanced_; }  // chunks that got a copy elsewhere
    [[nodiscard]] std::uint64_t trimmed() const { return trimmed_; }        // copies that were too many
    [[nodiscard]] std::uint64_t removed() const { return removed_; }        // chunks that nothing referred to

  private:
    void wrongAnswer(const WrongAnswer& answer) noexcept;
    void repair(catalog::ChunkRow chunk);
    void remove(catalog::ChunkRow chunk);

    catalog::Catalog& catalog_;
    const Stores stores_;
    ChunkBuffers& buffers_;
    ChunkRepair repair_;
    const std::stop_token stop_;
    const OnWrongAnswer onWrongAnswer_;
    std::atomic<std::uint64_t> repaired_ = 0, rebalanced_ = 0, trimmed_ = 0, removed_ = 0;
};

}  // namespace chunkvault::worker
