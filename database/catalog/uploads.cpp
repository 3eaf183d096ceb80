#include "database/catalog/uploads.h"

#include <algorithm>
#include <cassert>

#include "common/error/error.h"
#include "database/catalog/contents.h"
#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"
#include "database/catalog/share_rows.h"
#include "database/catalog/upload_chunks.h"
#include "database/catalog/upload_rows.h"

namespace chunkvault::catalog {

namespace {

constexpr Timestamp committedIntakeUs = 10 * minuteUs;  // for those who lost the COMMIT's answer and look

// An intake lives for an hour after its last chunks were pinned, and as long as the slowest client may take for the
// next ones.
constexpr std::int64_t slowestBytesPerS = 1 << 10, mostBytesAtOnce = 8 << 20;

Timestamp intakeEnd(Timestamp now, std::int64_t chunkSize) {
    return now + hourUs + std::max(chunkSize, mostBytesAtOnce) / slowestBytesPerS * secondUs;
}

std::string_view textOf(OnConflict policy) {
    switch (policy) {
        case OnConflict::version: return "version";
        case OnConflict::keepBoth: return "keep_both";
        case OnConflict::fail: break;
    }
    return "fail";
}

// Index and length must be those of a chunk of the upload, so that the pieces join without gaps.
void requireFit(const OpenUpload& upload, const DeclaredChunk& chunk) {
    if (upload.isIntake) return;
    const std::int64_t count = chunkCountFor(upload.size, upload.chunkSize);
    if (chunk.index < 0 || chunk.index >= count)
        throw Error(ErrorCode::invalidValue, "Chunk " + std::to_string(chunk.index) +
                                                 " is not one of this upload, which has " + std::to_string(count) +
                                                 " (from 0 on).");
    const std::int64_t expected = std::min(upload.chunkSize, upload.size - chunk.index * upload.chunkSize);
    if (chunk.length != expected)
        throw Error(ErrorCode::invalidValue, "Chunk " + std::to_string(chunk.index) + " must have " +
                                                 std::to_string(expected) + " bytes, not " +
                                                 std::to_string(chunk.length) + '.');
}

std::int64_t bytesToReserve(std::span<const DeclaredChunk> chunks, Reserve reserve) {
    std::int64_t bytes = 0;
    if (reserve == Reserve::bytes)
        for (const DeclaredChunk& chunk : chunks) bytes += chunk.length;
    return bytes;
}

bool isCommitted(Session& session, UploadId intake) {
    const auto found = openUploadOf(session, intake);
    return found && found->state == UploadState::committed;
}

// Only a database behind a connection can commit without its answer arriving, and is asked then.
void closeCommitted(Session& session, UploadId intake, Timestamp now) {
    session.executeLater("DELETE FROM upload_chunks WHERE upload_id = $1", {intake});
    if (session.isPostgres())
        session.executeLater("UPDATE uploads SET state = 'committed', reserved = 0, expires_at = $1 WHERE id = $2",
                             {now + committedIntakeUs, intake});
    else session.executeLater("DELETE FROM uploads WHERE id = $1", {intake});
}

void requireFewOpen(Session& session, UserId owner, int maxOpen) {
    std::int64_t open = 0;
    session.query(
        "SELECT COUNT(*) FROM uploads WHERE owner_id = $1 AND state = 'open' AND upload_key IS NOT NULL"
        " AND request_id IS NULL",
        {owner}, [&](const Row& row) { open = row.integer(0); });
    if (open >= maxOpen)
        throw Error(ErrorCode::conflict,
                    "You have " + std::to_string(open) + " open uploads. Finish or end some of them first.");
}

// An upload of a guest holds its owner's quota, so it must begin soon.
constexpr Timestamp firstByteUs = hourUs;

void requireRoomInRequest(Session& session, Share request, std::int64_t size, int maxOpen) {
    countOpen(session, request);
    const std::int64_t files = request.arrivedFiles + request.openFiles;
    const std::int64_t bytes = request.arrivedBytes + request.openBytes;
    const RequestLimits& limits = request.limits;
    if (limits.maxFiles && files >= *limits.maxFiles)
        throw Error(ErrorCode::gone, "This link has taken as many files as it may. Ask its owner for a new one.");
    if (limits.maxFileBytes && size > *limits.maxFileBytes)
        throw Error(ErrorCode::payloadTooLarge, "A file may have at most " + std::to_string(*limits.maxFileBytes) +
                                                    " bytes here, and this one has " + std::to_string(size) + '.');
    if (limits.maxBytes && size > *limits.maxBytes - bytes)
        throw Error(ErrorCode::payloadTooLarge,
                    "This link takes " + std::to_string(std::max<std::int64_t>(*limits.maxBytes - bytes, 0)) +
                        " bytes more, and this file has " + std::to_string(size) + '.');
    if (request.openFiles >= maxOpen)
        throw Error(ErrorCode::tooManyRequests, "Too many files are on their way by this link. Try again later.")
            .retryAfter(60);
}

// Whether what a committed upload made is still there, if only in the trash.
bool hasFile(Session& session, const Upload& committed) {
    bool there = false;
    session.query("SELECT 1 FROM versions WHERE file_id = $1 AND n = $2", {committed.file, committed.version},
                  [&](const Row&) { there = true; });
    if (!there) return false;
    try {
        (void)findEntry(session, committed.owner, committed.file);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::notFound) throw;
        return false;
    }
    return true;
}

[[noreturn]] void refuseTakenAtCommit(const FileName& name) {
    throw Error(ErrorCode::nameTaken, "There is something named \"" + name.text() +
                                          "\" in this folder already. Nothing has to be sent again: commit with "
                                          "on_conflict \"keep_both\", or with \"version\" if it is a file.");
}

}  // namespace

