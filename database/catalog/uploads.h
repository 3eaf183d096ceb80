// From the first byte of an upload to the committed file. Every door (resumable, multipart, batch, tus) pins its chunks
// here before they are put and commits here at the end. Thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/wire/file_name.h"
#include "database/catalog/tree.h"
#include "database/catalog/types.h"

namespace chunkvault::catalog {

class ChangeNotes;

struct OpenUpload;
struct OwnerRow;
class Session;

struct NewUpload {
    std::string key;  // the client's, unique per owner
    FileId folder;
    FileName name;
    std::int64_t size;                    // bytes, >= 0
    std::optional<Timestamp> modifiedAt;  // nullopt: when the upload was created
    OnConflict onConflict;
    bool inOrder = false;                 // by tus
    std::string metadata = {};            // as the tus client sent it
    std::optional<ShareId> request = {};  // a guest's: of one of the owner's upload requests, with inOrder
};

// A chunk as the client announces it.
struct DeclaredChunk {
    std::int64_t index;   // from 0
    std::int64_t length;  // bytes, 1 to the chunk size
    ChunkId id;
};

// A chunk that may now be put: its row exists and is pinned, so collection leaves it alone.
struct PinnedChunk {
    std::int64_t index;
    ChunkRow row;
    Generation generation;  // to put it at
};

struct StoredChunk {
    std::int64_t index;
    ChunkRow row;
    Generation generation;
    std::vector<StoreRow> stores;  // that answered: durable there
};

// The right to write an upload whose bytes come in order. It is one request's at a time; a holder that gives no sign of
// life for leaseUs loses it to the next one, and with it whatever it had not stored.
struct Writing {
    UploadId upload;
    std::int64_t lease;
    Timestamp passwordChangedAt;  // of the owner
    std::int64_t offset;          // bytes that are durable
    // The bytes after the last whole chunk are a chunk too, which the next bytes replace by a longer one.
    struct Tail {
        std::int64_t index;  // where it is pinned; negative
        ChunkRow row;
        ChunkId id;
        std::int64_t length;
    };
    std::optional<Tail> tail;
};

// The SHA-256 of a whole file, where it is known: claimed by the client, or verified when the server hashed the bytes.
struct WholeHash {
    std::optional<Sha256Digest> sha256;
    bool verified = false;
};

// A file of a multipart or batch request; its chunks are indexes [firstChunk, firstChunk + chunkCount) of the intake.
struct NewFile {
    FileId folder;                  // base
    std::vector<FileName> folders;  // made below it as needed
    FileName name;
    std::int64_t size;
    std::int64_t firstChunk;
    std::int64_t chunkCount;
    Sha256Digest sha256;  // of the whole, computed by the server: verified
    Timestamp modifiedAt;
    OnConflict onConflict;
};

struct CommittedFile {
    Entry entry;
    bool newVersion;  // false: the same content as the current version was there already
};

struct FileOutcome {
    std::optional<CommittedFile> file;  // one of
    std::optional<Error> error;         // these two
};

// What an intake holds of the owner's quota while its bytes come. Nothing: each file is measured at the commit only,
// where it is known whether it needs room at all; for requests of a bounded size.
enum class Reserve { bytes, nothing };

struct UploadLimits {
    std::int64_t chunkSize;
    int writeQuorum = 2;
    int replicationFactor = 3;
    int keepDays = 7;            // after the last byte
    int maxOpenPerOwner = 1000;  // resumable uploads; of guests as many for each upload request
    std::int64_t maxChunks = 4'000'000;
};

class Uploads {
  public:
    Uploads(Database& database, Clock clock, UploadLimits limits, TreeLimits treeLimits, std::int64_t defaultQuota);

    // Reserves quota and a file id. The same key again returns the same upload, open or committed, when folder, name,
    // size, onConflict and, where given, modifiedAt are the same; conflict when they differ; a new one when it has
    // ended, or what it made is gone for good. With onConflict fail and the name taken: nameTaken. created says which.
    Upload create(UserId owner, const NewUpload& upload, bool* created = nullptr);
    // Throws notFound. chunksStored and bytesStored are counted only for progress.
    [[nodiscard]] Upload get(UploadId upload, bool progress = false);
    [[nodiscard]] std::vector<Upload> list(UserId owner, int limit);  // open ones
    // The open upload that a file is reserved for, with its progress.
    [[nodiscard]] std::optional<Upload> openFor(UserId owner, FileId file);

