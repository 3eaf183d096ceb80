#include "database/catalog/nodes.h"

#include <algorithm>
#include <utility>

#include "common/error/error.h"
#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/rows.h"
#include "database/catalog/store_rows.h"

namespace chunkvault::catalog {

namespace {

// Above what a store has seen, so that what the other stores have seen is below it as well: a database that was put
// back once holds collection once.
constexpr std::int64_t seqLeap = 1'000'000'000;
constexpr int filesAtOnce = 2'000;      // of one query of filesAtRisk
constexpr int replicasAtOnce = 10'000;  // forgotten in one transaction

[[noreturn]] void refuseUnknown() {
    throw Error(ErrorCode::notFound, "There is no storage node with this id, or it was removed.");
}

// Under the lock of its row, which is not removed.
struct Locked {
    StoreState state;
    bool drain;
};
Locked lockStore(Session& session, StoreRow store) {
    static const std::string sqlite = "SELECT state, drain FROM stores WHERE id = $1",
                             postgres = sqlite + " FOR UPDATE";
    std::optional<Locked> found;
    session.query(session.isPostgres() ? postgres : sqlite, {store}, [&](const Row& row) {
        found = Locked{storeStateOf(row.text(0)), row.truth(1)};
    });
    if (!found || found->state == StoreState::removed) refuseUnknown();
    return *found;
}

void hold(Session& session, std::string_view why, Timestamp now) {
    session.execute(
        "UPDATE vault SET collection_held_why = CASE WHEN collection_held_at IS NULL THEN $1 ELSE collection_held_why "
        "END,"
        " collection_held_at = COALESCE(collection_held_at, $2) WHERE one = 1",
        {why, now});
}

struct Seen {
    Store store;
    bool reached;
    StoreState settled;  // its state when all is well
};

std::optional<StoreState> stateByAge(const Seen& seen, Timestamp now, const NodeTimes& times) {
    const Store& store = seen.store;
    const std::int64_t silentUs = now - store.lastSeenAt;
    const bool unreachable = !seen.reached && now - store.stateSince > times.downAfterUs;
    switch (store.state) {
        case StoreState::up:
        case StoreState::draining:
        case StoreState::drained:
        case StoreState::suspect: break;
        case StoreState::joining:  // brought up by being reached
        case StoreState::down:
        case StoreState::removed: return std::nullopt;
    }
    if (silentUs > times.downAfterUs || (store.state == StoreState::suspect && unreachable)) return StoreState::down;
    if (silentUs > times.suspectAfterUs || !store.problem.empty() || !seen.reached) return StoreState::suspect;
    return seen.settled;
}

}  // namespace

Nodes::Nodes(Database& database, int replicationFactor) : database_(database), replicationFactor_(replicationFactor) {}

NodeVerdict Nodes::report(const NodeReport& report, const NodeTimes& times) {
    NodeVerdict verdict{};
    database_.write([&](Session& session) {
        const Timestamp now = databaseNow(session);
        requireVault(session, now);
        const RecordedReport recorded = recordReport(session, report, now, times);
        if (recorded.outdatedBy) {
            verdict = {recorded.row, recorded.state, 0, false, recorded.outdatedBy};
            return;
        }
        // Last: all reports wait for each other here.
        std::int64_t seq = 0;
        session.query("UPDATE vault SET seq = seq + 1 WHERE one = 1 RETURNING seq", {},
                      [&](const Row& row) { seq = row.integer(0); });
        if (report.catalogSeq >= seq) {
            const std::string why = "The storage node \"" + report.nodeId + "\" has seen the catalog at " +
                                    std::to_string(report.catalogSeq) + ", and the database is at " +
                                    std::to_string(seq - 1) +
                                    ": it was put back to an earlier state. Chunks that were stored since are unknown "
                                    "to it.";
            seq = report.catalogSeq + seqLeap;
            session.execute("UPDATE vault SET seq = $1 WHERE one = 1", {seq});
            hold(session, why, now);
        }
        verdict = {recorded.row, recorded.state, seq, recorded.mustBeReached, std::nullopt};
    });
    return verdict;
}

void Nodes::requireMayFormat(std::string_view nodeId, std::string_view url, bool mounted, const NodeTimes& times) {
    database_.write([&](Session& session) {
        catalog::requireMayFormat(session, nodeId, url, mounted, databaseNow(session), times);
    });
}

void Nodes::reached(StoreRow store) {
    database_.write([&](Session& session) {
        session.execute(
            "UPDATE stores SET reached = 1, state = CASE WHEN drain = 0 THEN 'up' WHEN drained_at IS NULL THEN "
            "'draining' ELSE 'drained' END,"
            " state_since = CASE WHEN state IN ('up', 'draining', 'drained') THEN state_since ELSE $1 END"
            " WHERE id = $2 AND state <> 'removed' AND problem = ''",
            {databaseNow(session), store});
    });
}

std::vector<Store> Nodes::age(const NodeTimes& times) {
    static const std::string sql =
        "SELECT " + std::string(storeColumns) +
        ", s.reached, s.drained_at, CASE WHEN s.drained_at IS NULL THEN 0 WHEN EXISTS ("
        "   SELECT 1 FROM replicas r WHERE r.store_id = s.id AND r.state = 'good')"
        " THEN 1 ELSE 0 END FROM stores s WHERE s.state NOT IN ('joining', 'removed') AND s.endpoint <> ''"
        " ORDER BY s.id";
    std::vector<Store> changed;
    database_.write([&](Session& session) {
        changed.clear();
        const Timestamp now = databaseNow(session);
        std::vector<Seen> all;
        session.query(sql, {}, [&](const Row& row) {
            Seen seen{storeOf(row, false), row.truth(15), StoreState::up};
            // A copy that an upload recorded late makes it draining again.
            const bool empty = !row.isNull(16) && !row.truth(17);
            if (seen.store.drain) seen.settled = empty ? StoreState::drained : StoreState::draining;
            all.push_back(std::move(seen));
        });
        for (Seen& seen : all) {
            const auto state = stateByAge(seen, now, times);
            if (!state || *state == seen.store.state) continue;
            // A report that came meanwhile knows better.
            const std::int64_t updated = session.execute(
                "UPDATE stores SET state = $1, state_since = $2,"
                " drained_at = CASE WHEN $1 = 'draining' THEN NULL ELSE drained_at END"
                " WHERE id = $3 AND state = $4 AND last_seen_at = $5",
                {textOf(*state), now, seen.store.row, textOf(seen.store.state), seen.store.lastSeenAt});
            if (updated == 0) continue;
            seen.store.state = *state;
            seen.store.stateSince = now;
            changed.push_back(std::move(seen.store));
        }
    });
    return changed;
}

std::optional<NodeTimes> Nodes::timesOfLastStart() {
    std::optional<NodeTimes> times;
    database_.read([&](Session& session) {
        times.reset();
        session.query("SELECT suspect_after_us, down_after_us FROM vault WHERE suspect_after_us IS NOT NULL", {},
                      [&](const Row& row) {
                          times = NodeTimes{row.integer(0), row.integer(1)};
                      });
    });
    return times;
}

void Nodes::leaveTimes(const NodeTimes& times) {
    database_.write([&](Session& session) {
        requireVault(session, databaseNow(session));
        session.execute("UPDATE vault SET suspect_after_us = $1, down_after_us = $2 WHERE one = 1",
                        {times.suspectAfterUs, times.downAfterUs});
    });
}

std::optional<Store> Nodes::find(std::string_view nodeId) {
    static const std::string sql =
        "SELECT " + std::string(storeColumns) + std::string(storeReplicas) + " FROM stores s WHERE s.node_id = $1";
    std::optional<Store> found;
    database_.read(
        [&](Session& session) { session.query(sql, {nodeId}, [&](const Row& row) { found = storeOf(row, true); }); });
    return found;
}

void Nodes::drain(StoreRow store) {
    database_.write([&](Session& session) {
        if (lockStore(session, store).drain) return;
        session.execute(
            "UPDATE stores SET drain = 1, drained_at = NULL, drain_started_at = $1,"
            " drain_replicas = (SELECT COUNT(*) FROM replicas r WHERE r.store_id = stores.id AND r.state = 'good'),"
            " state_since = CASE WHEN state = 'up' THEN $1 ELSE state_since END,"
            " state = CASE WHEN state = 'up' THEN 'draining' ELSE state END WHERE id = $2",
            {databaseNow(session), store});
    });
}

void Nodes::keep(StoreRow store) {
    database_.write([&](Session& session) {
        if (!lockStore(session, store).drain) return;
        session.execute(
            "UPDATE stores SET drain = 0, drained_at = NULL, drain_started_at = NULL, drain_replicas = 0,"
            " state_since = CASE WHEN state IN ('draining', 'drained') THEN $1 ELSE state_since END,"
            " state = CASE WHEN state IN ('draining', 'drained') THEN 'up' ELSE state END WHERE id = $2",
            {databaseNow(session), store});
    });
}

void Nodes::drained(StoreRow store) {
    database_.write([&](Session& session) {
        (void)lockStore(session, store);
        session.execute(
            "UPDATE stores SET drained_at = $1,"
            " state_since = CASE WHEN state = 'draining' THEN $1 ELSE state_since END,"
            " state = CASE WHEN state = 'draining' THEN 'drained' ELSE state END"
            " WHERE id = $2 AND drain = 1 AND drained_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.store_id = stores.id AND r.state = 'good')",
            {databaseNow(session), store});
    });
}

void Nodes::remove(StoreRow store) {
    database_.write([&](Session& session) {
        (void)lockStore(session, store);
        session.execute(
            "UPDATE stores SET state = 'removed', state_since = $1, problem = '', drain = 0, drained_at = NULL,"
            " drain_started_at = NULL, drain_replicas = 0 WHERE id = $2",
            {databaseNow(session), store});
    });
    while (forgetVoidCopies(replicasAtOnce) > 0) {
    }
}

int Nodes::forgetVoidCopies(int limit) {
    std::int64_t gone = 0;
    database_.write([&](Session& session) {
        gone = 0;
        std::vector<StoreRow> removed;
        session.query("SELECT id FROM stores WHERE state = 'removed' ORDER BY id", {},
                      [&](const Row& row) { removed.push_back(row.id<StoreRow>(0)); });
        for (const StoreRow store : removed)
            if (gone < limit)
                gone += session.execute(
                    "DELETE FROM replicas WHERE store_id = $1 AND chunk_id IN ("
                    " SELECT chunk_id FROM replicas WHERE store_id = $1 ORDER BY chunk_id LIMIT $2)",
                    {store, limit - gone});
    });
    return static_cast<int>(gone);
}

std::string Nodes::wrongAnswer(StoreRow store) {
    std::string nodeId;
    database_.write([&](Session& session) {
        session.query("UPDATE stores SET wrong_answer_at = $1 WHERE id = $2 RETURNING node_id",
                      {databaseNow(session), store}, [&](const Row& row) { nodeId = row.text(0); });
    });
    return nodeId;
}

StoreRole Nodes::role(StoreRow store) {
    static const std::string counted = " THEN 1 END)", ofOthers = "COUNT(CASE WHEN s.state ";
    // Whoever has none on a live or answering store has fewer than wanted on those that are up.
    static const std::string missing =
        "SELECT COUNT(CASE WHEN live = 0 THEN 1 END), COUNT(CASE WHEN answering = 0 THEN 1 END), COUNT(*),"
        " COUNT(CASE WHEN full_ones + (SELECT COUNT(*) FROM stores a WHERE a.id <> $1 AND a.state = 'up'"
        "   AND a.free_bytes > 0) < $2 THEN 1 END) FROM ("
        " SELECT r.chunk_id AS chunk_id, " +
        ofOthers + "IN " + std::string(liveStates) + counted + " AS live, " + ofOthers + "IN ('up', 'draining')" +
        counted + " AS answering, " + ofOthers + "= 'up' AND s.free_bytes <= 0" + counted +
        " AS full_ones FROM replicas r"
        " LEFT JOIN replicas o ON o.chunk_id = r.chunk_id AND o.store_id <> $1 AND o.state = 'good'"
        " LEFT JOIN stores s ON s.id = o.store_id"
        " WHERE r.store_id = $1 AND r.state = 'good' GROUP BY r.chunk_id HAVING " +
        ofOthers + "= 'up'" + counted +
        " < $2) held"
        " WHERE EXISTS (SELECT 1 FROM content_chunks cc WHERE cc.chunk_id = held.chunk_id)"
        " OR EXISTS (SELECT 1 FROM upload_chunks u WHERE u.chunk_id = held.chunk_id)";
    StoreRole role{};
    database_.read([&](Session& session) {
        session.query(
            "SELECT COUNT(*), COALESCE(SUM(k.size), 0) FROM replicas r JOIN chunks k ON k.id = r.chunk_id"
            " WHERE r.store_id = $1 AND r.state = 'good'",
            {store}, [&](const Row& row) {
                role.replicas = row.integer(0);
                role.bytes = row.integer(1);
            });
        session.query(missing, {store, replicationFactor_}, [&](const Row& row) {
            role.onlyCopies = row.integer(0);
            role.notReadable = row.integer(1);
            role.shortCopies = row.integer(2);
            role.placeless = row.integer(3);
        });
    });
    return role;
}

std::vector<FileAtRisk> Nodes::filesAtRisk(FileId after, int limit) {
    // A window of files, and of each the chunk with the fewest copies.
    static const std::string sql =
        "SELECT f.id, f.owner_id, f.folder_id, f.name, MIN((SELECT COUNT(*) FROM replicas r"
        "   JOIN stores s ON s.id = r.store_id WHERE r.chunk_id = cc.chunk_id AND r.state = 'good' AND s.state IN " +
        std::string(liveStates) +
        ")) AS copies"
        " FROM files f JOIN versions v ON v.file_id = f.id JOIN content_chunks cc ON cc.content_id = v.content_id"
        " WHERE f.id > $1 AND f.id <= $2 AND f.kind = 1 AND f.state IN ('live', 'trashed')"
        " GROUP BY f.id, f.owner_id, f.folder_id, f.name HAVING MIN((SELECT COUNT(*) FROM replicas r"
        "   JOIN stores s ON s.id = r.store_id WHERE r.chunk_id = cc.chunk_id AND r.state = 'good' AND s.state IN " +
        std::string(liveStates) + ")) < $3 ORDER BY f.id";
    const int enough = std::min(2, replicationFactor_);
    std::vector<FileAtRisk> files;
    for (bool more = true; more && static_cast<int>(files.size()) < limit;) {
        std::vector<FileAtRisk> found;
        std::optional<std::int64_t> last;
        database_.read([&](Session& session) {
            found.clear();
            session.query("SELECT MAX(id) FROM (SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT $2) near",
                          {after, filesAtOnce}, [&](const Row& row) { last = row.maybeInteger(0); });
            if (!last) return;
            Paths paths(session);
            std::vector<FileId> folders;
            session.query(sql, {after, *last, enough}, [&](const Row& row) {
                found.push_back({row.id<FileId>(0), row.id<UserId>(1), '/' + row.text(3), row.integer(4)});
                folders.push_back(row.id<FileId>(2));
            });
            for (std::size_t i = 0; i < found.size(); ++i) found[i].path.insert(0, paths.of(folders[i]));
        });
        more = last.has_value();
        if (more) after = static_cast<FileId>(*last);
        std::move(found.begin(), found.end(), std::back_inserter(files));
    }
    if (static_cast<int>(files.size()) > limit) files.resize(static_cast<std::size_t>(limit));
    return files;
}

std::optional<CollectionHold> Nodes::collectionHold() {
    std::optional<CollectionHold> hold;
    database_.read([&](Session& session) {
        hold.reset();
        session.query("SELECT collection_held_at, collection_held_why FROM vault WHERE collection_held_at IS NOT NULL",
                      {}, [&](const Row& row) {
                          hold = CollectionHold{row.integer(0), row.text(1)};
                      });
    });
    return hold;
}

void Nodes::holdCollection(std::string_view reason) {
    database_.write([&](Session& session) {
        const Timestamp now = databaseNow(session);
        requireVault(session, now);
        hold(session, reason, now);
    });
}

void Nodes::allowCollection() {
    database_.write([&](Session& session) {
        const Timestamp now = databaseNow(session);
        requireVault(session, now);
        session.execute(
            "UPDATE vault SET collection_held_at = NULL, collection_held_why = NULL, collection_allowed_at = $1",
            {now});
    });
}

bool Nodes::collectionAllowed() {
    bool allowed = false;
    database_.read([&](Session& session) {
        session.query("SELECT 1 FROM vault WHERE collection_allowed_at > $1", {databaseNow(session) - dayUs},
                      [&](const Row&) { allowed = true; });
    });
    return allowed;
}

bool Nodes::beginSweep(std::string_view name, std::string_view holder, std::int64_t leaseUs,
                       std::optional<std::int64_t> ifDueUs) {
    static const std::string sqlite = "SELECT holder, lease_until, started_at FROM sweeps WHERE name = $1",
                             postgres = sqlite + " FOR UPDATE";
    bool begun = false;
    database_.write([&](Session& session) {
        begun = false;
        session.execute(
            "INSERT INTO sweeps (name, holder, lease_until) VALUES ($1, '', 0) ON CONFLICT (name) DO NOTHING", {name});
        std::string heldBy;
        Timestamp leaseUntil = 0;
        std::optional<Timestamp> startedAt;
        session.query(session.isPostgres() ? postgres : sqlite, {name}, [&](const Row& row) {
            heldBy = row.text(0);
            leaseUntil = row.integer(1);
            startedAt = row.maybeInteger(2);
        });
        const Timestamp now = databaseNow(session);
        if (!heldBy.empty() && heldBy != holder && leaseUntil > now) {
            // Longer only when the clock has jumped back since. Who holds it and lives renews it.
            session.execute("UPDATE sweeps SET lease_until = $1 WHERE name = $2 AND lease_until > $1",
                            {now + leaseUs, name});
            return;
        }
        // One that began later than now did so before the clock jumped back.
        if (ifDueUs && startedAt && *startedAt <= now && now - *startedAt < *ifDueUs) return;
        session.execute(
            "UPDATE sweeps SET holder = $1, lease_until = $2, started_at = $3, finished_at = NULL, examined = 0,"
            " changed = 0, note = '', error = '' WHERE name = $4",
            {holder, now + leaseUs, now, name});
        begun = true;
    });
    return begun;
}

void Nodes::renewSweep(std::string_view name, std::string_view holder, std::int64_t leaseUs) {
    database_.write([&](Session& session) {
        session.execute("UPDATE sweeps SET lease_until = $1 WHERE name = $2 AND holder = $3",
                        {databaseNow(session) + leaseUs, name, holder});
    });
}

void Nodes::endSweep(const SweepRun& run) {
    database_.write([&](Session& session) {
        session.execute(
            "UPDATE sweeps SET holder = '', lease_until = 0, finished_at = $1, examined = $2, changed = $3, note = $4,"
            " error = $5 WHERE name = $6 AND holder = $7",
            {databaseNow(session), run.examined, run.changed, run.note, run.error, run.name, run.holder});
    });
}

std::vector<SweepRun> Nodes::sweepRuns() {
    std::vector<SweepRun> runs;
    database_.read([&](Session& session) {
        runs.clear();
        const Timestamp now = databaseNow(session);
        session.query(
            "SELECT name, started_at, finished_at, examined, changed, note, error,"
            " CASE WHEN lease_until > $1 THEN holder ELSE '' END FROM sweeps ORDER BY name",
            {now}, [&](const Row& row) {
                runs.push_back({row.text(0), row.maybeInteger(1), row.maybeInteger(2), row.integer(3), row.integer(4),
                                row.text(5), row.text(6), row.text(7)});
            });
    });
    return runs;
}

}  // namespace chunkvault::catalog
