#include "server/wiring/cluster_stores.h"

#include "server/api/encode.h"
#include "worker/jobs/node_stores.h"

namespace chunkvault::server {

std::vector<worker::LiveStore> ClusterStores::live() const { return worker::liveStoresOf(directory_); }

bool ClusterStores::check() {
    (void)nodes_.age(times_);
    return directory_.refresh();
}

std::map<std::string, StoreHealth> ClusterStores::health() const {
    std::map<std::string, StoreHealth> health;
    for (const catalog::Store& node : directory_.all()) {
        const bool serving = node.state == catalog::StoreState::up;
        health[node.nodeId] = {!serving                               ? std::string(stateName(node.state))
                               : node.freeBytes <= 0                  ? "full"
                               : catalog::isFaulty(node, systemNow()) ? "faulty"
                                                                      : "ok",
                               node.problem};
    }
    return health;
}

std::string ClusterStores::nodeIdOf(catalog::StoreRow store) const {
    for (const catalog::Store& node : directory_.all())
        if (node.row == store) return node.nodeId;
    return {};
}

}  // namespace chunkvault::server
