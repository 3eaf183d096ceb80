#include "database/catalog/upload_chunks.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "common/error/error.h"
#include "database/catalog/batch.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

struct Pinned {
    ChunkRow row;
    Generation generation;
    std::int64_t size;
};

// The rows of the chunks, made, alive and locked.
std::unordered_map<ChunkId, Pinned> lockChunks(Session& session, std::span<const DeclaredChunk> chunks, Timestamp now) {
    static const BatchSql sql(
        "INSERT INTO chunks (created_at, state, generation, hash, size)"
        " WITH w (hash, size) AS (VALUES {rows})"
        " SELECT CAST($1 AS BIGINT), 'live', 1, hash, size FROM w WHERE 1 = 1 ORDER BY hash"
        " ON CONFLICT (hash) DO UPDATE SET state = 'live',"
        " generation = chunks.generation + CASE WHEN chunks.state = 'removing' THEN 1 ELSE 0 END"
        " RETURNING hash, id, generation, size",
        1, 2);
    std::map<ChunkId, std::int64_t> wanted;
    for (const DeclaredChunk& chunk : chunks) wanted.emplace(chunk.id, chunk.length);
    std::vector<Value> rows;
    for (const auto& [id, length] : wanted) {
        rows.emplace_back(id);
        rows.emplace_back(length);
    }
    std::unordered_map<ChunkId, Pinned> pinned;
    sql.query(session, {now}, rows, [&](const Row& row) {
        pinned[row.digest(0)] = {row.id<ChunkRow>(1), row.integer(2), row.integer(3)};
    });
    return pinned;
}

}  // namespace

std::vector<PinnedChunk> pinChunks(Session& session, UploadId upload, std::span<const DeclaredChunk> chunks,
                                   Timestamp now) {
    static const BatchSql sql(
        "INSERT INTO upload_chunks (upload_id, stored, idx, length, chunk_id)"
        " WITH w (idx, length, chunk_id) AS (VALUES {rows})"
        " SELECT CAST($1 AS BIGINT), 0, idx, length, chunk_id FROM w WHERE 1 = 1"
        " ON CONFLICT (upload_id, idx) DO UPDATE SET length = excluded.length, chunk_id = excluded.chunk_id,"
        " stored = CASE WHEN upload_chunks.chunk_id = excluded.chunk_id THEN upload_chunks.stored ELSE 0 END",
        1, 3);
    const auto locked = lockChunks(session, chunks, now);
    std::vector<PinnedChunk> pinned;
    std::vector<Value> rows;
    for (const DeclaredChunk& chunk : chunks) {
        const Pinned& found = locked.at(chunk.id);
        if (found.size != chunk.length)
            throw Error(ErrorCode::checksumMismatch,
                        "The chunk's length does not go with its SHA-256. Read the file again.");
        pinned.push_back({chunk.index, found.row, found.generation});
        rows.insert(rows.end(), {chunk.index, chunk.length, found.row});
    }
    sql.executeLater(session, {upload}, rows);
    return pinned;
}

