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
    // A store without an address was a folder of a server that this catalog was exported from; its node has not
    // reported.
    std::erase_if(all, [](const catalog::Store& store) {
        return store.state == catalog::StoreState::removed || store.endpoint.empty();
    });
    const std::lock_guard lock(mutex_);
    const bool changed = !std::ranges::equal(all, all_, sameUse);
    all_ = std::move(all);
    std::erase_if(clients_, [&](const auto& known) {
        return std::ranges::none_of(all_, [&](const catalog::Store& store) {
            return store.row == known.first.first && store.endpoint == known.first.second;
        });
    });
    for (const catalog::Store& store : all_) {
        auto& client = clients_[{store.row, store.endpoint}];
        if (client == nullptr) client = makeClient_(store.nodeId, store.endpoint);
    }
    return changed;
}

std::vector<NodeDirectory::Node> NodeDirectory::live() const {
    const std::lock_guard lock(mutex_);
    std::vector<Node> live;
    for (const catalog::Store& store : all_)
        if (isLive(store)) live.push_back({store, clients_.at({store.row, store.endpoint})});
    return live;
}

std::vector<catalog::Store> NodeDirectory::all() const {
    const std::lock_guard lock(mutex_);
    return all_;
}

}  // namespace chunkvault::storagenode
