// Chunks as files in one folder of one disk:
//
//   vault.json            {format, vault_id, node_id, store_id}: the marker that says whose folder this is
//   chunks/ab/<64 hex>    the raw bytes of a chunk whose last put was at generation 1, in one of 256 folders named by
//   chunks/ab/<hex>.<g>     the first byte; put last at a later generation g. At most one file a chunk.
//   records/              room for self-describing records
//   trash/<hex>.<g>       removed at generation g; <hex>.bad-<n>: set aside as bad. Kept until purgeTrash.
//   tmp/                  files being written; emptied when the store is taken into use
//   catalog_seq           a number in decimal: see noteCatalogSeq
//
// A put checks no hash: it takes a Chunk, whose bytes were hashed in this process when they arrived and cannot change
// since. Bytes from another process become a Chunk only by hashing, so that each process checks once, as does each
// read.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/chunk/maintained_store.h"
#include "common/error/error.h"
#include "storagenode/store/chunk_claims.h"
#include "storagenode/store/disk.h"

namespace chunkvault::storagenode {

// What the marker says.
struct StoreIdentity {
    std::string vaultId;
    std::string nodeId;
    std::string storeId;  // a UUID made by format
};

struct StoreOptions {
    std::uint64_t reserveBytes = 0;  // writes that would leave less free are refused
    // A put writes a copy that is there anew, instead of reading it: so it takes as long as that of a new chunk.
    bool rewrites = false;
    std::size_t mostGenerations = 1 << 18;  // remembered, 70 bytes each; for others a folder has to be listed
};

// Thread-safe; uses the threads of its callers and none of its own. At most openFiles files are open for one call.
// Errors beside those of ChunkStore: every writing call throws unavailable when the folder has lost its marker (an
// unmounted disk); reads go on.
class DiskChunkStore final : public MaintainedStore {
  public:
    static constexpr std::size_t openFiles = 64;

    // Makes a new store, durable on return. The folder must be empty, save for what an interrupted format left.
    // Throws conflict when it is not, or when another process uses it.
    static StoreIdentity format(Disk& disk, const std::string& vaultId, const std::string& nodeId);

    // Whether the folder has a marker, good or not.
    [[nodiscard]] static bool isFormatted(Disk& disk);

    // What the folder's marker says. Throws unavailable when there is none, conflict when it cannot be read.
    [[nodiscard]] static StoreIdentity identityOf(Disk& disk);

    // Keeps the folder locked until destroyed, and changes nothing in it before takeIntoUse: until then only identity,
    // catalogSeq, space and requireMarker may be called. Throws unavailable when there is no marker, conflict when it
    // cannot be read, or another process uses the folder.
    [[nodiscard]] static std::unique_ptr<DiskChunkStore> openUnused(std::unique_ptr<Disk> disk, StoreOptions options);
    // Makes the folders that are missing and clears tmp/, the first time; for one thread at a time. Throws conflict
    // when the store belongs to another vault.
    void takeIntoUse(const std::string& vaultId);
    // Both.
    [[nodiscard]] static std::unique_ptr<DiskChunkStore> open(std::unique_ptr<Disk> disk, const std::string& vaultId,
                                                              StoreOptions options = {});

    [[nodiscard]] const StoreIdentity& identity() const { return identity_; }

    void put(const Chunk& chunk, Generation generation) override;
    void putAll(std::span<const PutItem> items) override;
    [[nodiscard]] Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override;
    [[nodiscard]] bool has(const ChunkId& id) override;
    bool remove(const ChunkId& id, Generation generation) override;

    bool removeOrphan(const KeptChunk& listed) override;
    [[nodiscard]] CopyState check(const ChunkId& id, std::uint64_t size) override;
    bool moveAside(const ChunkId& id) override;
    [[nodiscard]] KeptPage list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                                std::size_t limit) override;
    PurgedTrash purgeTrash(std::int64_t minAgeUs, std::size_t limit) override;

    // The copy as it lies on the disk, not verified: for who passes the bytes on to somebody who does. Throws
    // chunkMissing, and chunkCorrupt when it is not size bytes long.
    [[nodiscard]] std::unique_ptr<DiskFile> openCopy(const ChunkId& id, std::uint64_t size);