void recordStored(Session& session, UploadId upload, std::span<const StoredChunk> chunks, Timestamp now) {
    static const std::string select =
        "INSERT INTO replicas (chunk_id, store_id, state, verified_at)"
        " WITH w (chunk_id, store_id, generation) AS (VALUES {rows})"
        " SELECT k.id, s.id, 'good', CAST($1 AS BIGINT) FROM w JOIN chunks k ON k.id = w.chunk_id"
        " AND k.generation = w.generation AND k.state = 'live'"
        " JOIN stores s ON s.id = w.store_id AND s.state <> 'removed' WHERE 1 = 1 ORDER BY k.id, s.id";
    static const std::string update =
        " ON CONFLICT (chunk_id, store_id) DO UPDATE SET state = 'good', verified_at = excluded.verified_at";
    // As in Chunks::replicaGood.
    static const BatchSql replicas(select + update, 1, 3), replicasHeld(select + " FOR KEY SHARE OF k" + update, 1, 3);
    static const BatchSql stored(
        "WITH w (idx, chunk_id) AS (VALUES {rows}) UPDATE upload_chunks SET stored = 1 FROM w"
        " WHERE upload_chunks.upload_id = $1 AND upload_chunks.idx = w.idx AND upload_chunks.chunk_id = w.chunk_id",
        1, 2);
    std::set<std::tuple<ChunkRow, StoreRow, Generation>> copies;
    std::vector<Value> rows;
    for (const StoredChunk& chunk : chunks) {
        for (const StoreRow store : chunk.stores) copies.emplace(chunk.row, store, chunk.generation);
        rows.insert(rows.end(), {chunk.index, chunk.row});
    }
    std::vector<Value> copyRows;
    for (const auto& [chunk, store, generation] : copies) copyRows.insert(copyRows.end(), {chunk, store, generation});
    (session.isPostgres() ? replicasHeld : replicas).executeLater(session, {now}, copyRows);
    stored.executeLater(session, {upload}, rows);
}

std::vector<std::int64_t> pinPresent(Session& session, UploadId upload, UserId owner,
                                     std::span<const DeclaredChunk> chunks, int writeQuorum) {
    static const std::string select =
        "WITH w (hash, size) AS (VALUES {rows})"
        " SELECT k.hash, k.size, k.id FROM w JOIN chunks k ON k.hash = w.hash AND k.size = w.size AND k.state = 'live'"
        " WHERE (EXISTS (SELECT 1 FROM content_chunks cc JOIN contents c ON c.id = cc.content_id"
        "              WHERE cc.chunk_id = k.id AND c.owner_id = $1)"
        "      OR EXISTS (SELECT 1 FROM upload_chunks u WHERE u.upload_id = $2 AND u.chunk_id = k.id AND u.stored = 1))"
        " AND (SELECT COUNT(*) FROM replicas r JOIN stores s ON s.id = r.store_id"
        "      WHERE r.chunk_id = k.id AND r.state = 'good' AND s.state IN " +
        std::string(liveStates) + ") >= $3";
    static const BatchSql look(select, 3, 2), lookAndHold(select + " FOR KEY SHARE OF k", 3, 2);
    static const BatchSql pin(
        "INSERT INTO upload_chunks (upload_id, stored, idx, length, chunk_id)"
        " WITH w (idx, length, chunk_id) AS (VALUES {rows})"
        " SELECT CAST($1 AS BIGINT), 1, idx, length, chunk_id FROM w WHERE 1 = 1"
        " ON CONFLICT (upload_id, idx) DO UPDATE SET length = excluded.length, chunk_id = excluded.chunk_id,"
        " stored = 1",
        1, 3);
    std::set<std::pair<ChunkId, std::int64_t>> asked;
    for (const DeclaredChunk& chunk : chunks) asked.emplace(chunk.id, chunk.length);
    std::vector<Value> rows;
    for (const auto& [id, length] : asked) {
        rows.emplace_back(id);
        rows.emplace_back(length);
    }
    std::unordered_map<ChunkId, Pinned> present;
    (session.isPostgres() ? lookAndHold : look).query(session, {owner, upload, writeQuorum}, rows, [&](const Row& row) {
        present[row.digest(0)] = {row.id<ChunkRow>(2), 0, row.integer(1)};
    });
    std::vector<std::int64_t> missing;
    std::map<std::int64_t, const DeclaredChunk*> pinned;  // of one index the last
    for (const DeclaredChunk& chunk : chunks) {
        const auto found = present.find(chunk.id);
        if (found == present.end() || found->second.size != chunk.length) missing.push_back(chunk.index);
        else pinned[chunk.index] = &chunk;
    }
    std::vector<Value> pins;
    for (const auto& [index, chunk] : pinned)
        pins.insert(pins.end(), {index, chunk->length, present.at(chunk->id).row});
    pin.executeLater(session, {upload}, pins);
    return missing;
}

}  // namespace chunkvault::catalog
