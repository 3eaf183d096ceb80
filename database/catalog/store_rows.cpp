#include "database/catalog/store_rows.h"

#include <Poco/UUIDGenerator.h>

#include "common/error/error.h"

namespace chunkvault::catalog {

namespace {

struct Known {
    StoreRow row;
    std::string uuid;
    std::string endpoint;
    StoreState state;
    bool mounted;
    bool reached;
    StoreState settled;  // its state when all is well
    Timestamp lastSeenAt;
    bool usable;  // it had no problem then
    bool stopped;
    std::int64_t reportNumber;
};

std::optional<Known> lockKnown(Session& session, std::string_view nodeId) {
    static const std::string sqlite =
                                 "SELECT id, uuid, endpoint, state, mounted, reached, drain, drained_at,"
                                 " last_seen_at, problem, stopped, report_number FROM stores"
                                 " WHERE node_id = $1",
                             postgres = sqlite + " FOR UPDATE";
    std::optional<Known> known;
    session.query(session.isPostgres() ? postgres : sqlite, {nodeId}, [&](const Row& row) {
        const StoreState drained = row.isNull(7) ? StoreState::draining : StoreState::drained;
        known = Known{row.id<StoreRow>(0),
                      row.text(1),
                      row.text(2),
                      storeStateOf(row.text(3)),
                      row.truth(4),
                      row.truth(5),
                      row.truth(6) ? drained : StoreState::up,
                      row.integer(8),
                      row.text(9).empty(),
                      row.truth(10),
                      row.integer(11)};
    });
    return known;
}

// sameStore: what stands in the folder is the store that the row knows. url: of the node that asks.
void requireUsable(const Known& known, std::string_view nodeId, std::string_view url, bool sameStore, bool mounted,
                   Timestamp now, const NodeTimes& times) {
    const std::string name = "The storage node \"" + std::string(nodeId) + '"';
    if (known.state == StoreState::removed)
        throw Error(ErrorCode::conflict, name +
                                             " was removed from this vault. Its machine may come back with another "
                                             "NODE_ID and an empty folder.");
    if (!sameStore && known.mounted && !mounted)
        throw Error(ErrorCode::conflict, name + " kept its chunks on a mounted disk, and its disk is not mounted.");
    // Folders of a server of its own have that one process. A problem may pass: only the process that has it may give
    // the node another disk meanwhile.
    const bool mayBeReplaced = known.endpoint.empty() || known.stopped || (!known.usable && known.endpoint == url) ||
                               now - known.lastSeenAt > times.downAfterUs;
    if (!sameStore && !mayBeReplaced)
        throw Error(
            ErrorCode::conflict,
            name + " at " + known.endpoint +
                " still reports with another store. Of two processes with one NODE_ID, give one another. If the "
                "disk of the node was replaced: stop the node in order first, or wait until it has been silent "
                "for DOWN_AFTER.");
}

// Of a disk whose place another one has taken: all that is known of its copies is void at once, also what is recorded
// late. The row stays behind without node and UUID, until the rows of its copies are gone one after another.
void leaveBehind(Session& session, StoreRow replaced) {
    session.execute(
        "UPDATE stores SET state = 'removed', node_id = '/' || CAST(id AS TEXT), uuid = '', endpoint = '', problem = ''"
        " WHERE id = $1",
        {replaced});
}

// An operator's wish is about the node, whatever disk it has.
void keepDrain(Session& session, StoreRow store, StoreRow replaced) {
    session.execute(
        "UPDATE stores SET drain = o.drain, drain_started_at = o.drain_started_at, drained_at = o.drained_at"
        " FROM stores o WHERE stores.id = $1 AND o.id = $2",
        {store, replaced});
}

StoreState stateAfter(const NodeReport& report, const std::optional<Known>& known, bool reached) {
    const StoreState settled = known ? known->settled : StoreState::up;
    // This process knows what its folders are like: there is nothing to suspect.
    if (report.url.empty()) return report.problem.empty() ? settled : StoreState::down;
    if (!known || known->uuid != report.storeId || known->state == StoreState::joining) return StoreState::joining;
    if (known->state == StoreState::down) return StoreState::down;
    return reached && report.problem.empty() ? settled : StoreState::suspect;
}

}  // namespace

StoreState storeStateOf(std::string_view text) {
    if (text == "joining") return StoreState::joining;
    if (text == "up") return StoreState::up;
    if (text == "suspect") return StoreState::suspect;
    if (text == "down") return StoreState::down;
    if (text == "draining") return StoreState::draining;
    return text == "drained" ? StoreState::drained : StoreState::removed;
}

std::string_view textOf(StoreState state) {
    switch (state) {
        case StoreState::joining: return "joining";
        case StoreState::up: return "up";
        case StoreState::suspect: return "suspect";
        case StoreState::down: return "down";
        case StoreState::draining: return "draining";
        case StoreState::drained: return "drained";
        case StoreState::removed: break;
    }
    return "removed";
}

bool isLive(StoreState state) {
    return state == StoreState::up || state == StoreState::suspect || state == StoreState::draining;
}

Store storeOf(const Row& row, bool counted) {
    return {.row = row.id<StoreRow>(0),
            .nodeId = row.text(1),
            .uuid = row.text(2),
            .zone = row.text(3),
            .endpoint = row.text(4),
            .state = storeStateOf(row.text(5)),
            .capacityBytes = row.integer(6),
            .freeBytes = row.integer(7),
            .lastSeenAt = row.integer(8),
            .replicas = counted ? row.integer(15) : 0,
            .stateSince = row.integer(9),
            .problem = row.text(10),
            .drain = row.truth(11),
            .drainStartedAt = row.maybeInteger(12),
            .drainReplicas = row.integer(13),
            .wrongAnswerAt = row.maybeInteger(14)};
}

void requireVault(Session& session, Timestamp now) {
    session.execute("INSERT INTO vault (one, vault_id, created_at) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING",
                    {Poco::UUIDGenerator::defaultGenerator().createRandom().toString(), now});
}

RecordedReport recordReport(Session& session, const NodeReport& report, Timestamp now, const NodeTimes& times) {
    auto known = lockKnown(session, report.nodeId);
    // The row for which it waited may have been left behind meanwhile, with another in its place.
    if (!known) known = lockKnown(session, report.nodeId);
    const bool sameStore = known && known->uuid == report.storeId;
    if (known) requireUsable(*known, report.nodeId, report.url, sameStore, report.mounted, now, times);
    if (known && report.number != 0 && report.number <= known->reportNumber)
        return {known->row, known->state, false, known->reportNumber};
    session.query("SELECT node_id FROM stores WHERE uuid = $1 AND node_id <> $2", {report.storeId, report.nodeId},
                  [&](const Row& row) {
                      throw Error(ErrorCode::conflict, "The store " + report.storeId + " belongs to the node \"" +
                                                           row.text(0) + "\", not to \"" + report.nodeId + "\".");
                  });
    const bool reached =
        report.url.empty() || (sameStore && known->reached && known->endpoint == report.url &&
                               known->state != StoreState::joining && known->state != StoreState::down);
    const StoreState state = stateAfter(report, known, reached);
    RecordedReport recorded{{}, state, !reached && report.problem.empty(), std::nullopt};
    const bool replaced = known && !sameStore;
    if (replaced) leaveBehind(session, known->row);
    session.query(
        "INSERT INTO stores (node_id, uuid, zone, endpoint, state, capacity_bytes, free_bytes, last_seen_at, mounted,"
        " problem, reached, stopped, report_number, state_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
        " $12, $13, $8)"
        " ON CONFLICT (node_id) DO UPDATE SET uuid = excluded.uuid, zone = excluded.zone,"
        " endpoint = excluded.endpoint, state = excluded.state, capacity_bytes = excluded.capacity_bytes,"
        " free_bytes = excluded.free_bytes, problem = excluded.problem, reached = excluded.reached,"
        " stopped = excluded.stopped, report_number = excluded.report_number,"
        " mounted = CASE WHEN excluded.problem = '' THEN excluded.mounted ELSE stores.mounted END,"
        " last_seen_at = CASE WHEN excluded.problem = '' THEN excluded.last_seen_at ELSE stores.last_seen_at END,"
        " state_since = CASE WHEN stores.state = excluded.state THEN stores.state_since ELSE excluded.state_since END"
        " RETURNING id",
        {report.nodeId, report.storeId, report.zone, report.url, textOf(state), report.capacityBytes, report.freeBytes,
         now, report.mounted, report.problem, reached, report.stopping, report.number},
        [&](const Row& row) { recorded.row = row.id<StoreRow>(0); });
    if (replaced) keepDrain(session, recorded.row, known->row);
    return recorded;
}

void requireMayFormat(Session& session, std::string_view nodeId, std::string_view url, bool mounted, Timestamp now,
                      const NodeTimes& times) {
    if (const auto known = lockKnown(session, nodeId)) requireUsable(*known, nodeId, url, false, mounted, now, times);
}

}  // namespace chunkvault::catalog
