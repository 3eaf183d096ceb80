#include "worker/jobs/repair_chunk.h"

#include <algorithm>
#include <utility>

#include "common/error/error.h"

namespace chunkvault::worker {

namespace {

bool holds(const std::vector<catalog::StoreRow>& stores, catalog::StoreRow row) {
    return std::ranges::find(stores, row) != stores.end();
}

}  // namespace

bool isGoodThere(catalog::Chunks& chunks, catalog::ChunkRow row, const ChunkId& id, std::int64_t size,
                 const LiveStore& store) {
    if (store.store->check(id, static_cast<std::uint64_t>(size)) == CopyState::good) return true;
    chunks.replicaBad(row, store.row);
    return false;
}

ChunkRepair::ChunkRepair(catalog::Chunks& chunks, Stores stores, ChunkBuffers& buffers, int replicationFactor,
                         Throttle& repairs, Throttle& moves, std::function<void(const WrongAnswer&)> onWrongAnswer)
    : chunks_(chunks),
      stores_(std::move(stores)),
      buffers_(buffers),
      replicationFactor_(static_cast<std::size_t>(replicationFactor)),
      repairs_(repairs),
      moves_(moves),
      onWrongAnswer_(std::move(onWrongAnswer)) {}

RepairOutcome ChunkRepair::repair(catalog::ChunkRow row) {
    auto audit = chunks_.audit(row);
    if (!audit) return RepairOutcome::nothingToDo;
    const std::vector<LiveStore> stores = stores_();
    CopyCount count = countCopies(audit->good, stores);
    const bool lacks = lacksCopies(count, replicationFactor_);
    if (!lacks && audit->bad.empty()) return RepairOutcome::nothingToDo;
    // Put anew like a missing one, which costs no room: durable, and at a generation that no removal on its way takes.
    auto [targets, lost] = askForBad(*audit, stores);
    const std::size_t whole = targets.size();
    if (lacks && whole == 0 && !hasTarget(audit->id, audit->good, stores)) {
        const auto verified = [&](catalog::StoreRow good) {
            const LiveStore* const store = storeOf(stores, good);
            return store != nullptr && store->answers && isGood(*audit, *store);
        };
        if (!lost.empty() && std::ranges::any_of(audit->good, verified))
            for (const LiveStore* store : lost) forgetBad(*audit, store->row, store);
        return RepairOutcome::noTarget;
    }
    repairs_.take(audit->size);
    const auto source = readGood(*audit, stores, targets);
    if (!source) return RepairOutcome::noSource;
    count = countCopies(audit->good, stores);

    std::optional<Error> failure;
    for (const LiveStore* target : placementOf(audit->id, stores)) targets.push_back(target);
    bool first = true;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const LiveStore* const target = targets[i];
        if (i >= whole && !lacksCopies(count, replicationFactor_)) break;
        if (holds(audit->good, target->row)) continue;
        if (!std::exchange(first, false)) repairs_.take(audit->size);
        try {
            target->store->put(*source, audit->generation);
        } catch (const Error& error) {
            // One that is full stays so for a while.
            if (error.code() != ErrorCode::storageFull) failure = error;
            continue;
        }
        chunks_.replicaGood(row, target->row, audit->generation);
        audit->good.push_back(target->row);
        std::erase(audit->bad, target->row);
        count = countCopies(audit->good, stores);
    }
    if (count.wanted < replicationFactor_) {
        if (failure) throw Error(*failure);
        return RepairOutcome::noTarget;
    }
    // What is still bad is surplus now: its good copies lie elsewhere.
    for (const catalog::StoreRow store : audit->bad) forgetBad(*audit, store, storeOf(stores, store));
    return RepairOutcome::repaired;
}

bool ChunkRepair::rebalance(catalog::ChunkRow row) {
    auto audit = chunks_.audit(row);
    if (!audit) return false;
    const std::vector<LiveStore> stores = stores_();
    // First what is missing, then what lies in the wrong place.
    if (lacksCopies(countCopies(audit->good, stores), replicationFactor_)) return false;
    auto order = homesOf(audit->id, audit->good, stores);
    order.resize(std::min(order.size(), replicationFactor_));
    bool made = false;
    std::optional<Chunk> source;
    for (const LiveStore* target : order) {
        if (holds(audit->good, target->row)) continue;
        moves_.take(audit->size);
        if (!source) source = readGood(*audit, stores, {});
        if (!source) return false;
        try {
            target->store->put(*source, audit->generation);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::storageFull) throw;
            continue;  // the catalog will know soon, and the copy can stay where it is
        }
        chunks_.replicaGood(row, target->row, audit->generation);
        made = true;
    }
    source.reset();
    (void)trim(row);
    return made;
}

