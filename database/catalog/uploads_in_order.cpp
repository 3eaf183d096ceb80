#include <algorithm>
#include <cassert>

#include "common/error/error.h"
#include "database/catalog/contents.h"
#include "database/catalog/database.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"
#include "database/catalog/share_rows.h"
#include "database/catalog/upload_chunks.h"
#include "database/catalog/upload_rows.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {

namespace {

// A tail is pinned beside the one that it replaces, which counts until the new one does.
constexpr std::int64_t oneTail = -1, otherTail = -2;

[[noreturn]] void refuseSecondWriter() {
    throw Error(ErrorCode::locked, "Another request is writing this upload. Ask for its offset in a few seconds.")
        .retryAfter(1);
}

// Who may still write: the holder of the lease, as long as its account and its link are good.
OpenUpload lockForWriting(Session& session, const Writing& writing, Timestamp now) {
    OpenUpload open = lockOpenUpload(session, writing.upload, now);
    if (open.lease != writing.lease) refuseSecondWriter();
    const bool passwordChanged = !open.request && open.ownerPasswordChangedAt != writing.passwordChangedAt;
    if (open.ownerState != UserState::active || passwordChanged)
        throw Error(ErrorCode::notFound, "There is no upload at this address.");
    return open;
}

std::optional<Writing::Tail> tailOf(Session& session, UploadId upload) {
    std::optional<Writing::Tail> tail;
    session.query(
        "SELECT u.idx, u.chunk_id, k.hash, u.length FROM upload_chunks u JOIN chunks k ON k.id = u.chunk_id"
        " WHERE u.upload_id = $1 AND u.idx < 0 AND u.stored = 1",
        {upload}, [&](const Row& row) {
            tail = {row.integer(0), row.id<ChunkRow>(1), row.digest(2), row.integer(3)};
        });
    return tail;
}

// Whether the chunks, in their order, go on where received ends and reach offset: then no byte is passed over.
bool isContinuation(const OpenUpload& open, std::span<const StoredChunk> chunks, std::int64_t offset) {
    std::int64_t next = *open.received / open.chunkSize;
    for (const StoredChunk& chunk : chunks) {
        if (chunk.index < 0) return &chunk == &chunks.back() && offset / open.chunkSize == next;
        if (chunk.index != next++) return false;
    }
    return offset == (chunks.empty() ? *open.received : std::min(next * open.chunkSize, open.size));
}

// An offset must never be acknowledged beyond what is pinned.
void requireCounts(Session& session, UploadId upload, const StoredChunk& chunk) {
    bool counts = false;
    session.query("SELECT 1 FROM upload_chunks WHERE upload_id = $1 AND idx = $2 AND chunk_id = $3 AND stored = 1",
                  {upload, chunk.index, chunk.row}, [&](const Row&) { counts = true; });
    if (!counts) throw Error(ErrorCode::internal, "An internal error occurred.", "a chunk of an upload is not pinned");
}

void renewLease(Session& session, const Writing& writing) {
    session.executeLater("UPDATE uploads SET lease_until = $1 WHERE id = $2",
                         {databaseNow(session) + Uploads::leaseUs, writing.upload});
}

}  // namespace

Writing Uploads::beginWriting(UploadId upload, std::int64_t offset) {
    Writing writing{};
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        const OpenUpload open = lockOpenUpload(session, upload, now);
        if (!open.received) throw Error(ErrorCode::conflict, "This upload was begun with POST /uploads, not with tus.");
        if (open.request) (void)requireOpenRequest(session, *open.request, now);
        const Timestamp leaseNow = databaseNow(session);
        if (open.lease != 0 && open.leaseUntil > leaseNow) refuseSecondWriter();
        if (*open.received != offset)
            throw Error(ErrorCode::conflict, "The upload has " + std::to_string(*open.received) +
                                                 " bytes; go on from there. HEAD says so as Upload-Offset.");
        writing = {upload, newStamp() | 1, open.ownerPasswordChangedAt, offset, tailOf(session, upload)};
        session.executeLater("UPDATE uploads SET lease = $1, lease_until = $2 WHERE id = $3",
                             {writing.lease, leaseNow + leaseUs, upload});
    });
    return writing;
}

void Uploads::keepWriting(const Writing& writing) {
    database_.write([&](Session& session) {
        (void)lockForWriting(session, writing, clock_());
        renewLease(session, writing);
    });
}

