#include "worker/jobs/remove_chunk.h"

#include "common/error/error.h"

namespace chunkvault::worker {

bool removeChunk(catalog::Chunks& chunks, const std::vector<LiveStore>& stores, catalog::ChunkRow chunk) {
    const auto removal = chunks.beginRemove(chunk);
    if (!removal) return false;
    // Its row may go only when no store can still carry out this removal later: a new life begins at generation 1.
    bool everywhere = removal->elsewhere == 0;
    std::optional<Error> failure;
    for (const LiveStore& store : stores) {
        // It would hold this thread for its whole timeout. The row stays until it has answered.
        if (!store.answers) {
            everywhere = false;
            continue;
        }
        try {
            everywhere = store.store->remove(removal->id, removal->generation) && everywhere;
        } catch (const Error& error) {
            failure = error;
        }
    }
    if (failure) throw Error(*failure);
    return everywhere && chunks.finishRemove(chunk, removal->generation);
}

}  // namespace chunkvault::worker
