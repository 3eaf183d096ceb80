// The storage nodes of a cluster as a server uses them.
#pragma once

#include "server/wiring/store_source.h"
#include "storagenode/client/node_directory.h"

namespace chunkvault::server {

class ClusterStores final : public StoreSource {
  public:
    // directory must outlive this.
    explicit ClusterStores(storagenode::NodeDirectory& directory) : directory_(directory) {}

    [[nodiscard]] std::vector<worker::LiveStore> live() const override;
    [[nodiscard]] std::map<std::string, StoreHealth> health() const override;
    bool check() override { return directory_.refresh(); }

  private:
    storagenode::NodeDirectory& directory_;
};

}  // namespace chunkvault::server
