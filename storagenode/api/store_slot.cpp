#include "storagenode/api/store_slot.h"

#include <utility>

#include "common/error/error.h"

namespace chunkvault::storagenode {

std::shared_ptr<DiskChunkStore> StoreSlot::use() const {
    const std::lock_guard lock(mutex_);
    if (problem_.empty()) return store_;
    throw Error(ErrorCode::unavailable, "The store of this node cannot be used now: " + problem_ + '.').retryAfter(5);
}

std::shared_ptr<DiskChunkStore> StoreSlot::known() const {
    const std::lock_guard lock(mutex_);
    return store_;
}

std::string StoreSlot::problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
}

void StoreSlot::set(std::shared_ptr<DiskChunkStore> store, std::string problem) {
    const std::lock_guard lock(mutex_);
    std::swap(store_, store);  // the old one ends after the lock
    problem_ = std::move(problem);
}

}  // namespace chunkvault::storagenode