PinnedChunk Uploads::pinNext(const Writing& writing, std::int64_t index, const ChunkId& id, std::int64_t length) {
    PinnedChunk pinned{};
    database_.write([&](Session& session) {
        const Timestamp now = clock_();
        const OpenUpload open = lockForWriting(session, writing, now);
        const std::int64_t begin = index * open.chunkSize;
        assert(index >= 0 && length > 0 && begin + length <= open.size && length <= open.chunkSize);
        const bool isTail = length < std::min(open.chunkSize, open.size - begin);
        const std::int64_t tailIndex = writing.tail && writing.tail->index == oneTail ? otherTail : oneTail;
        const DeclaredChunk declared{isTail ? tailIndex : index, length, id};
        pinned = pinChunks(session, writing.upload, {&declared, 1}, now).front();
    });
    return pinned;
}

OpenUpload Uploads::recordInOrder(Session& session, const Writing& writing, std::span<const StoredChunk> chunks,
                                  std::int64_t offset, Timestamp now) {
    OpenUpload open = lockForWriting(session, writing, now);
    if (!isContinuation(open, chunks, offset))
        throw Error(ErrorCode::internal, "An internal error occurred.", "chunks of an upload do not follow each other");
    Timestamp expiresAt = now + limits_.keepDays * dayUs;
    if (open.request)
        expiresAt = std::min(expiresAt, requireOpenRequest(session, *open.request, now).expiresAt.value_or(expiresAt));
    recordStored(session, writing.upload, chunks, now);
    for (const StoredChunk& chunk : chunks) requireCounts(session, writing.upload, chunk);
    session.executeLater("UPDATE uploads SET received = $1, expires_at = $2, lease_until = $3 WHERE id = $4",
                         {offset, expiresAt, databaseNow(session) + leaseUs, writing.upload});
    // The former tail is in the first of these chunks; one that is pinned already, for after them, stays.
    const std::int64_t tail = chunks.empty() ? 0 : std::min<std::int64_t>(chunks.back().index, 0);
    if (!chunks.empty())
        session.executeLater("DELETE FROM upload_chunks WHERE upload_id = $1 AND idx < 0 AND idx <> $2 AND stored = 1",
                             {writing.upload, tail});
    return open;
}

void Uploads::received(Writing& writing, std::span<const StoredChunk> chunks, std::int64_t offset) {
    requireQuorum(chunks);
    database_.write([&](Session& session) { (void)recordInOrder(session, writing, chunks, offset, clock_()); });
    writing.offset = offset;
}

CommittedFile Uploads::finish(const Writing& writing, std::span<const StoredChunk> chunks,
                              std::span<const FileName> folders, const WholeHash& whole) {
    requireQuorum(chunks);
    std::optional<CommittedFile> result;
    const auto work = [&](Session& session) {
        result.reset();
        const Timestamp now = clock_();
        const auto seen = openUploadOf(session, writing.upload);
        if (!seen) throw Error(ErrorCode::notFound, "There is no upload with this id.");
        OwnerRow owner = lockOwner(session, seen->owner);
        if (const auto locked = openUploadOf(session, writing.upload);
            locked && locked->state == UploadState::committed && locked->lease == writing.lease) {
            result = committedBefore(session, *locked, std::nullopt);
            return;
        }
        const OpenUpload open = recordInOrder(session, writing, chunks, seen->size, now);
        ChangeNotes notes(now);
        const FileId folder =
            FolderPaths(session, owner.id, treeLimits_, notes, InTheWay::goRound).make(open.folder, folders);
        const auto taken = findByName(session, folder, open.name());
        const bool folderInTheWay = taken && taken->kind == Kind::folder;
        try {
            result = commitOpen(session, owner, open, folder, std::nullopt, whole,
                                folderInTheWay ? OnConflict::keepBoth : open.onConflict, notes);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::uploadIncomplete) throw;
            // What was received before cannot be sent again, but its copies are being made again.
            throw Error(ErrorCode::unavailable, "Too few stores hold parts of the upload now. Go on in a minute.",
                        error.publicMessage())
                .retryAfter(30);
        }
        if (open.request) countArrival(session, *open.request, open.size, now);
    };
    try {
        database_.write(work);
    } catch (const CommitUnknown&) {
        database_.write(work);  // whether it happened is in the upload's row, which is read first
    }
    return std::move(*result);
}

void Uploads::endWriting(const Writing& writing) {
    database_.write([&](Session& session) {
        session.executeLater("UPDATE uploads SET lease = 0, lease_until = 0 WHERE id = $1 AND lease = $2",
                             {writing.upload, writing.lease});
    });
}

}  // namespace chunkvault::catalog
