// The stores that jobs and sweeps work on: the live ones, each with what it takes to look after it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/chunk/maintained_store.h"
#include "database/catalog/types.h"

namespace chunkvault::worker {

struct LiveStore {
    catalog::StoreRow row;
    std::shared_ptr<MaintainedStore> store;
    std::string zone;
    std::int64_t capacityBytes;
    bool acceptsNewChunks;
};

// As they are now. Thread-safe.
using Stores = std::function<std::vector<LiveStore>()>;

}  // namespace chunkvault::worker
