#include "storagenode/client/node_directory.h"

#include <algorithm>

namespace chunkvault::storagenode {

namespace {

bool isLive(const catalog::Store& store) {
    return store.state == catalog::StoreState::up || store.state == catalog::StoreState::suspect ||
           store.state == catalog::StoreState::draining;
}

// What decides how a node is used.
bool sameUse(const catalog::Store& a, const catalog::Store& b) {
    return a.row == b.row && a.state == b.state && a.endpoint == b.endpoint && a.zone == b.zone && a.uuid == b.uuid &&
           a.capacityBytes == b.capacityBytes && (a.freeBytes > 0) == (b.freeBytes > 0);
}

}  // namespace

bool NodeDirectory::refresh() {
    auto all = chunks_.stores(false);
    std::erase_if(all, [](const catalog::Store& store) { return store.state == catalog::StoreState::removed; });
    const std::lock_guard lock(mutex_);
    const bool changed = !std::ranges::equal(all, all_, sameUse);
    all_ = std::move(all);
    std::erase_if(clients_, [&](const auto& known) {
        return std::ranges::none_of(all_, [&](const catalog::Store& store) {
            return store.row == known.first.first && store.endpoint == known.first.second;
        });
    });
    for (const catalog::Store& store : all_) {
        const auto [client, isNew] = clients_.try_emplace({store.row, store.endpoint});
        // A store without an address was a folder of the server that this catalog was exported from: its node has not
        // reported.
        if (!isNew || store.endpoint.empty()) continue;
        try {
            client->second = makeClient_(store.nodeId, store.endpoint);
        } catch (const Error& error) {
            onBadNode_(store, error);
        }
    }
    return changed;
}

std::vector<NodeDirectory::Node> NodeDirectory::live() const {
    const std::lock_guard lock(mutex_);
    std::vector<Node> live;
    for (const catalog::Store& store : all_) {
        if (!isLive(store)) continue;
        const auto& client = clients_.at({store.row, store.endpoint});
        if (client != nullptr) live.push_back({store, client});
    }
    return live;
}

std::vector<catalog::Store> NodeDirectory::all() const {
    const std::lock_guard lock(mutex_);
    return all_;
}

}  // namespace chunkvault::storagenode