Uploads::Uploads(Database& database, Clock clock, UploadLimits limits, TreeLimits treeLimits, std::int64_t defaultQuota)
    : database_(database),
      clock_(std::move(clock)),
      limits_(limits),
      treeLimits_(treeLimits),
      defaultQuota_(defaultQuota) {}

Upload Uploads::create(UserId owner, const NewUpload& wanted, bool* created) {
    if (chunkCountFor(wanted.size, limits_.chunkSize) > limits_.maxChunks)
        throw Error(ErrorCode::invalidValue, "The file is larger than this server takes: at most " +
                                                 std::to_string(limits_.maxChunks) + " chunks of " +
                                                 std::to_string(limits_.chunkSize) + " bytes.");
    UploadId id{};
    bool isNew = false;
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        OwnerRow row = lockOwner(session, owner);
        isNew = false;
        if (const auto earlier = findUploadByKey(session, owner, wanted.key)) {
            id = earlier->id;
            const bool committed = earlier->state == UploadState::committed;
            const bool alive = committed ? hasFile(session, *earlier)
                                         : earlier->state == UploadState::open && earlier->expiresAt > now;
            if (alive) {
                const bool same = earlier->folder == wanted.folder && earlier->name == wanted.name.text() &&
                                  earlier->size == wanted.size &&
                                  wanted.modifiedAt.value_or(earlier->modifiedAt) == earlier->modifiedAt &&
                                  earlier->onConflict == wanted.onConflict;
                if (!same)
                    throw Error(ErrorCode::conflict,
                                "This key belongs to an upload of another file, size, time or place. Use a new key.");
                return;
            }
            if (!committed) endUpload(session, row, *openUploadOf(session, id), defaultQuota_);
            session.execute("UPDATE uploads SET upload_key = NULL WHERE id = $1", {id});
        }
        requireLiveFolder(session, owner, wanted.folder);
        Timestamp expiresAt = now + limits_.keepDays * dayUs;
        if (wanted.request) {
            const Share request = requireOpenRequest(session, *wanted.request, now);
            requireRoomInRequest(session, request, wanted.size, limits_.maxOpenPerOwner);
            expiresAt = std::min(now + firstByteUs, request.expiresAt.value_or(expiresAt));
        } else {
            requireFewOpen(session, owner, limits_.maxOpenPerOwner);
        }
        // By tus a name is settled when the last byte has come.
        const auto taken = wanted.inOrder ? std::nullopt : findByName(session, wanted.folder, wanted.name);
        if (taken && (wanted.onConflict == OnConflict::fail ||
                      (wanted.onConflict == OnConflict::version && taken->kind == Kind::folder)))
            refuseTakenName(wanted.name);
        addReserved(session, row, wanted.size, defaultQuota_);
        const Timestamp modifiedAt = wanted.modifiedAt.value_or(now);
        FileId file{};
        if (taken && wanted.onConflict == OnConflict::version) {
            file = taken->id;
        } else {
            session.query(
                "INSERT INTO files (owner_id, folder_id, kind, state, name, name_key, modified_at, created_at, "
                "updated_at)"
                " VALUES ($1, $2, 1, 'reserved', $3, $4, $5, $6, $6) RETURNING id",
                {owner, wanted.folder, wanted.name.text(), wanted.name.key(), modifiedAt, now},
                [&](const Row& made) { file = made.id<FileId>(0); });
        }
        session.query(
            "INSERT INTO uploads (owner_id, upload_key, state, folder_id, name, name_key, size, chunk_size, "
            "modified_at,"
            " on_conflict, file_id, reserved, created_at, expires_at, received, metadata, request_id)"
            " VALUES ($1, $2, 'open', $3, $4, $5, $6, $7, $8, $9, $10, $6, $11, $12, $13, $14, $15) RETURNING id",
            {owner, wanted.key, wanted.folder, wanted.name.text(), wanted.name.key(), wanted.size, limits_.chunkSize,
             modifiedAt, textOf(wanted.onConflict), file, now, expiresAt,
             wanted.inOrder ? std::optional<std::int64_t>(0) : std::nullopt, wanted.metadata, wanted.request},
            [&](const Row& made) { id = made.id<UploadId>(0); });
        isNew = true;
    });
    if (created != nullptr) *created = isNew;
    return get(id);
}

