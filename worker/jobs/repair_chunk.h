// Looks after the copies of one chunk: makes those that are missing, moves them to where they belong, takes away those
// that are too many.
#pragma once

#include <functional>
#include <string>

#include "common/chunk/chunk_buffers.h"
#include "database/catalog/chunks.h"
#include "worker/jobs/stores.h"
#include "worker/jobs/throttle.h"

namespace chunkvault::worker {

enum class RepairOutcome {
    nothingToDo,
    repaired,
    noSource,  // no live store has a good copy
    noTarget,  // no other store has room
};

// A store that gives something else than the copy which it finds good itself, asked before and after: it is at fault,
// or the way to it.
struct WrongAnswer {
    ChunkId chunk;
    catalog::StoreRow store;
    std::string what;  // came, for people
};

// Has the store read its copy; a bad one is recorded: only the store's own word counts, as what somebody else gets can
// go wrong on the way, or there. Throws when the store does not say.
[[nodiscard]] bool isGoodThere(catalog::Chunks& chunks, catalog::ChunkRow row, const ChunkId& id, std::int64_t size,
                               const LiveStore& store);

// Thread-safe. Every call is idempotent and does nothing about a chunk that is gone. Throws Error when a store failed
// in a way that trying again may help.
class ChunkRepair {
  public:
    // All must outlive this. onWrongAnswer must not throw.
    ChunkRepair(catalog::Chunks& chunks, Stores stores, ChunkBuffers& buffers, int replicationFactor, Throttle& repairs,
                Throttle& moves, std::function<void(const WrongAnswer&)> onWrongAnswer);

    // For each missing copy: reads one verified from a good store, puts it on the next store by placement, records it.
    // A source that its store finds bad is recorded; one that was recorded as bad and is whole counts again, and is a
    // source too. Copies on a store that is being drained are sources, but not among those that are wanted.
    // A bad copy stays where it is until a good one is there in its place, or was verified on another store: it may be
    // the last, and one that merely could not be read for a while. Then a damaged file is set aside, and the copy
    // forgotten, so that it is not asked for again: when there are enough others, or no store could take one more.
    RepairOutcome repair(catalog::ChunkRow chunk);

    // Puts copies where placement wants them today, then trims. True when a copy was made. No copy moves because its
    // store is full, and none to a store that is.
    bool rebalance(catalog::ChunkRow chunk);

    // Takes away copies beyond the wanted number, those on stores that are being drained and those that placement wants
    // least first, after every copy that stays was read and found good. Gives how many were taken.
    int trim(catalog::ChunkRow chunk);

    // Reads every copy where it is and records what is found; those that are good there are asked for too, because
    // somebody got something else. True when all are good; else the chunk wants a repair.
    bool verify(catalog::ChunkRow chunk);

  private:
    // Of the copies recorded as bad, those that their stores find whole, and those that they find bad or missing.
    struct AskedForBad {
        std::vector<const LiveStore*> whole, lost;
    };
    [[nodiscard]] static AskedForBad askForBad(const catalog::ChunkAudit& audit, const std::vector<LiveStore>& stores);
    // From a good copy, else from one of lastResort.
    [[nodiscard]] std::optional<Chunk> readGood(catalog::ChunkAudit& audit, const std::vector<LiveStore>& stores,
                                                const std::vector<const LiveStore*>& lastResort);
    [[nodiscard]] bool isGood(const catalog::ChunkAudit& audit, const LiveStore& store) {
        return isGoodThere(chunks_, audit.row, audit.id, audit.size, store);
    }
    // Of a bad copy, beside a good one that was verified just now. store: nullptr when it is not live.
    void forgetBad(const catalog::ChunkAudit& audit, catalog::StoreRow row, const LiveStore* store);
    [[nodiscard]] Chunk get(const catalog::ChunkAudit& audit, const LiveStore& store);
    // The store gave something else. Whether its copy is good by its own word, in which case that is told.
    [[nodiscard]] bool isGoodAfterAll(const catalog::ChunkAudit& audit, const LiveStore& store, const Error& got);

    catalog::Chunks& chunks_;
    Stores stores_;
    ChunkBuffers& buffers_;
    const std::size_t replicationFactor_;
    Throttle& repairs_;  // each copy that repair makes, from before its bytes are read
    Throttle& moves_;    // the same of rebalance
    const std::function<void(const WrongAnswer&)> onWrongAnswer_;
};

}  // namespace chunkvault::worker