int ChunkRepair::trim(catalog::ChunkRow row) {
    const auto audit = chunks_.audit(row);
    if (!audit) return 0;
    const std::vector<LiveStore> stores = stores_();
    std::vector<const LiveStore*> keepers;
    for (const LiveStore* store : homesOf(audit->id, audit->good, stores))
        if (store->answers && holds(audit->good, store->row)) keepers.push_back(store);
    if (keepers.size() < replicationFactor_) return 0;
    keepers.resize(replicationFactor_);
    const bool surplus = std::ranges::any_of(audit->good, [&](catalog::StoreRow good) {
        const LiveStore* const store = storeOf(stores, good);
        return store != nullptr && store->answers && std::ranges::find(keepers, good, &LiveStore::row) == keepers.end();
    });
    if (!surplus) return 0;
    for (const LiveStore* keeper : keepers)
        if (!isGood(*audit, *keeper)) return 0;

    int taken = 0;
    for (const catalog::StoreRow good : audit->good) {
        const LiveStore* const store = storeOf(stores, good);
        if (store == nullptr || !store->answers) continue;
        if (std::ranges::find(keepers, good, &LiveStore::row) != keepers.end()) continue;
        const auto generation = chunks_.forgetSurplus(row, good);
        if (!generation) continue;
        ++taken;
        // When this fails, the file is one that the orphan sweep finds.
        (void)store->store->remove(audit->id, *generation);
    }
    return taken;
}

bool ChunkRepair::verify(catalog::ChunkRow row) {
    const auto audit = chunks_.audit(row);
    if (!audit) return true;
    const std::vector<LiveStore> stores = stores_();
    bool allGood = audit->bad.empty();
    for (const catalog::StoreRow good : audit->good) {
        const LiveStore* const store = storeOf(stores, good);
        if (store == nullptr || !store->answers) continue;
        if (!isGood(*audit, *store)) {
            allGood = false;
            continue;
        }
        chunks_.scrubbed(good, {&row, 1});
        try {
            (void)get(*audit, *store);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::unavailable) throw;
            allGood = isGoodAfterAll(*audit, *store, error) && allGood;
        }
    }
    return allGood;
}

ChunkRepair::AskedForBad ChunkRepair::askForBad(const catalog::ChunkAudit& audit,
                                                const std::vector<LiveStore>& stores) {
    AskedForBad asked;
    for (const catalog::StoreRow row : audit.bad) {
        const LiveStore* const store = storeOf(stores, row);
        if (store == nullptr || !store->answers) continue;
        try {
            const CopyState state = store->store->check(audit.id, static_cast<std::uint64_t>(audit.size));
            (state == CopyState::good ? asked.whole : asked.lost).push_back(store);
        } catch (const Error&) {  // NOLINT(bugprone-empty-catch): a later repair asks again
        }
    }
    return asked;
}

std::optional<Chunk> ChunkRepair::readGood(catalog::ChunkAudit& audit, const std::vector<LiveStore>& stores,
                                           const std::vector<const LiveStore*>& lastResort) {
    std::optional<Error> failure;
    const auto isBadThere = [&](const Error& error, const LiveStore& store) {
        try {
            return error.code() != ErrorCode::unavailable && !isGoodAfterAll(audit, store, error);
        } catch (const Error&) {
            return false;
        }
    };
    auto sources = audit.good;
    std::ranges::stable_sort(sources, {}, [&](catalog::StoreRow row) {
        const LiveStore* const store = storeOf(stores, row);
        return store == nullptr || !store->answers;  // suspects last
    });
    for (const catalog::StoreRow row : sources) {
        const LiveStore* const found = storeOf(stores, row);
        if (found == nullptr) continue;
        try {
            return get(audit, *found);
        } catch (const Error& error) {
            if (!isBadThere(error, *found)) {
                failure = error;
                continue;
            }
            std::erase(audit.good, row);
            audit.bad.push_back(row);
        }
    }
    for (const LiveStore* store : lastResort) {
        try {
            return get(audit, *store);
        } catch (const Error& error) {
            failure = error;
        }
    }
    if (failure) throw Error(*failure);
    return std::nullopt;
}

void ChunkRepair::forgetBad(const catalog::ChunkAudit& audit, catalog::StoreRow row, const LiveStore* store) {
    try {
        if (store != nullptr && store->answers) (void)store->store->moveAside(audit.id);
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): then it is a file for the orphan sweep
    }
    chunks_.forgetBad(audit.row, row);
}

Chunk ChunkRepair::get(const catalog::ChunkAudit& audit, const LiveStore& store) {
    const auto size = static_cast<std::size_t>(audit.size);
    return store.store->get(audit.id, size, buffers_.acquire(size));
}

bool ChunkRepair::isGoodAfterAll(const catalog::ChunkAudit& audit, const LiveStore& store, const Error& got) {
    if (!isGood(audit, store)) return false;
    try {
        // It may have been put anew since.
        (void)get(audit, store);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::unavailable) onWrongAnswer_({audit.id, store.row, got.what()});
    }
    return true;
}

}  // namespace chunkvault::worker