Upload Uploads::get(UploadId upload, bool progress) {
    std::optional<Upload> found;
    database_.read([&](Session& session) {
        found = findUpload(session, upload);
        if (found && progress) readProgress(session, *found);
    });
    if (!found) throw Error(ErrorCode::notFound, "There is no upload with this id.");
    return std::move(*found);
}

std::optional<Upload> Uploads::openFor(UserId owner, FileId file) {
    std::optional<Upload> found;
    database_.read([&](Session& session) {
        found = findOpenUploadFor(session, owner, file);
        if (found) readProgress(session, *found);
    });
    return found;
}

std::vector<Upload> Uploads::list(UserId owner, int limit) {
    std::vector<Upload> uploads;
    database_.read([&](Session& session) { uploads = listOpenUploads(session, owner, clock_(), limit); });
    return uploads;
}

std::vector<std::int64_t> Uploads::have(UploadId upload, std::span<const DeclaredChunk> chunks) {
    std::vector<std::int64_t> missing;
    database_.write([&](Session& session) {
        const OpenUpload open = lockChunkedUpload(session, upload, clock_());
        for (const DeclaredChunk& chunk : chunks) requireFit(open, chunk);
        missing = pinPresent(session, upload, open.owner, chunks, limits_.writeQuorum);
    });
    return missing;
}

PinnedChunk Uploads::pin(UploadId upload, const DeclaredChunk& chunk) {
    PinnedChunk pinned{};
    database_.write([&](Session& session) {
        requireFit(lockChunkedUpload(session, upload, clock_()), chunk);
        pinned = pinChunks(session, upload, {&chunk, 1}, clock_()).front();
    });
    return pinned;
}

void Uploads::requireQuorum(std::span<const StoredChunk> chunks) const {
    for (const StoredChunk& chunk : chunks)
        if (static_cast<int>(chunk.stores.size()) < limits_.writeQuorum)
            throw Error(ErrorCode::unavailable, "Too few stores could keep the chunk. Send it again in a few seconds.")
                .retryAfter(5);
}

void Uploads::stored(UploadId upload, const StoredChunk& chunk) {
    requireQuorum({&chunk, 1});
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        (void)lockOpenUpload(session, upload, now);
        recordStored(session, upload, {&chunk, 1}, now);
        session.executeLater("UPDATE uploads SET expires_at = $1 WHERE id = $2",
                             {now + limits_.keepDays * dayUs, upload});
    });
}

CommittedFile Uploads::commit(UploadId upload, const Sha256Digest& root, std::optional<Sha256Digest> claimedSha256,
                              std::optional<OnConflict> onConflict) {
    std::optional<CommittedFile> result;
    const auto work = [&](Session& session) {
        result.reset();
        const Timestamp now = clock_();
        const auto seen = openUploadOf(session, upload);
        if (!seen) throw Error(ErrorCode::notFound, "There is no upload with this id.");
        OwnerRow owner = lockOwner(session, seen->owner);
        const auto locked = openUploadOf(session, upload);
        if (!locked) throw Error(ErrorCode::notFound, "There is no upload with this id.");
        if (locked->state == UploadState::committed) {
            result = committedBefore(session, *locked, root);
            return;
        }
        ChangeNotes notes(now);
        const OpenUpload open = lockChunkedUpload(session, upload, now);
        result = commitOpen(session, owner, open, open.folder, root, {claimedSha256, false},
                            onConflict.value_or(open.onConflict), notes);
    };
    try {
        database_.write(work);
    } catch (const CommitUnknown&) {
        database_.write(work);  // whether it happened is in the upload's row, which is read first
    }
    return std::move(*result);
}

