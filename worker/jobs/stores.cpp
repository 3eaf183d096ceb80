#include "worker/jobs/stores.h"

#include <algorithm>

#include "common/chunk/placement.h"
#include "worker/queue/job_queue.h"

namespace chunkvault::worker {

const LiveStore* storeOf(const std::vector<LiveStore>& stores, catalog::StoreRow row) {
    const auto found = std::ranges::find(stores, row, &LiveStore::row);
    return found == stores.end() ? nullptr : &*found;
}

std::vector<const LiveStore*> placementOf(const ChunkId& chunk, const std::vector<LiveStore>& stores) {
    return homesOf(chunk, {}, stores);
}

std::vector<const LiveStore*> homesOf(const ChunkId& chunk, const std::vector<catalog::StoreRow>& good,
                                      const std::vector<LiveStore>& stores) {
    std::vector<PlacementCandidate> candidates;
    std::vector<const LiveStore*> homes;
    for (const LiveStore& store : stores) {
        const bool keeps = store.stays && std::ranges::find(good, store.row) != good.end();
        if (!store.acceptsNewChunks && !keeps) continue;
        candidates.push_back({catalog::valueOf(store.row), store.zone,
                              static_cast<double>(std::max<std::int64_t>(store.capacityBytes, 1))});
        homes.push_back(&store);
    }
    std::vector<const LiveStore*> order;
    for (const std::size_t choice : placementOrder(chunk, candidates)) order.push_back(homes[choice]);
    return order;
}

bool hasTarget(const ChunkId& chunk, const std::vector<catalog::StoreRow>& good, const std::vector<LiveStore>& stores) {
    return std::ranges::any_of(placementOf(chunk, stores), [&](const LiveStore* store) {
        return std::ranges::find(good, store->row) == good.end();
    });
}

CopyCount countCopies(const std::vector<catalog::StoreRow>& good, const std::vector<LiveStore>& stores) {
    CopyCount count;
    for (const catalog::StoreRow row : good) {
        const LiveStore* const store = storeOf(stores, row);
        if (store == nullptr) continue;
        count.wanted += store->stays;
        count.answering += store->answers;
    }
    return count;
}

bool lacksCopies(const CopyCount& copies, std::size_t replicationFactor) {
    return copies.wanted < replicationFactor || (copies.answering < 2 && replicationFactor > 1);
}

void throwIfStopped(const std::stop_token& stop) {
    if (stop.stop_requested()) throw JobStopped();
}

}  // namespace chunkvault::worker
