#include "worker/jobs/node_stores.h"

namespace chunkvault::worker {

std::vector<LiveStore> liveStoresOf(const storagenode::NodeDirectory& directory) {
    std::vector<LiveStore> live;
    for (const auto& [store, client] : directory.live()) {
        const bool up = store.state == catalog::StoreState::up;
        live.push_back({.row = store.row,
                        .store = client,
                        .zone = store.zone,
                        .capacityBytes = store.capacityBytes,
                        .acceptsNewChunks = up && store.freeBytes > 0,
                        .answers = store.state != catalog::StoreState::suspect,
                        .stays = !store.drain});
    }
    return live;
}

}  // namespace chunkvault::worker
