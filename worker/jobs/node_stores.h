// The storage nodes of a cluster as jobs and sweeps use them.
#pragma once

#include "storagenode/client/node_directory.h"
#include "worker/jobs/stores.h"

namespace chunkvault::worker {

[[nodiscard]] std::vector<LiveStore> liveStoresOf(const storagenode::NodeDirectory& directory);

}  // namespace chunkvault::worker
