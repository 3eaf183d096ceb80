#include "worker/jobs/repair_chunk.h"

#include <algorithm>

#include "common/chunk/placement.h"
#include "common/error/error.h"

namespace chunkvault::worker {

ChunkRepair::ChunkRepair(catalog::Chunks& chunks, Stores stores, ChunkBuffers& buffers, int replicationFactor)
    : chunks_(chunks),
      stores_(std::move(stores)),
      buffers_(buffers),
      replicationFactor_(static_cast<std::size_t>(replicationFactor)) {}

RepairOutcome ChunkRepair::run(catalog::ChunkRow row) {
    auto audit = chunks_.audit(row);
    if (!audit || (audit->good.size() >= replicationFactor_ && audit->bad.empty())) return RepairOutcome::nothingToDo;
    const std::vector<LiveStore> stores = stores_();
    const auto source = readGood(*audit, stores);
    if (!source) return RepairOutcome::noSource;

    std::vector<PlacementCandidate> candidates;
    std::vector<const LiveStore*> targets;
    for (const LiveStore& store : stores) {
        if (!store.acceptsNewChunks || std::ranges::count(audit->good, store.row) > 0) continue;
        candidates.push_back({catalog::valueOf(store.row), store.zone,
                              static_cast<double>(std::max<std::int64_t>(store.capacityBytes, 1))});
        targets.push_back(&store);
    }
    std::optional<Error> failure;
    for (const std::size_t choice : placementOrder(audit->id, candidates)) {
        if (audit->good.size() >= replicationFactor_) break;
        const LiveStore& target = *targets[choice];
        try {
            target.store->put(*source, audit->generation);
        } catch (const Error& error) {
            failure = error;
            continue;
        }
        chunks_.replicaGood(row, target.row, audit->generation);
        audit->good.push_back(target.row);
        std::erase(audit->bad, target.row);
    }
    if (audit->good.size() < replicationFactor_) {
        if (failure) throw Error(*failure);
        return RepairOutcome::noTarget;
    }
    // What is still bad is surplus now: its good copies lie elsewhere.
    for (const catalog::StoreRow store : audit->bad) chunks_.replicaRemoved(row, store);
    return RepairOutcome::repaired;
}

std::optional<Chunk> ChunkRepair::readGood(catalog::ChunkAudit& audit, const std::vector<LiveStore>& stores) {
    const auto size = static_cast<std::size_t>(audit.size);
    std::optional<Error> failure;
    for (const catalog::StoreRow row : std::vector(audit.good)) {
        const auto found = std::ranges::find(stores, row, &LiveStore::row);
        if (found == stores.end()) continue;
        try {
            return found->store->get(audit.id, size, buffers_.acquire(size));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::chunkMissing && error.code() != ErrorCode::chunkCorrupt) {
                failure = error;
                continue;
            }
            chunks_.replicaBad(audit.row, row);
            if (error.code() == ErrorCode::chunkCorrupt) (void)found->store->moveAside(audit.id);
            std::erase(audit.good, row);
            audit.bad.push_back(row);
        }
    }
    if (failure) throw Error(*failure);
    return std::nullopt;
}

}  // namespace chunkvault::worker
