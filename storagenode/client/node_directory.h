// The storage nodes of the cluster as the catalog knows them, each with the client to reach it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "database/catalog/chunks.h"
#include "storagenode/client/node_client.h"

namespace chunkvault::storagenode {

// Thread-safe.
class NodeDirectory {
  public:
    struct Node {
        catalog::Store store;
        std::shared_ptr<NodeClient> client;
    };
    using MakeClient = std::function<std::shared_ptr<NodeClient>(const std::string& nodeId, const std::string& url)>;

    // Told once of a node whose client cannot be made: nobody can reach it where it says it is.
    using OnBadNode = std::function<void(const catalog::Store& node, const Error& why)>;

    // chunks must outlive this. Knows no node before the first refresh.
    NodeDirectory(catalog::Chunks& chunks, MakeClient makeClient, OnBadNode onBadNode)
        : chunks_(chunks), makeClient_(std::move(makeClient)), onBadNode_(std::move(onBadNode)) {}

    // Reads the catalog. True when a node came or went, or its state, place or room is another. Clients of nodes that
    // stay are kept, with their connections. Throws Error unavailable; what was known stays then.
    bool refresh();

    // Those whose copies count, up, suspect and draining, but for those without a client.
    [[nodiscard]] std::vector<Node> live() const;
    // All but the removed ones.
    [[nodiscard]] std::vector<catalog::Store> all() const;

  private:
    catalog::Chunks& chunks_;
    const MakeClient makeClient_;
    const OnBadNode onBadNode_;
    mutable std::mutex mutex_;
    std::vector<catalog::Store> all_;
    std::map<std::pair<catalog::StoreRow, std::string>, std::shared_ptr<NodeClient>>
        clients_;  // by row and URL; nullptr:
                   // it cannot be made
};

}  // namespace chunkvault::storagenode
