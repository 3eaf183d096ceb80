#include "storagenode/store/chunk_claims.h"

#include <utility>

namespace chunkvault::storagenode {

ChunkClaims::Claim::Claim(ChunkClaims& claims, std::vector<ChunkId> ids) : claims_(claims), ids_(std::move(ids)) {
    std::unique_lock lock(claims_.mutex_);
    for (const ChunkId& id : ids_) claims_.freed_.wait(lock, [&] { return claims_.taken_.insert(id).second; });
}

ChunkClaims::Claim::~Claim() {
    {
        const std::lock_guard lock(claims_.mutex_);
        for (const ChunkId& id : ids_) claims_.taken_.erase(id);
    }
    claims_.freed_.notify_all();
}

}  // namespace chunkvault::storagenode
