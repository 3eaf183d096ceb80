#include "database/catalog/chunks.h"

#include <algorithm>
#include <unordered_set>

#include "common/error/error.h"
#include "database/catalog/batch.h"
#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/rows.h"
#include "database/catalog/store_rows.h"

namespace chunkvault::catalog {

namespace {

// Rows "chunk columns, replica's store, its state, the store's state", all of a chunk together, as audits.
// The column list goes with auditRows.
constexpr std::string_view auditColumns =
    "k.id, k.hash, k.size, k.generation, k.created_at, r.store_id, r.state, s.state";
constexpr std::string_view auditJoins =
    " LEFT JOIN replicas r ON r.chunk_id = k.id LEFT JOIN stores s ON s.id = r.store_id ";

void addAuditRow(std::vector<ChunkAudit>& audits, const Row& row) {
    const auto chunk = row.id<ChunkRow>(0);
    if (audits.empty() || audits.back().row != chunk)
        audits.push_back({chunk, row.digest(1), row.integer(2), row.integer(3), row.integer(4), {}, {}});
    if (row.isNull(5) || !isLive(storeStateOf(row.text(7)))) return;
    ChunkAudit& audit = audits.back();
    (row.text(6) == "good" ? audit.good : audit.bad).push_back(row.id<StoreRow>(5));
}

std::vector<ChunkAudit> auditRows(Session& session, const std::string& sql, std::initializer_list<Value> values) {
    std::vector<ChunkAudit> audits;
    session.query(sql, values, [&](const Row& row) { addAuditRow(audits, row); });
    return audits;
}

// What repair has to look at: known to be wanted, or kept somewhere.
constexpr std::string_view isKept =
    " c.state = 'live' AND (EXISTS (SELECT 1 FROM content_chunks cc WHERE cc.chunk_id = c.id)"
    "   OR EXISTS (SELECT 1 FROM replicas p WHERE p.chunk_id = c.id)) ";

const std::string chunkWindow =
    "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM chunks WHERE id > $1 ORDER BY id LIMIT $2) near";

// Each once, as the rows of a batch.
std::vector<Value> distinct(std::span<const ChunkId> ids) {
    std::vector<Value> rows;
    std::unordered_set<ChunkId> seen;
    for (const ChunkId& id : ids)
        if (seen.insert(id).second) rows.emplace_back(id);
    return rows;
}

}  // namespace

Chunks::Chunks(Database& database, Clock clock, int replicationFactor)
    : database_(database), clock_(std::move(clock)), replicationFactor_(replicationFactor) {}

std::string Chunks::vaultId() {
    std::string id;
    database_.write([&](Session& session) {
        requireVault(session, clock_());
        session.query("SELECT vault_id FROM vault WHERE one = 1", {}, [&](const Row& row) { id = row.text(0); });
    });
    return id;
}

StoreRow Chunks::registerStore(const StoreRegistration& store) {
    StoreRow row{};
    database_.write([&](Session& session) {
        row = recordReport(session,
                           {.nodeId = store.nodeId,
                            .storeId = store.uuid,
                            .zone = store.zone,
                            .url = store.endpoint,
                            .capacityBytes = store.capacityBytes,
                            .freeBytes = store.freeBytes,
                            .mounted = false,
                            .catalogSeq = 0,
                            .problem = ""},
                           databaseNow(session), {})
                  .row;
    });
    return row;
}

void Chunks::setStoreState(StoreRow store, StoreState state) {
    // One that cannot be used now is still to be emptied, if it was.
    const bool keepsDrain = state == StoreState::down || state == StoreState::suspect;
    const bool drain = state == StoreState::draining || state == StoreState::drained;
    database_.write([&](Session& session) {
        const Timestamp now = databaseNow(session);
        session.execute("UPDATE stores SET state = $1, state_since = $2 WHERE id = $3", {textOf(state), now, store});
        if (keepsDrain) return;
        session.execute("UPDATE stores SET drain = $1, drained_at = $2 WHERE id = $3",
                        {drain, state == StoreState::drained ? std::optional<std::int64_t>(now) : std::nullopt, store});
    });
}

std::vector<Store> Chunks::stores(bool countReplicas) {
    static const std::string from = " FROM stores s WHERE s.uuid <> '' ORDER BY s.id",
                             plain = "SELECT " + std::string(storeColumns) + from,
                             counted = "SELECT " + std::string(storeColumns) + std::string(storeReplicas) + from;
    std::vector<Store> stores;
    database_.read([&](Session& session) {
        stores.clear();
        session.query(countReplicas ? counted : plain, {},
                      [&](const Row& row) { stores.push_back(storeOf(row, countReplicas)); });
    });
    return stores;
}

std::vector<ContentChunk> Chunks::layout(ContentId content, std::int64_t fromOffset, int limit) {
    // From the chunk on that contains fromOffset: the last that begins at or before it.
    static const std::string sql =
        "SELECT cc.idx, cc.byte_offset, cc.length, k.id, k.hash, k.generation, r.store_id, r.state"
        " FROM (SELECT idx, byte_offset, length, chunk_id FROM content_chunks WHERE content_id = $1"
        "       AND byte_offset >= (SELECT MAX(byte_offset) FROM content_chunks WHERE content_id = $1 AND byte_offset "
        "<= $2)"
        "       AND byte_offset + length > $2 ORDER BY byte_offset LIMIT $3) cc"
        " JOIN chunks k ON k.id = cc.chunk_id"
        " LEFT JOIN replicas r ON r.chunk_id = k.id AND EXISTS ("
        "   SELECT 1 FROM stores s WHERE s.id = r.store_id AND s.state <> 'removed') ORDER BY cc.idx";
    std::vector<ContentChunk> chunks;
    database_.read([&](Session& session) {
        chunks.clear();
        session.query(sql, {content, fromOffset, limit}, [&](const Row& row) {
            if (chunks.empty() || chunks.back().index != row.integer(0))
                chunks.push_back({row.integer(0),
                                  row.integer(1),
                                  row.integer(2),
                                  row.id<ChunkRow>(3),
                                  row.digest(4),
                                  row.integer(5),
                                  {},
                                  {}});
            if (row.isNull(6)) return;
            ContentChunk& chunk = chunks.back();
            (row.text(7) == "good" ? chunk.stores : chunk.doubtful).push_back(row.id<StoreRow>(6));
        });
    });
    return chunks;
}

ContentSafety Chunks::safety(ContentId content) {
    static const std::string sql =
        "SELECT MIN(copies), MIN(oldest) FROM (SELECT COUNT(s.id) AS copies, MIN(r.verified_at) AS oldest"
        " FROM content_chunks cc LEFT JOIN replicas r ON r.chunk_id = cc.chunk_id AND r.state = 'good'"
        " LEFT JOIN stores s ON s.id = r.store_id AND s.state IN " +
        std::string(liveStates) + " WHERE cc.content_id = $1 GROUP BY cc.idx) each_chunk";
    ContentSafety safety{replicationFactor_, replicationFactor_, std::nullopt};
    database_.read([&](Session& session) {
        session.query(sql, {content}, [&](const Row& row) {
            safety.copiesPresent = row.maybeInteger(0).value_or(replicationFactor_);
            safety.lastVerifiedAt = row.maybeInteger(1);
        });
    });
    return safety;
}

void Chunks::replicaGood(ChunkRow chunk, StoreRow store, Generation generation) {
    static const std::string
        select =
            "INSERT INTO replicas (chunk_id, store_id, state, verified_at)"
            " SELECT k.id, s.id, 'good', CAST($1 AS BIGINT) FROM chunks k JOIN stores s ON s.id = $2"
            " WHERE k.id = $3 AND k.generation = $4 AND k.state = 'live' AND s.state <> 'removed'",
        update = " ON CONFLICT (chunk_id, store_id) DO UPDATE SET state = 'good', verified_at = excluded.verified_at",
        // Waits for who raises the generation, and sees it then.
        sqlite = select + update, postgres = select + " FOR KEY SHARE OF k" + update;
    database_.write([&](Session& session) {
        session.execute(session.isPostgres() ? postgres : sqlite, {clock_(), store, chunk, generation});
    });
}

void Chunks::replicaBad(ChunkRow chunk, StoreRow store) {
    database_.write([&](Session& session) {
        session.execute("UPDATE replicas SET state = 'bad' WHERE chunk_id = $1 AND store_id = $2", {chunk, store});
    });
}

void Chunks::replicaDoubtful(ChunkRow chunk, StoreRow store) {
    database_.write([&](Session& session) {
        session.execute(
            "INSERT INTO replicas (chunk_id, store_id, state, verified_at)"
            " SELECT k.id, s.id, 'bad', CAST($1 AS BIGINT) FROM chunks k JOIN stores s ON s.id = $2"
            " WHERE k.id = $3 AND s.state <> 'removed' ON CONFLICT (chunk_id, store_id) DO NOTHING",
            {clock_(), store, chunk});
    });
}

void Chunks::forgetBad(ChunkRow chunk, StoreRow store) {
    database_.write([&](Session& session) {
        session.execute("DELETE FROM replicas WHERE chunk_id = $1 AND store_id = $2 AND state = 'bad'", {chunk, store});
    });
}

std::optional<ChunkRow> Chunks::find(const ChunkId& id) {
    std::optional<ChunkRow> found;
    database_.read([&](Session& session) {
        session.query("SELECT id FROM chunks WHERE hash = $1", {id},
                      [&](const Row& row) { found = row.id<ChunkRow>(0); });
    });
    return found;
}

std::optional<ChunkAudit> Chunks::audit(ChunkRow chunk) {
    static const std::string sql = "SELECT " + std::string(auditColumns) + " FROM chunks k" + std::string(auditJoins) +
                                   "WHERE k.id = $1 AND k.state = 'live'";
    std::vector<ChunkAudit> audits;
    database_.read([&](Session& session) { audits = auditRows(session, sql, {chunk}); });
    return audits.empty() ? std::nullopt : std::optional(std::move(audits.front()));
}

std::vector<ChunkAudit> Chunks::auditAfter(ChunkRow after, int limit) {
    static const std::string sql = "SELECT " + std::string(auditColumns) +
                                   " FROM (SELECT * FROM chunks c WHERE c.id > $1 AND" + std::string(isKept) +
                                   "   ORDER BY c.id LIMIT $2) k" + std::string(auditJoins) + "ORDER BY k.id";
    std::vector<ChunkAudit> audits;
    database_.read([&](Session& session) { audits = auditRows(session, sql, {after, limit}); });
    return audits;
}

std::vector<ChunkAudit> Chunks::auditOf(StoreRow store, ChunkRow after, int limit) {
    static const std::string sql = "SELECT " + std::string(auditColumns) +
                                   " FROM (SELECT c.* FROM replicas here JOIN chunks c ON c.id = here.chunk_id"
                                   "   WHERE here.store_id = $1 AND here.chunk_id > $2 AND c.state = 'live'"
                                   "   ORDER BY here.chunk_id LIMIT $3) k" +
                                   std::string(auditJoins) + "ORDER BY k.id";
    std::vector<ChunkAudit> audits;
    database_.read([&](Session& session) { audits = auditRows(session, sql, {store, after, limit}); });
    return audits;
}

std::vector<ChunkAudit> Chunks::auditHashes(std::span<const ChunkId> ids) {
    static const BatchSql sql("WITH w (hash) AS (VALUES {rows}) SELECT " + std::string(auditColumns) +
                                  " FROM w JOIN chunks k ON k.hash = w.hash AND k.state = 'live'" +
                                  std::string(auditJoins) + "ORDER BY k.id",
                              0, 1);
    std::vector<ChunkAudit> audits;
    const std::vector<Value> rows = distinct(ids);
    database_.read([&](Session& session) {
        audits.clear();
        sql.query(session, {}, rows, [&](const Row& row) { addAuditRow(audits, row); });
    });
    return audits;
}

UnderReplicated Chunks::underReplicatedAfter(ChunkRow after, int limit) {
    static const std::string sql =
        "SELECT " + std::string(auditColumns) + " FROM (SELECT * FROM chunks c WHERE c.id > $1 AND c.id <= $2 AND" +
        std::string(isKept) +
        "   AND ((SELECT COUNT(*) FROM replicas g JOIN stores t ON t.id = g.store_id WHERE g.chunk_id = c.id"
        "         AND g.state = 'good' AND t.state IN ('up', 'suspect')) < $3"
        "     OR (SELECT COUNT(*) FROM replicas g JOIN stores t ON t.id = g.store_id WHERE g.chunk_id = c.id"
        "         AND g.state = 'good' AND t.state IN ('up', 'draining')) < $4"
        "     OR EXISTS (SELECT 1 FROM replicas b JOIN stores t ON t.id = b.store_id WHERE b.chunk_id = c.id"
        "         AND b.state = 'bad' AND t.state IN " +
        std::string(liveStates) + "))) k" + std::string(auditJoins) + "ORDER BY k.id";
    UnderReplicated found;
    database_.read([&](Session& session) {
        found = {{}, after, 0};
        session.query(chunkWindow, {after, limit}, [&](const Row& row) {
            found.last = static_cast<ChunkRow>(row.maybeInteger(0).value_or(valueOf(after)));
            found.examined = row.integer(1);
        });
        if (found.examined > 0)
            found.chunks =
                auditRows(session, sql, {after, found.last, replicationFactor_, std::min(2, replicationFactor_)});
    });
    return found;
}

std::vector<ReplicaToScrub> Chunks::dueForScrub(StoreRow store, Timestamp verifiedBefore, int limit) {
    std::vector<ReplicaToScrub> due;
    database_.read([&](Session& session) {
        due.clear();
        session.query(
            "SELECT k.id, k.hash, k.size, k.generation, r.verified_at FROM replicas r JOIN chunks k ON k.id = "
            "r.chunk_id"
            " WHERE r.store_id = $1 AND r.verified_at < $2 AND r.state = 'good' AND k.state = 'live'"
            " ORDER BY r.verified_at LIMIT $3",
            {store, verifiedBefore, limit}, [&](const Row& row) {
                due.push_back({row.id<ChunkRow>(0), row.digest(1), row.integer(2), row.integer(3), row.integer(4)});
            });
    });
    return due;
}

void Chunks::scrubbed(StoreRow store, std::span<const ChunkRow> good) {
    static const BatchSql sql(
        "WITH w (chunk_id) AS (VALUES {rows}) UPDATE replicas SET verified_at = $1 FROM w"
        " WHERE replicas.chunk_id = w.chunk_id AND store_id = $2 AND state = 'good'",
        2, 1);
    if (good.empty()) return;
    std::vector<ChunkRow> sorted(good.begin(), good.end());
    std::ranges::sort(sorted);
    const std::vector<Value> rows(sorted.begin(), sorted.end());
    database_.write([&](Session& session) { sql.executeLater(session, {clock_(), store}, rows); });
}

std::optional<Timestamp> Chunks::oldestVerified() {
    static const std::string sql =
        "SELECT MIN(oldest) FROM (SELECT (SELECT MIN(r.verified_at) FROM replicas r WHERE r.store_id = s.id"
        " AND r.state = 'good') AS oldest"
        " FROM stores s WHERE s.state IN " +
        std::string(liveStates) + ") each_store";
    std::optional<Timestamp> oldest;
    database_.read(
        [&](Session& session) { session.query(sql, {}, [&](const Row& row) { oldest = row.maybeInteger(0); }); });
    return oldest;
}

Unreferenced Chunks::unreferencedAfter(Timestamp createdBefore, ChunkRow after, int limit) {
    static const std::string sql =
        "SELECT c.id, CASE WHEN c.state = 'live' THEN 1 ELSE 0 END FROM chunks c"
        " WHERE c.id > $1 AND c.id <= $2 AND c.created_at < $3"
        " AND NOT EXISTS (SELECT 1 FROM content_chunks cc WHERE cc.chunk_id = c.id)"
        " AND NOT EXISTS (SELECT 1 FROM upload_chunks u WHERE u.chunk_id = c.id)"
        " AND (c.state = 'live'"
        "   OR EXISTS (SELECT 1 FROM replicas p JOIN stores t ON t.id = p.store_id WHERE p.chunk_id = c.id"
        "     AND t.state IN " +
        std::string(liveStates) +
        ")"
        "   OR NOT EXISTS (SELECT 1 FROM replicas p JOIN stores t ON t.id = p.store_id WHERE p.chunk_id = c.id"
        "     AND t.state <> 'removed')) ORDER BY c.id";
    Unreferenced found;
    database_.read([&](Session& session) {
        found = {{}, 0, after, 0};
        session.query(chunkWindow, {after, limit}, [&](const Row& row) {
            found.last = static_cast<ChunkRow>(row.maybeInteger(0).value_or(valueOf(after)));
            found.examined = row.integer(1);
        });
        session.query(sql, {after, found.last, createdBefore}, [&](const Row& row) {
            found.chunks.push_back(row.id<ChunkRow>(0));
            if (row.truth(1)) ++found.fresh;
        });
    });
    return found;
}

std::optional<ChunkRemoval> Chunks::beginRemove(ChunkRow chunk) {
    static const std::string lockSqlite = "SELECT hash FROM chunks WHERE id = $1",
                             lockPostgres = lockSqlite + " FOR UPDATE";
    std::optional<ChunkRemoval> removal;
    database_.write([&](Session& session) {
        removal.reset();
        ChunkRemoval begun{};
        session.query(session.isPostgres() ? lockPostgres : lockSqlite, {chunk},
                      [&](const Row& row) { begun.id = row.digest(0); });
        session.query(
            "UPDATE chunks SET state = 'removing', generation = generation + 1 WHERE id = $1"
            " AND NOT EXISTS (SELECT 1 FROM content_chunks cc WHERE cc.chunk_id = chunks.id)"
            " AND NOT EXISTS (SELECT 1 FROM upload_chunks u WHERE u.chunk_id = chunks.id)"
            " AND NOT EXISTS (SELECT 1 FROM vault WHERE collection_held_at IS NOT NULL) RETURNING generation",
            {chunk}, [&](const Row& row) {
                begun.generation = row.integer(0);
                removal = begun;
            });
        if (!removal) return;
        // An upload of the same bytes makes them anew at a later generation. The rows say who has to answer yet.
        session.execute("UPDATE replicas SET state = 'bad' WHERE chunk_id = $1 AND state = 'good'", {chunk});
    });
    return removal;
}

std::optional<Generation> Chunks::forgetSurplus(ChunkRow chunk, StoreRow store) {
    static const std::string lockSqlite =
                                 "SELECT generation FROM chunks WHERE id = $1 AND state = 'live'"
                                 " AND NOT EXISTS (SELECT 1 FROM vault WHERE collection_held_at IS NOT NULL)",
                             lockPostgres = lockSqlite + " FOR UPDATE";
    std::optional<Generation> generation;
    database_.write([&](Session& session) {
        generation.reset();
        std::optional<Generation> now;
        session.query(session.isPostgres() ? lockPostgres : lockSqlite, {chunk},
                      [&](const Row& row) { now = row.integer(0); });
        if (!now) return;
        std::int64_t others = 0;
        session.query(
            "SELECT COUNT(*) FROM replicas r JOIN stores s ON s.id = r.store_id"
            " WHERE r.chunk_id = $1 AND r.store_id <> $2 AND r.state = 'good' AND s.state = 'up'",
            {chunk, store}, [&](const Row& row) { others = row.integer(0); });
        if (others < replicationFactor_) return;
        const auto forgotten =
            session.execute("DELETE FROM replicas WHERE chunk_id = $1 AND store_id = $2", {chunk, store});
        if (forgotten == 0) return;
        session.execute("UPDATE chunks SET generation = generation + 1 WHERE id = $1", {chunk});
        generation = now;
    });
    return generation;
}

bool Chunks::refuseCopy(ChunkRow chunk, StoreRow store) {
    static const std::string lockSqlite = "SELECT 1 FROM chunks WHERE id = $1 AND state = 'live'",
                             lockPostgres = lockSqlite + " FOR UPDATE";
    bool refused = false;
    database_.write([&](Session& session) {
        refused = false;
        session.query(session.isPostgres() ? lockPostgres : lockSqlite, {chunk}, [&](const Row&) { refused = true; });
        // In a statement of its own: it sees what was recorded while the lock was waited for.
        session.query("SELECT 1 FROM replicas WHERE chunk_id = $1 AND store_id = $2", {chunk, store},
                      [&](const Row&) { refused = false; });
        if (refused) session.execute("UPDATE chunks SET generation = generation + 1 WHERE id = $1", {chunk});
    });
    return refused;
}

std::int64_t Chunks::mostThereCanBe() {
    std::int64_t most = 0;
    database_.read([&](Session& session) {
        session.query("SELECT COALESCE(MAX(id), 0) FROM chunks", {}, [&](const Row& row) { most = row.integer(0); });
    });
    return most;
}

std::int64_t Chunks::count() {
    std::int64_t count = 0;
    database_.read([&](Session& session) {
        session.query("SELECT COUNT(*) FROM chunks", {}, [&](const Row& row) { count = row.integer(0); });
    });
    return count;
}

bool Chunks::finishRemove(ChunkRow chunk, Generation generation, std::span<const StoreRow> answered) {
    static const std::string lockSqlite =
                                 "SELECT 1 FROM chunks WHERE id = $1 AND state = 'removing' AND generation = $2",
                             lockPostgres = lockSqlite + " FOR UPDATE";
    static const BatchSql forget(
        "WITH w (store_id) AS (VALUES {rows}) DELETE FROM replicas WHERE chunk_id = $1"
        " AND store_id IN (SELECT store_id FROM w)",
        1, 1);
    const std::vector<Value> rows(answered.begin(), answered.end());
    bool removed = false;
    database_.write([&](Session& session) {
        removed = false;
        bool mine = false;
        session.query(session.isPostgres() ? lockPostgres : lockSqlite, {chunk, generation},
                      [&](const Row&) { mine = true; });
        if (!mine) return;
        forget.executeLater(session, {chunk}, rows);
        session.execute(
            "DELETE FROM replicas WHERE chunk_id = $1 AND store_id IN (SELECT id FROM stores WHERE state = 'removed')",
            {chunk});
        removed = session.execute(
                      "DELETE FROM chunks WHERE id = $1"
                      " AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.chunk_id = chunks.id)",
                      {chunk}) == 1;
    });
    return removed;
}

std::vector<ChunkId> Chunks::removing(std::span<const ChunkId> ids) {
    static const BatchSql sql(
        "WITH w (hash) AS (VALUES {rows}) SELECT k.hash FROM w JOIN chunks k ON k.hash = w.hash AND k.state = "
        "'removing'",
        0, 1);
    std::vector<ChunkId> removing;
    const std::vector<Value> rows = distinct(ids);
    database_.read([&](Session& session) {
        removing.clear();
        sql.query(session, {}, rows, [&](const Row& row) { removing.push_back(row.digest(0)); });
    });
    return removing;
}

ChunkTotals Chunks::totals() {
    static const std::string sql =
        "SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(SUM(CASE WHEN copies < $1 THEN 1 ELSE 0 END), 0),"
        " COALESCE(SUM(CASE WHEN copies = 0 THEN 1 ELSE 0 END), 0) FROM ("
        "  SELECT k.size AS size, COUNT(s.id) AS copies FROM chunks k"
        "    LEFT JOIN replicas r ON r.chunk_id = k.id AND r.state = 'good'"
        "    LEFT JOIN stores s ON s.id = r.store_id AND s.state IN " +
        std::string(liveStates) +
        "  WHERE k.state = 'live' AND EXISTS (SELECT 1 FROM content_chunks cc WHERE cc.chunk_id = k.id)"
        "  GROUP BY k.id, k.size) counted";
    ChunkTotals totals{};
    database_.read([&](Session& session) {
        session.query(sql, {replicationFactor_}, [&](const Row& row) {
            totals = {row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
        });
    });
    return totals;
}

std::vector<Chunks::Unverified> Chunks::unverifiedContents(ContentId after, int limit) {
    std::vector<Unverified> contents;
    database_.read([&](Session& session) {
        contents.clear();
        session.query(
            "SELECT id, size, sha256 FROM contents WHERE sha256_verified = 0 AND id > $1 ORDER BY id LIMIT $2",
            {after, limit}, [&](const Row& row) {
                contents.push_back({row.id<ContentId>(0), row.integer(1), row.maybeDigest(2).value_or(Sha256Digest())});
            });
    });
    return contents;
}

void Chunks::contentVerified(ContentId content, const Sha256Digest& sha256) {
    database_.write([&](Session& session) {
        std::optional<UserId> owner;
        session.query("SELECT owner_id FROM contents WHERE id = $1", {content},
                      [&](const Row& row) { owner = row.id<UserId>(0); });
        if (!owner) return;
        OwnerRow row = lockOwner(session, *owner);
        session.execute("UPDATE contents SET sha256 = $1, sha256_verified = 1 WHERE id = $2", {sha256, content});
        ChangeNotes notes(clock_());
        session.query(
            "SELECT f.id, f.folder_id FROM versions v JOIN files f ON f.id = v.file_id AND f.version = v.n"
            " WHERE v.content_id = $1 AND f.folder_id IS NOT NULL",
            {content},
            [&](const Row& file) { notes.entry(ChangeKind::changed, file.id<FileId>(0), file.id<FileId>(1)); });
        if (notes.empty()) notes.account();  // an old version's, told by no list
        bumpSeq(session, row, notes);
    });
}

}  // namespace chunkvault::catalog