    // The highest of the catalog's sequence numbers that this store was told, so that a catalog that was put back to an
    // earlier state is noticed. It is written to the disk at most once in catalogSeqAgeUs: after a crash it may be that
    // much behind. 0: never told, or what is on the disk cannot be read.
    [[nodiscard]] std::int64_t catalogSeq() const { return catalogSeq_; }
    // Throws as a writing call; what could not be written is written at a later call.
    void noteCatalogSeq(std::int64_t seq, Timestamp now);
    static constexpr Timestamp catalogSeqAgeUs = 30 * secondUs;

    // How many generations are in memory now.
    [[nodiscard]] std::size_t generationsKept() const { return generations_; }

    // Looks at every file: for a store of a million chunks, seconds.
    [[nodiscard]] FileTotals count();

    // Throws unavailable when the folder has lost its marker.
    void requireMarker();
    // Whether the folder's path still leads to it: not after an unmount.
    [[nodiscard]] bool attached() { return disk_->attached(); }
    [[nodiscard]] DiskSpace space() { return disk_->space(); }
    [[nodiscard]] std::uint64_t reserveBytes() const { return options_.reserveBytes; }
    // What is free above the reserve.
    [[nodiscard]] std::uint64_t roomBytes(const DiskSpace& space) const {
        return space.freeBytes > reserveBytes() ? space.freeBytes - reserveBytes() : 0;
    }

  private:
    // Which chunks of one of the 256 folders have a generation above 1: read from the disk when first asked, then kept
    // until there are too many in all folders together.
    struct LaterGenerations {
        std::mutex mutex;
        bool known = false;
        std::unordered_map<ChunkId, Generation> of;
    };
    struct Copy {
        Generation generation;
        std::unique_ptr<DiskFile> file;            // nullptr: there is a file, but it cannot be opened
        std::optional<Error> failure;              // then: why
        [[nodiscard]] DiskFile& readable() const;  // throws failure
    };
    class TemporaryFile;

    DiskChunkStore(std::unique_ptr<Disk> disk, StoreIdentity identity, StoreOptions options);

    void requireRoom(std::uint64_t bytes);
    // Distinct chunks, by id, at most openFiles.
    void putSome(std::span<const PutItem* const> items);
    // Undoes what a put at generation to did over a copy at from (0: none): renames back, or deletes what it wrote,
    // unless that may have taken the place of a good copy.
    void takeBack(const ChunkId& id, Generation from, Generation to) noexcept;
    void rename(const ChunkId& id, Generation from, Generation to);
    // listedAt: only a copy whose last put was then, and at that generation.
    bool removeCopy(const ChunkId& id, Generation generation, std::optional<Timestamp> listedAt);
    void moveToTrash(const ChunkId& id, Generation generation, const std::string& name);

    // The first without the chunk's claim: it can miss a copy that is being renamed. The second needs the claim.
    [[nodiscard]] std::optional<Copy> find(const ChunkId& id);
    [[nodiscard]] std::optional<Copy> findClaimed(const ChunkId& id);
    [[nodiscard]] std::optional<Copy> copyAt(const ChunkId& id, Generation generation);
    [[nodiscard]] std::optional<Generation> laterGeneration(const ChunkId& id);
    void noteGeneration(const ChunkId& id, std::optional<Generation> generation);
    // Those of whole folders, but never of the one named.
    void forgetGenerations(std::uint8_t butOf);

    const std::unique_ptr<Disk> disk_;
    const StoreIdentity identity_;
    const StoreOptions options_;
    bool inUse_ = false;
    ChunkClaims claims_;
    std::array<LaterGenerations, 256> later_;
    std::atomic<std::size_t> generations_ = 0;  // in later_
    std::atomic<std::uint8_t> forgetNext_ = 0;
    std::atomic<std::uint64_t> lastTemporary_ = 0;

    std::atomic<std::int64_t> catalogSeq_;
    std::mutex catalogSeqMutex_;
    std::int64_t writtenCatalogSeq_;                // 0: never
    std::optional<Timestamp> catalogSeqWrittenAt_;  // by this object

    std::mutex purgeMutex_;
    std::string purgedTo_;  // the last name in the trash that was looked at; empty: the next call begins anew

    std::mutex roomMutex_;
    std::uint64_t roomBytes_ = 0;  // above the reserve when last asked, less what was written since
    Timestamp roomAskedAt_ = 0;
};

}  // namespace chunkvault::storagenode
