#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/cache/cache.h"
#include "server/storage/node_advice.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr int riskPageSize = 100, maxRiskPageSize = 1000, deadJobsShown = 1000;

catalog::Store existing(Services& services, const Call& call) {
    auto node = services.catalog.nodes.find(call.request.param("id"));
    if (!node) throw Error(ErrorCode::notFound, "There is no storage node with this id.");
    return std::move(*node);
}

NodeRules rulesOf(const Services& services) {
    return {static_cast<std::size_t>(services.settings.replicationFactor),
            static_cast<std::size_t>(services.settings.writeQuorum)};
}

const char* textOf(Advice::Answer answer) {
    switch (answer) {
        case Advice::Answer::yes: return "yes";
        case Advice::Answer::later: return "later";
        case Advice::Answer::no: break;
    }
    return "no";
}

using Ask = Advice (*)(const catalog::Store&, const catalog::StoreRole&, std::span<const catalog::Store>,
                       const NodeRules&);
Advice ask(Services& services, const catalog::Store& node, const catalog::StoreRole& role, Ask question) {
    return question(node, role, services.catalog.chunks.stores(false), rulesOf(services));
}

void sendAdvice(Services& services, Call& call, const std::string& name, Ask question) {
    const catalog::Store node = existing(services, call);
    const catalog::StoreRole role = services.catalog.nodes.role(node.row);
    const Advice advice = ask(services, node, role, question);
    std::optional<Timestamp> expectedAt;
    if (advice.answer == Advice::Answer::later) {
        const Timestamp now = services.clock();
        expectedAt = drainedAt(node, now);
        // Of the bytes on it, those of the chunks that have to be copied.
        const double share = static_cast<double>(advice.copiesToMake) / static_cast<double>(role.replicas);
        if (!expectedAt)
            expectedAt =
                services.copyPace.doneAt(name + ' ' + node.nodeId, advice.copiesToMake,
                                         static_cast<std::int64_t>(static_cast<double>(role.bytes) * share), now);
    }
    call.sendJson(
        200, {{"answer", textOf(advice.answer)}, {"reason", advice.reason}, {"expected_at", timeOrNull(expectedAt)}});
}

void requireYes(Services& services, const catalog::Store& node, Ask question) {
    const Advice advice = ask(services, node, services.catalog.nodes.role(node.row), question);
    if (advice.answer != Advice::Answer::yes) throw Error(ErrorCode::conflict, advice.reason);
}

void sendNode(Services& services, Call& call) {
    call.sendJson(200, toJson(existing(services, call), services.clock()));
}

// What takes a look at every copy, up to countsKeptUs old: {"totals": {...}, "replicas": {"STORE": good copies}}.
Json countAll(Services& services) {
    const auto count = [&] {
        Json replicas = Json::object();
        for (const catalog::Store& store : services.catalog.chunks.stores())
            replicas[wireId(store.row)] = store.replicas;
        const catalog::ChunkTotals totals = services.catalog.chunks.totals();
        return Json{{"totals",
                     {{"chunks", totals.chunks},
                      {"bytes", totals.bytes},
                      {"under_replicated", totals.underReplicated},
                      {"missing", totals.missing}}},
                    {"replicas", std::move(replicas)}};
    };
    const std::int64_t keptUs = countsKeptUs(services.catalog.chunks.mostThereCanBe());
    if (keptUs == 0) return count();
    const std::string key =
        "storage counts:" + std::to_string(keptUs) + ':' + std::to_string(services.clock() / keptUs);
    return wire::parseJson(*services.cache.getOrMake(key, [&] { return count().dump(); }));
}

Json storesOf(Services& services, const Json& counts) {
    Json items = Json::array();
    for (catalog::Store& store : services.catalog.chunks.stores(false)) {
        store.replicas = counts["replicas"].value(wireId(store.row), std::int64_t{0});
        items.push_back(toJson(store, services.clock()));
    }
    return items;
}

}  // namespace

void storageOverview(Services& services, Call& call) {
    const Json counts = countAll(services);
    Json answer = counts["totals"];
    answer["stores"] = storesOf(services, counts);
    const auto health = services.storeHealth();
    for (Json& store : answer["stores"])
        if (const auto found = health.find(store["node_id"].get<std::string>());
            store["problem"] == "" && found != health.end())
            store["problem"] = found->second.problem;
    answer["oldest_verified_at"] = timeOrNull(services.catalog.chunks.oldestVerified());
    call.sendJson(200, answer);
}

