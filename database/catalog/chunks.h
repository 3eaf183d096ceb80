// Where bytes are: stores, replicas, and what repair, scrub and collection ask. Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;

struct StoreRegistration {
    std::string nodeId;
    std::string uuid;
    std::string zone;
    std::string endpoint;
    std::int64_t capacityBytes;
    std::int64_t freeBytes;
};

// A chunk with all that is known of its copies, for the sweeps to decide on.
struct ChunkAudit {
    ChunkRow row;
    ChunkId id;
    std::int64_t size;
    Generation generation;
    Timestamp createdAt;
    // On live stores:
    std::vector<StoreRow> good;  // present
    std::vector<StoreRow> bad;   // known bad or lost there, or there may be one that does not count
};

// A window of a sweep over all chunks.
struct UnderReplicated {
    std::vector<ChunkAudit> chunks;  // of the window, those that repair has to look at
    ChunkRow last{};                 // of the window: where the next one begins
    std::int64_t examined = 0;       // chunks in the window; 0: the sweep is at its end
};

struct Unreferenced {
    std::vector<ChunkRow> chunks;  // of the window, those that nothing refers to
    std::int64_t fresh = 0;        // of these, those whose removal has not begun
    ChunkRow last{};               // of the window: where the next one begins
    std::int64_t examined = 0;     // chunks in the window; 0: the sweep is at its end
};

struct ReplicaToScrub {
    ChunkRow row;
    ChunkId id;
    std::int64_t size;
    Generation generation;
    Timestamp verifiedAt;
};

// What collection has begun to do about a chunk.
struct ChunkRemoval {
    ChunkId id;
    Generation generation;  // to remove at
};

// For the safety lines of GET /files/{id}.
struct ContentSafety {
    std::int64_t copiesWanted;
    std::int64_t copiesPresent;               // of the chunk with the fewest; wanted when there are no chunks
    std::optional<Timestamp> lastVerifiedAt;  // of the replica verified longest ago
};

struct ChunkTotals {
    std::int64_t chunks, bytes, underReplicated, missing;  // missing: no good copy on a live store
};

class Chunks {
  public:
    Chunks(Database& database, Clock clock, int replicationFactor);

    // This vault's id, made by the first start.
    [[nodiscard]] std::string vaultId();

    // Nodes::report for a store that does not say what it has seen of the catalog. A folder of this process (no
    // endpoint) is up at once.
    StoreRow registerStore(const StoreRegistration& store);
    // A drain outlasts down and suspect.
    void setStoreState(StoreRow store, StoreState state);
    // All, removed ones too, but no disks that were replaced. Counting their replicas reads all of them.
    [[nodiscard]] std::vector<Store> stores(bool countReplicas = true);

    // The chunks of a content that overlap [fromOffset, ...), in order, at most limit.
    [[nodiscard]] std::vector<ContentChunk> layout(ContentId content, std::int64_t fromOffset, int limit);
    [[nodiscard]] ContentSafety safety(ContentId content);

    // Nothing happens when the chunk's generation is not this one any more, or store was removed or replaced.
    void replicaGood(ChunkRow chunk, StoreRow store, Generation generation);
    // For who has seen that the store itself finds it bad or missing: what goes wrong on the way says nothing of it.
    void replicaBad(ChunkRow chunk, StoreRow store);
    // There may be a copy that does not count: kept as a bad one, for repair or collection to look at. What is known of
    // a copy there stays as it is.
    void replicaDoubtful(ChunkRow chunk, StoreRow store);
    // Nothing happens when it counts as good meanwhile.
    void forgetBad(ChunkRow chunk, StoreRow store);
    // nullopt: no chunk has this hash.
    [[nodiscard]] std::optional<ChunkRow> find(const ChunkId& id);
    [[nodiscard]] std::optional<ChunkAudit> audit(ChunkRow chunk);
    // Chunks with ids after the given one, in order, at most limit: a window of a sweep over all.
    [[nodiscard]] std::vector<ChunkAudit> auditAfter(ChunkRow after, int limit);
    // Chunks with a copy on that store, good or bad, in order, with all their copies.
    [[nodiscard]] std::vector<ChunkAudit> auditOf(StoreRow store, ChunkRow after, int limit);
    // Of these ids, those that are live chunks.
    [[nodiscard]] std::vector<ChunkAudit> auditHashes(std::span<const ChunkId> ids);
    // Of the next limit chunks, those with a bad copy on a live store, with fewer than REPLICATION_FACTOR good ones on
    // stores that are up or suspect (what is on draining ones does not count), or with fewer than two on stores that
    // answer. examined is 0 at the end.
    [[nodiscard]] UnderReplicated underReplicatedAfter(ChunkRow after, int limit);
    [[nodiscard]] std::vector<ReplicaToScrub> dueForScrub(StoreRow store, Timestamp verifiedBefore, int limit);
    void scrubbed(StoreRow store, std::span<const ChunkRow> good);
    // Of the good copies on live stores.
    [[nodiscard]] std::optional<Timestamp> oldestVerified();

    // Collection. Of the next limit chunks, those without a content and a pin that were made before createdBefore. Not
    // those whose removal has begun and waits for stores that are not live.
    [[nodiscard]] Unreferenced unreferencedAfter(Timestamp createdBefore, ChunkRow after, int limit);
    // Under the row's lock: rechecks references and pins, marks it removing and raises the generation: remove at that
    // one. From then on no copy counts. nullopt: it is wanted again, or collection is held.
    [[nodiscard]] std::optional<ChunkRemoval> beginRemove(ChunkRow chunk);
    // When it is still removing at that generation: forgets the copies of the stores that have answered that theirs is
    // gone, and deletes the row when no other store may have one. True when it is deleted.
    bool finishRemove(ChunkRow chunk, Generation generation, std::span<const StoreRow> answered);
    // Under the row's lock: when replicationFactor good copies are on other stores that are up, forgets the one on
    // store and raises the generation, so that an upload whose put on store is under way does not count it. Gives the
    // generation at which the store is to remove its copy; nullopt: it is wanted, or collection is held.
    [[nodiscard]] std::optional<Generation> forgetSurplus(ChunkRow chunk, StoreRow store);
    // Under the row's lock: when no copy on store is known, raises the generation, so that whoever has put one there
    // and not recorded it yet does not count it. False: one is known, or the chunk is being collected.
    [[nodiscard]] bool refuseCopy(ChunkRow chunk, StoreRow store);
    [[nodiscard]] std::int64_t count();           // reads all of them
    [[nodiscard]] std::int64_t mostThereCanBe();  // reads one
    // Of these ids, the ones whose collection has begun.
    [[nodiscard]] std::vector<ChunkId> removing(std::span<const ChunkId> ids);
    [[nodiscard]] ChunkTotals totals();  // reads all of them

    // Whole-content hashes that are only claimed, by content, after the given one; and the result of having read one.
    struct Unverified {
        ContentId content;
        std::int64_t size;
        Sha256Digest claimed;
    };
    [[nodiscard]] std::vector<Unverified> unverifiedContents(ContentId after, int limit);
    void contentVerified(ContentId content, const Sha256Digest& sha256);

  private:
    Database& database_;
    Clock clock_;
    int replicationFactor_;
};

}  // namespace chunkvault::catalog
