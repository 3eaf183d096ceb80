// Several stores as one: a put is acknowledged by a quorum of them, a get gives verified bytes from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/chunk/chunk_buffers.h"
#include "common/chunk/chunk_store.h"
#include "common/error/error.h"
#include "database/catalog/types.h"
#include "server/storage/store_lane.h"
#include "server/storage/store_pause.h"

namespace chunkvault::server {

// A live store.
struct Replica {
    catalog::StoreRow store;
    std::shared_ptr<ChunkStore> chunks;
    std::string zone;            // empty: a zone of its own
    std::int64_t capacityBytes;  // its share of new chunks
    bool acceptsNewChunks;       // false when it is full or being drained; reads go on
    bool answers = true;         // false when it has fallen silent: read from last
};

struct ReplicationLimits {
    std::size_t replicationFactor = 3;
    std::size_t writeQuorum = 2;
    std::size_t threadsPerStore = 8;                  // for writes, and as many for reads
    std::size_t itemsPerTask = 64;                    // of a batch, for one store
    std::size_t bytesInFlightPerStore = 16 << 20;     // of writes: what a hanging store can hold of the chunk buffers
    std::chrono::milliseconds writeDeadline{30'000};  // for the quorum
    std::chrono::milliseconds stragglerWait{5'000};   // for the other copies, once the quorum is there
    std::chrono::milliseconds readPatience{2'000};    // before the next copy is tried as well
    std::chrono::milliseconds readDeadline{30'000};   // for any copy
    std::chrono::milliseconds firstPause{1'000};      // a store that could not be reached is passed over for so long,
    std::chrono::milliseconds longestPause{30'000};   // and when that was in vain, each time longer, up to this
};

// What is wrong with a copy that the catalog says is there.
enum class ReplicaFault {
    missing,
    corrupt,     // wrong size or hash
    unreadable,  // an I/O error, which may pass
    silent,      // no answer in time, or the store is unavailable: not the copy's fault
};

// Thread-safe. A store that does not answer holds up a call no longer than the limits say; its threads keep working on
// what they began, and until they are done it is passed over. What such a store still holds counts against the chunk
// buffers, which must outlive this. One that could not be reached is passed over for a while as well, as long as the
// others are enough.
class ReplicatedChunkStore {
  public:
    // Called on the threads of the calls below, before these return; several at once. They must not throw.
    struct Events {
        // A copy of a holder that was read from, or ought to have been.
        std::function<void(const ChunkId&, catalog::StoreRow, ReplicaFault)> onBadReplica;
        // A put or remove that a store refused, or did not answer in time (unavailable).
        std::function<void(catalog::StoreRow, const Error&)> onStoreError;
    };

    ReplicatedChunkStore(const ReplicationLimits& limits, Events events);
    // Waits for what the stores have begun.
    ~ReplicatedChunkStore();
    ReplicatedChunkStore(const ReplicatedChunkStore&) = delete;
    ReplicatedChunkStore& operator=(const ReplicatedChunkStore&) = delete;

    // The live stores from now on.
    void setReplicas(std::vector<Replica> replicas);

    // Puts chunk on REPLICATION_FACTOR stores: those of preferred first (which have it already, say), then by
    // placement; where one refuses, on the next. Gives the stores that have it durably, at least WRITE_QUORUM.
    // Throws storageFull or unavailable when fewer have it; some may then have it nevertheless.
    std::vector<catalog::StoreRow> put(const Chunk& chunk, Generation generation,
                                       std::span<const catalog::StoreRow> preferred = {});

    // The same for several: the stores of each, in the order of items.
    std::vector<std::vector<catalog::StoreRow>> putAll(std::span<const PutItem> items);

    // A verified chunk from one of holders, the stores that have it according to the catalog: the least busy first,
    // then the next where a copy is bad or silent; doubtful ones, whose copy was found bad once, only when no other is
    // left. Throws chunkCorrupt or chunkMissing when no copy is good,
    // unavailable when one may be, on a store that is not live, does not answer or cannot read it now, or when memory
    // is short. The caller holds no chunk buffer.
    [[nodiscard]] Chunk get(const ChunkId& id, std::size_t size, std::span<const catalog::StoreRow> holders,
                            ChunkBuffers& buffers, std::span<const catalog::StoreRow> doubtful = {});
    // The same with a buffer that the caller has taken with tryAcquire, to read ahead. Further tries, after a bad copy,
    // do not wait for memory: unavailable.
    [[nodiscard]] Chunk get(const ChunkId& id, std::size_t size, std::span<const catalog::StoreRow> holders,
                            ChunkBuffers& buffers, ChunkBuffer buffer,
                            std::span<const catalog::StoreRow> doubtful = {});

    // Removes the copies of holders as ChunkStore::remove. Gives the stores that do not offer it any more; one that
    // kept it as newer, is not live, or failed, is not among them.
    std::vector<catalog::StoreRow> remove(const ChunkId& id, Generation generation,
                                          std::span<const catalog::StoreRow> holders);

  private:
    struct Member {
        Replica replica;
        std::shared_ptr<StoreLane> writes;
        std::shared_ptr<StoreLane> reads;
        std::shared_ptr<StorePause> pause;  // of both
    };
    using Members = std::vector<Member>;
    class Choice;
    class Failures;

    [[nodiscard]] std::shared_ptr<const Members> members() const;
    [[nodiscard]] Chunk read(const ChunkId& id, std::size_t size, std::span<const catalog::StoreRow> holders,
                             std::span<const catalog::StoreRow> doubtful, ChunkBuffers& buffers,
                             std::optional<ChunkBuffer> buffer, bool mayWait);

    const ReplicationLimits limits_;
    const Events events_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Members> members_;
    std::map<catalog::StoreRow, Member> known_;  // every store there ever was: few
    std::atomic<std::size_t> turn_ = 0;          // spreads reads over stores that are equally busy
};

}  // namespace chunkvault::server