void listNodes(Services& services, Call& call) {
    call.sendJson(200, {{"items", storesOf(services, countAll(services))}, {"next_cursor", nullptr}});
}

void getNode(Services& services, Call& call) { sendNode(services, call); }

void drainNode(Services& services, Call& call) {
    const catalog::Store node = existing(services, call);
    requireYes(services, node, mayDrain);
    services.catalog.nodes.drain(node.row);
    sendNode(services, call);
}

void keepNode(Services& services, Call& call) {
    services.catalog.nodes.keep(existing(services, call).row);
    sendNode(services, call);
}

void removeNode(Services& services, Call& call) {
    const auto force = call.request.queryValue("force").value_or("false");
    if (force != "true" && force != "false") throw Error(ErrorCode::invalidValue, "\"force\" must be true or false.");
    const catalog::Store node = existing(services, call);
    // By force: it is lost for good, and so is what only it had.
    if (force == "false") requireYes(services, node, mayRemove);
    services.catalog.nodes.remove(node.row);
    call.sendNothing();
}

void mayStopNode(Services& services, Call& call) { sendAdvice(services, call, "stop", mayStop); }

void mayRemoveNode(Services& services, Call& call) { sendAdvice(services, call, "remove", mayRemove); }

void filesAtRisk(Services& services, Call& call) {
    const int limit = limitOf(call, riskPageSize, maxRiskPageSize);
    call.takeRoomForItems(limit);
    const auto cursor = call.request.queryValue("cursor");
    const auto after = cursor ? static_cast<catalog::FileId>(parseId(*cursor)) : catalog::FileId{0};
    const auto files = services.catalog.nodes.filesAtRisk(after, limit);
    Json items = Json::array();
    for (const catalog::FileAtRisk& file : files)
        items.push_back({{"file_id", wireId(file.file)},
                         {"owner_id", wireId(file.owner)},
                         {"path", file.path},
                         {"copies_wanted", services.settings.replicationFactor},
                         {"copies_present", file.copiesPresent}});
    const bool more = static_cast<int>(files.size()) == limit;
    call.sendJson(
        200, {{"items", std::move(items)}, {"next_cursor", more ? Json(wireId(files.back().file)) : Json(nullptr)}});
}

void listJobs(Services& services, Call& call) {
    Json dead = Json::array();
    for (const worker::DeadJob& job : services.queue.dead(deadJobsShown))
        dead.push_back({{"kind", worker::toString(job.job.kind)},
                        {"id", std::to_string(job.job.id)},
                        {"failures", job.failures},
                        {"what", job.what},
                        {"since", toRfc3339(job.since)}});
    call.sendJson(200, {{"length", services.queue.length()}, {"dead", std::move(dead)}});
}

void retryJobs(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto kind = body.maybeString("kind", 64);
    const auto id = body.maybeString("id", 32);
    body.finish();
    if (kind.has_value() != id.has_value())
        throw Error(ErrorCode::invalidValue, "\"kind\" and \"id\" go together: give both for one job, none for all.");
    std::optional<worker::Job> job;
    if (kind) {
        const auto known = worker::parseJobKind(*kind);
        if (!known) throw Error(ErrorCode::invalidValue, "\"kind\" is none of the kinds in the list of jobs.");
        job = worker::Job{*known, parseId(*id)};
    }
    call.sendJson(200, {{"posted", services.queue.retryDead(job)}});
}

void listSweeps(Services& services, Call& call) {
    Json items = Json::array();
    for (const catalog::SweepRun& run : services.catalog.nodes.sweepRuns())
        items.push_back({{"sweep", run.name},
                         {"started_at", timeOrNull(run.startedAt)},
                         {"finished_at", timeOrNull(run.finishedAt)},
                         {"examined", run.examined},
                         {"changed", run.changed},
                         {"note", run.note},
                         {"failed", !run.error.empty()},
                         {"running", !run.holder.empty()}});
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", nullptr}});
}

void getCollection(Services& services, Call& call) {
    const auto hold = services.catalog.nodes.collectionHold();
    call.sendJson(200, {{"held", hold.has_value()},
                        {"since", hold ? Json(toRfc3339(hold->since)) : Json(nullptr)},
                        {"reason", hold ? hold->reason : ""}});
}

void allowCollection(Services& services, Call& call) {
    services.catalog.nodes.allowCollection();
    call.sendNothing();
}

}  // namespace chunkvault::server