    // The indexes that have to be sent. What is present is pinned at once: in one of this owner's contents (dedup
    // across owners never shows here) or stored in this upload, with quorum on live stores.
    std::vector<std::int64_t> have(UploadId upload, std::span<const DeclaredChunk> chunks);
    // Before the put. Makes the chunk's row or raises its generation. An index stored before with another chunk is
    // replaced. Throws uploadExpired, conflict (committed), invalidValue (index or length do not fit the size).
    PinnedChunk pin(UploadId upload, const DeclaredChunk& chunk);
    // After the put: replica rows, and the upload lives keepDays longer. Throws uploadExpired. Fewer than writeQuorum
    // stores: unavailable.
    void stored(UploadId upload, const StoredChunk& chunk);
    // One transaction: every index there, lengths sum to size, root as computed from the rows, quorum on live stores
    // for each, quota, conflict; onConflict instead of the one that the upload was created with. Idempotent: a
    // committed upload gives its file again if root is the same. Throws uploadIncomplete, checksumMismatch (root),
    // nameTaken (the upload stays open, to be committed with another onConflict), quotaExceeded, uploadExpired.
    CommittedFile commit(UploadId upload, const Sha256Digest& root, std::optional<Sha256Digest> claimedSha256,
                         std::optional<OnConflict> onConflict = std::nullopt);
    void end(UploadId upload);  // gives up; idempotent
    // Ends the intakes that are open, and the rights to write: at the start of the only server of a vault, whose former
    // process left them.
    void endIntakes();
    // Sweep: ends uploads whose time is over, deletes rows of those that ended; how many.
    int expire(int limit);

    // tus: bytes that come in order, chunk by chunk, with create before. The right to write from offset on. Throws
    // locked (somebody else writes), conflict (another offset, or committed), uploadExpired, and for a guest's upload
    // gone or notFound when its upload request is over.
    [[nodiscard]] Writing beginWriting(UploadId upload, std::int64_t offset);
    // Still there; to be called every few seconds. Throws locked when another has taken over.
    void keepWriting(const Writing& writing);
    // Before the put: a whole chunk, the last one of the file, or (a shorter one) the tail. Throws as keepWriting.
    PinnedChunk pinNext(const Writing& writing, std::int64_t index, const ChunkId& id, std::int64_t length);
    // After the put of chunks that follow on what was received, in order: they count from now on. Throws as
    // beginWriting and stored.
    void received(Writing& writing, std::span<const StoredChunk> chunks, std::int64_t offset);
    // The same with the last bytes of the file, and the commit, in one transaction: nobody sees an upload that is whole
    // and no file. folders are made below the upload's folder. As nobody can be asked any more, what is in the way of
    // name or folders is passed over ("name (2)"). Throws as received, and notFound when the folder is gone.
    CommittedFile finish(const Writing& writing, std::span<const StoredChunk> chunks, std::span<const FileName> folders,
                         const WholeHash& whole);
    void endWriting(const Writing& writing);  // another may write at once
    static constexpr Timestamp leaseUs = 10 * secondUs;

    // Multipart and batch: an upload that lives as long as its request.
    UploadId openIntake(UserId owner);
    // Several at once, in one transaction; throws quotaExceeded when their bytes are to be reserved.
    std::vector<PinnedChunk> pinAll(UploadId intake, std::span<const DeclaredChunk> chunks,
                                    Reserve reserve = Reserve::bytes);
    // openIntake and pinAll in one transaction, for small files.
    UploadId openIntake(UserId owner, std::span<const DeclaredChunk> chunks, std::vector<PinnedChunk>& pinned,
                        Reserve reserve = Reserve::bytes);
    // storedAll and the commit of the good files and the end of the intake, in one transaction; each file is its own
    // savepoint. lastStored: what was not given to storedAll yet. A COMMIT whose answer is lost is resolved by the
    // intake's row, which stays for some minutes where that can be. owner: the one it was opened for.
    std::vector<FileOutcome> commitFiles(UserId owner, UploadId intake, std::span<const StoredChunk> lastStored,
                                         std::span<const NewFile> files);
    void storedAll(UploadId intake, std::span<const StoredChunk> chunks);

  private:
    void requireQuorum(std::span<const StoredChunk> chunks) const;
    // Under the owner's lock: makes the file of an open upload's chunks, and raises seq. root: as the client computed
    // it; nullopt: as it is.
    CommittedFile commitOpen(Session& session, OwnerRow& owner, const OpenUpload& open, FileId folder,
                             const std::optional<Sha256Digest>& root, const WholeHash& whole, OnConflict onConflict,
                             ChangeNotes& notes);
    // Of an upload whose bytes come in order: records chunks, and gives the upload as it was, under its row's lock.
    OpenUpload recordInOrder(Session& session, const Writing& writing, std::span<const StoredChunk> chunks,
                             std::int64_t offset, Timestamp now);

    Database& database_;
    Clock clock_;
    UploadLimits limits_;
    TreeLimits treeLimits_;
    std::int64_t defaultQuota_;
};

}  // namespace chunkvault::catalog
