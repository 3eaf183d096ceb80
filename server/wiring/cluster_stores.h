// The storage nodes of a cluster as a server uses them.
#pragma once

#include "database/catalog/nodes.h"
#include "server/wiring/store_source.h"
#include "storagenode/client/node_directory.h"

namespace chunkvault::server {

class ClusterStores final : public StoreSource {
  public:
    // nodes and directory must outlive this.
    ClusterStores(catalog::Nodes& nodes, const catalog::NodeTimes& times, storagenode::NodeDirectory& directory)
        : nodes_(nodes), times_(times), directory_(directory) {}

    [[nodiscard]] std::vector<worker::LiveStore> live() const override;
    [[nodiscard]] std::map<std::string, StoreHealth> health() const override;
    [[nodiscard]] std::string nodeIdOf(catalog::StoreRow store) const override;
    // Also judges which nodes have fallen silent: what is said of them must not depend on a worker that is alive.
    bool check() override;

  private:
    catalog::Nodes& nodes_;
    const catalog::NodeTimes times_;
    storagenode::NodeDirectory& directory_;
};

}  // namespace chunkvault::server
