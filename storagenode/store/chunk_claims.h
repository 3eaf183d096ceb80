// One writer a chunk: who changes the files of a chunk holds its claim.
#pragma once

#include <condition_variable>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "common/chunk/chunk_id.h"

namespace chunkvault::storagenode {

// Thread-safe.
class ChunkClaims {
  public:
    // Gives its chunks free when destroyed.
    class Claim {
      public:
        Claim(ChunkClaims& claims, std::vector<ChunkId> ids);
        ~Claim();
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;

      private:
        ChunkClaims& claims_;
        std::vector<ChunkId> ids_;
    };

    // Waits until nobody else has any of them. ids are sorted and distinct; a thread holds one Claim at a time. Claims
    // are taken in the order of ids, so that two batches cannot wait for each other.
    [[nodiscard]] Claim claim(std::vector<ChunkId> ids) { return {*this, std::move(ids)}; }

  private:
    std::mutex mutex_;
    std::condition_variable freed_;
    std::unordered_set<ChunkId> taken_;
};

}  // namespace chunkvault::storagenode
