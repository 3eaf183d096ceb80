#include "common/wire/node_report.h"

#include <algorithm>
#include <limits>

#include "common/error/error.h"
#include "common/wire/json.h"

namespace chunkvault::wire {

namespace {

constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t maxBeatMs = 3'600'000;
// A node goes on above what it is told, and must never come to the end.
constexpr std::int64_t maxToldNumber = unbounded / 2;
constexpr std::size_t maxNodeIdBytes = 64;
constexpr std::size_t maxTextBytes = 1024;

bool isAlphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string dump(const Json& document) { return document.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json orNull(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

}  // namespace

std::optional<NodeId> NodeId::parse(std::string_view text) {
    const bool good =
        !text.empty() && text.size() <= maxNodeIdBytes && isAlphanumeric(text.front()) &&
        std::ranges::all_of(text, [](char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
    return good ? std::optional(NodeId(text)) : std::nullopt;
}

std::string encode(const NodeReport& report) {
    return dump({{"node_id", report.nodeId.text()},
                 {"store_id", orNull(report.storeId)},
                 {"vault_id", orNull(report.vaultId)},
                 {"zone", report.zone},
                 {"url", report.url},
                 {"capacity", report.capacityBytes},
                 {"free", report.freeBytes},
                 {"mounted", report.mounted},
                 {"catalog_seq", report.catalogSeq},
                 {"problem", report.problem},
                 {"stopping", report.stopping},
                 {"number", report.number}});
}

std::string encode(const NodeReportAnswer& answer) {
    return dump({{"vault_id", answer.vaultId},
                 {"state", answer.state},
                 {"catalog_seq", answer.catalogSeq},
                 {"number", answer.number},
                 {"beat_ms", answer.beat.count()},
                 {"time", toRfc3339(answer.time)}});
}

NodeReport parseNodeReport(std::string_view json) {
    const Json document = parseJson(json);
    ObjectReader reader(document);
    const auto nodeId = NodeId::parse(reader.string("node_id"));
    if (!nodeId) throw Error(ErrorCode::invalidValue, "node_id: this is no id of a node.");
    NodeReport report{.nodeId = *nodeId,
                      .storeId = reader.maybeString("store_id", maxNodeIdBytes),
                      .vaultId = reader.maybeString("vault_id", maxNodeIdBytes),
                      .zone = reader.string("zone", maxTextBytes),
                      .url = reader.string("url", maxTextBytes),
                      .capacityBytes = reader.integer("capacity", 0, unbounded),
                      .freeBytes = reader.integer("free", 0, unbounded),
                      .mounted = reader.boolean("mounted", false),
                      .catalogSeq = reader.integer("catalog_seq", 0, unbounded),
                      .problem = reader.string("problem"),
                      .stopping = reader.boolean("stopping", false),
                      .number = reader.integer("number", 1, unbounded)};
    if (report.storeId.has_value() != report.vaultId.has_value())
        throw Error(ErrorCode::invalidValue, "store_id and vault_id go together: give both or none.");
    return report;
}

NodeReportAnswer parseNodeReportAnswer(std::string_view json) {
    const Json document = parseJson(json);
    ObjectReader reader(document);
    return {.vaultId = reader.string("vault_id", maxNodeIdBytes),
            .state = reader.string("state", maxTextBytes),
            .catalogSeq = reader.integer("catalog_seq", 0, unbounded),
            .number = reader.maybeInteger("number", 0, maxToldNumber).value_or(0),
            .beat = std::chrono::milliseconds(reader.maybeInteger("beat_ms", 0, maxBeatMs).value_or(0)),
            .time = reader.maybeTime("time").value_or(0)};
}

}  // namespace chunkvault::wire
