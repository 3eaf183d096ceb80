// Rows of stores, and the vault's own, inside a transaction. Private to database/catalog.
#pragma once

#include <optional>
#include <string_view>

#include "database/catalog/nodes.h"
#include "database/catalog/session.h"

namespace chunkvault::catalog {

[[nodiscard]] StoreState storeStateOf(std::string_view text);
[[nodiscard]] std::string_view textOf(StoreState state);
[[nodiscard]] bool isLive(StoreState state);

// The columns of a Store from "stores s", but for the number of its replicas, which follows or is 0.
inline constexpr std::string_view storeColumns =
    "s.id, s.node_id, s.uuid, s.zone, s.endpoint, s.state, s.capacity_bytes, s.free_bytes, s.last_seen_at,"
    " s.state_since, s.problem, s.drain, s.drain_started_at, s.drain_replicas, s.wrong_answer_at";
inline constexpr std::string_view storeReplicas =
    ", (SELECT COUNT(*) FROM replicas r WHERE r.store_id = s.id AND r.state = 'good')";
[[nodiscard]] Store storeOf(const Row& row, bool counted);

// Makes the vault's row, with its id, unless it is there.
void requireVault(Session& session, Timestamp now);

struct RecordedReport {
    StoreRow row;
    StoreState state;
    bool mustBeReached;
    std::optional<std::int64_t> outdatedBy;  // as in NodeVerdict
};
// Puts a report into the row of its node; a folder of this process counts as reached. Throws conflict as Nodes::report
// does.
RecordedReport recordReport(Session& session, const NodeReport& report, Timestamp now, const NodeTimes& times);
// Throws conflict as Nodes::requireMayFormat does.
void requireMayFormat(Session& session, std::string_view nodeId, std::string_view url, bool mounted, Timestamp now,
                      const NodeTimes& times);

}  // namespace chunkvault::catalog
