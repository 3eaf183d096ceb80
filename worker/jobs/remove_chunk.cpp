#include "worker/jobs/remove_chunk.h"

#include "common/error/error.h"

namespace chunkvault::worker {

bool removeChunk(catalog::Chunks& chunks, const std::vector<LiveStore>& stores, catalog::ChunkRow chunk) {
    const auto removal = chunks.beginRemove(chunk);
    if (!removal) return false;
    std::vector<catalog::StoreRow> answered;
    std::optional<Error> failure;
    for (const LiveStore& store : stores) {
        // It would hold this thread for its whole timeout. If it may have a copy, the row stays until it has answered.
        if (!store.answers) continue;
        try {
            if (store.store->remove(removal->id, removal->generation)) answered.push_back(store.row);
            else chunks.replicaDoubtful(chunk, store.row);
        } catch (const Error& error) {
            failure = error;
            // It may carry this out later: the row stays until it has answered, as a new life begins at generation 1.
            chunks.replicaDoubtful(chunk, store.row);
        }
    }
    const bool gone = chunks.finishRemove(chunk, removal->generation, answered);
    if (failure) throw Error(*failure);
    return gone;
}

}  // namespace chunkvault::worker
