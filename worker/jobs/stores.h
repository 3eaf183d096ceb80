// The stores that jobs and sweeps work on: the live ones, each with what it takes to look after it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
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
    bool acceptsNewChunks;  // it answers, has room, and is not being drained
    bool answers = true;    // it has reported of late; one that has not is suspect, and its copies may be gone
    bool stays = true;      // it is not being drained: a copy on it is one of those that are wanted
};

// As they are now. Thread-safe.
using Stores = std::function<std::vector<LiveStore>()>;

// nullptr when it is not among them.
[[nodiscard]] const LiveStore* storeOf(const std::vector<LiveStore>& stores, catalog::StoreRow row);

// The stores that would get copies of the chunk today, best first.
[[nodiscard]] std::vector<const LiveStore*> placementOf(const ChunkId& chunk, const std::vector<LiveStore>& stores);

// Where a chunk that is good on these should be today, best first: the stores that would get copies of it, and those
// that have one and stay, full or suspect or not. A store is no reason to move a copy for having no room for others.
[[nodiscard]] std::vector<const LiveStore*> homesOf(const ChunkId& chunk, const std::vector<catalog::StoreRow>& good,
                                                    const std::vector<LiveStore>& stores);

// Whether there is a store that would get one more copy of a chunk which is good on these.
[[nodiscard]] bool hasTarget(const ChunkId& chunk, const std::vector<catalog::StoreRow>& good,
                             const std::vector<LiveStore>& stores);

// How the copies of a chunk are spread, for deciding what to do about them.
struct CopyCount {
    std::size_t wanted = 0;     // good ones on stores that stay, suspect or not
    std::size_t answering = 0;  // good ones on stores that answer
};
[[nodiscard]] CopyCount countCopies(const std::vector<catalog::StoreRow>& good, const std::vector<LiveStore>& stores);

// Whether copies have to be made: at one copy that answers at once, else when fewer than replicationFactor are known. A
// store that has merely fallen silent does not move its copies.
[[nodiscard]] bool lacksCopies(const CopyCount& copies, std::size_t replicationFactor);

// Ends long work when the program stops: throws JobStopped. What was left is found again.
void throwIfStopped(const std::stop_token& stop);

}  // namespace chunkvault::worker
