// The map of a storage node's HTTP interface.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/chunk/chunk_buffers.h"
#include "common/http/cluster_door.h"
#include "common/http/router.h"
#include "storagenode/api/store_slot.h"

namespace chunkvault::storagenode {

// Wired in main. All parts outlive the HTTP server and are thread-safe.
struct NodeServices {
    const StoreSlot& slot;
    ChunkBuffers& buffers;
    http::ClusterDoor& door;
    std::string zone;
    std::function<std::string()> metricsText;  // Prometheus text format
};

// services must outlive the routes.
[[nodiscard]] std::vector<http::Route> makeRoutes(NodeServices& services);

}  // namespace chunkvault::storagenode