CommittedFile Uploads::commitOpen(Session& session, OwnerRow& owner, const OpenUpload& open, FileId folder,
                                  const std::optional<Sha256Digest>& root, const WholeHash& whole,
                                  OnConflict onConflict, ChangeNotes& notes) {
    const Timestamp now = notes.now();
    const Range all{0, chunkCountFor(open.size, open.chunkSize)};
    const Sha256Digest actual = requireComplete(session, open.id, all, open.size, limits_.writeQuorum);
    if (root && actual != *root)
        throw Error(ErrorCode::checksumMismatch,
                    "The root of the chunks that arrived is " + actual.toHex() +
                        ", not the one announced. Compare the chunks with \"have\" and send those that differ.");
    requireLiveFolder(session, owner.id, folder);
    const ContentId content =
        contentOf(session, open.id, all, {owner.id, open.size, actual, whole.sha256, whole.verified, now});
    addReserved(session, owner, -open.reserved, defaultQuota_);
    const FileTarget target{folder, open.name(), onConflict, open.modifiedAt, open.file};
    CommittedFile made{};
    try {
        made = attachContent(session, owner, target, content, open.size, now, treeLimits_, defaultQuota_);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::nameTaken) refuseTakenAtCommit(target.name);
        throw;
    }
    session.executeLater(
        "UPDATE uploads SET state = 'committed', reserved = 0, file_id = $1, version = $2, new_version = $3, "
        "expires_at = $4 WHERE id = $5",
        {made.entry.id, made.entry.version, made.newVersion, now + limits_.keepDays * dayUs, open.id});
    session.executeLater("DELETE FROM upload_chunks WHERE upload_id = $1", {open.id});
    notes.committed(made);
    if (open.request) notes.arrived(*open.request, made.entry.id);
    bumpSeq(session, owner, notes);
    return made;
}

void Uploads::end(UploadId upload) {
    database_.write([&](Session& session) {
        const auto seen = openUploadOf(session, upload);
        if (!seen) return;
        OwnerRow owner = lockOwnerInAnyState(session, seen->owner);
        if (const auto now = openUploadOf(session, upload); now && now->state == UploadState::open)
            endUpload(session, owner, *now, defaultQuota_);
    });
}

void Uploads::endIntakes() {
    std::vector<UploadId> open;
    database_.read([&](Session& session) {
        open.clear();
        session.query("SELECT id FROM uploads WHERE upload_key IS NULL AND state = 'open'", {},
                      [&](const Row& row) { open.push_back(row.id<UploadId>(0)); });
    });
    for (const UploadId intake : open) end(intake);
    database_.write(
        [](Session& session) { session.execute("UPDATE uploads SET lease = 0, lease_until = 0 WHERE lease <> 0"); });
}

int Uploads::expire(int limit) {
    std::int64_t closed = 0;
    database_.write([&](Session& session) {
        closed = session.execute(
            "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires_at <= $1 AND upload_key IS NULL"
            " AND state = 'committed' ORDER BY expires_at LIMIT $2)",
            {clock_(), limit});
    });
    std::vector<OpenUpload> over;
    database_.read([&](Session& session) { over = expiredUploads(session, clock_(), limit); });
    for (const OpenUpload& upload : over)
        database_.write([&](Session& session) {
            OwnerRow owner = lockOwnerInAnyState(session, upload.owner);
            const auto now = openUploadOf(session, upload.id);
            if (!now || now->expiresAt > clock_()) return;
            if (now->state == UploadState::open) endUpload(session, owner, *now, defaultQuota_);
            session.execute("DELETE FROM upload_chunks WHERE upload_id = $1", {upload.id});
            session.execute("DELETE FROM uploads WHERE id = $1", {upload.id});
        });
    return static_cast<int>(closed) + static_cast<int>(over.size());
}

UploadId Uploads::openIntake(UserId owner) {
    std::vector<PinnedChunk> none;
    return openIntake(owner, {}, none);
}

