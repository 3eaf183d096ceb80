// The store that a node serves, while it has one that can be used.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "storagenode/store/disk_chunk_store.h"

namespace chunkvault::storagenode {

// Thread-safe.
class StoreSlot {
  public:
    // Throws Error unavailable while there is a problem. The store lives as long as the pointer.
    [[nodiscard]] std::shared_ptr<DiskChunkStore> use() const;
    // The store whatever the problem is, to say which one it is; nullptr when there is none.
    [[nodiscard]] std::shared_ptr<DiskChunkStore> known() const;
    // Empty: the store can be used.
    [[nodiscard]] std::string problem() const;

    // A store with no problem, or the problem that there is: for the log and other programs of the cluster.
    void set(std::shared_ptr<DiskChunkStore> store, std::string problem);

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<DiskChunkStore> store_;
    std::string problem_ = "the store has not been opened yet";
};

}  // namespace chunkvault::storagenode