UploadId Uploads::openIntake(UserId owner, std::span<const DeclaredChunk> chunks, std::vector<PinnedChunk>& pinned,
                             Reserve reserve) {
    UploadId id{};
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        const std::int64_t bytes = bytesToReserve(chunks, reserve);
        if (bytes > 0) {
            OwnerRow row = lockOwner(session, owner);
            addReserved(session, row, bytes, defaultQuota_);
        }
        session.query(
            "INSERT INTO uploads (owner_id, state, chunk_size, reserved, created_at, expires_at)"
            " VALUES ($1, 'open', $2, $3, $4, $5) RETURNING id",
            {owner, limits_.chunkSize, bytes, now, intakeEnd(now, limits_.chunkSize)},
            [&](const Row& made) { id = made.id<UploadId>(0); });
        pinned = pinChunks(session, id, chunks, now);
    });
    return id;
}

std::vector<PinnedChunk> Uploads::pinAll(UploadId intake, std::span<const DeclaredChunk> chunks, Reserve reserve) {
    std::vector<PinnedChunk> pinned;
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        const auto seen = openUploadOf(session, intake);
        if (!seen) throw Error(ErrorCode::uploadExpired, "The upload has ended. Begin it again.");
        const std::int64_t bytes = bytesToReserve(chunks, reserve);
        std::optional<OwnerRow> owner;
        if (bytes > 0) owner = lockOwner(session, seen->owner);
        (void)lockOpenUpload(session, intake, now);
        if (owner) addReserved(session, *owner, bytes, defaultQuota_);
        session.executeLater("UPDATE uploads SET reserved = reserved + $1, expires_at = $2 WHERE id = $3",
                             {bytes, intakeEnd(now, limits_.chunkSize), intake});
        pinned = pinChunks(session, intake, chunks, now);
    });
    return pinned;
}

void Uploads::storedAll(UploadId intake, std::span<const StoredChunk> chunks) {
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        (void)lockOpenUpload(session, intake, now);
        recordStored(session, intake, chunks, now);
    });
}

std::vector<FileOutcome> Uploads::commitFiles(UserId ownerId, UploadId intake, std::span<const StoredChunk> lastStored,
                                              std::span<const NewFile> files) {
    std::vector<FileOutcome> outcomes;
    bool mayBeCommitted = false;
    const auto work = [&](Session& session) {
        const Timestamp now = clock_();
        OwnerRow owner = lockOwner(session, ownerId);
        if (mayBeCommitted && isCommitted(session, intake)) return;  // outcomes are what was committed
        outcomes.clear();
        const OpenUpload open = lockOpenUpload(session, intake, now);
        assert(open.owner == owner.id);
        if (open.ownerState != UserState::active)
            throw Error(ErrorCode::unauthorized, "The account was disabled meanwhile. Nothing of it was kept.");
        recordStored(session, intake, lastStored, now);
        addReserved(session, owner, -open.reserved, defaultQuota_);
        ChangeNotes notes(now);
        FolderPaths folders(session, owner.id, treeLimits_, notes);
        for (const NewFile& file : files) {
            FileOutcome outcome;
            const OwnerRow before = owner;
            const std::size_t notedBefore = notes.size();
            try {
                session.savepoint([&] {
                    const Range range{file.firstChunk, file.chunkCount};
                    const Sha256Digest root = requireComplete(session, intake, range, file.size, limits_.writeQuorum);
                    const FileId folder = folders.make(file.folder, file.folders);
                    const ContentId content =
                        contentOf(session, intake, range, {owner.id, file.size, root, file.sha256, true, now});
                    const FileTarget target{folder, file.name, file.onConflict, file.modifiedAt, std::nullopt};
                    outcome.file =
                        attachContent(session, owner, target, content, file.size, now, treeLimits_, defaultQuota_);
                });
                notes.committed(*outcome.file);
            } catch (const SqlError&) {
                throw;
            } catch (const Error& error) {
                owner = before;
                folders.forget();
                notes.cutTo(notedBefore);
                outcome = {std::nullopt, error};
            }
            outcomes.push_back(std::move(outcome));
        }
        closeCommitted(session, intake, now);
        if (!notes.empty()) bumpSeq(session, owner, notes);
    };
    try {
        database_.writeOf(ownerId, work);
    } catch (const CommitUnknown&) {
        mayBeCommitted = true;
        database_.writeOf(ownerId, work);
    }
    return outcomes;
}

}  // namespace chunkvault::catalog
