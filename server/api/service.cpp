#include "common/error/error.h"
#include "common/process/version.h"
#include "server/api/call.h"
#include "server/api/handlers.h"
#include "server/api/openapi.h"
#include "server/api/readiness.h"

namespace chunkvault::server {

using wire::Json;

namespace {

std::string chunkState(Services& services) {
    try {
        return services.chunksAtRisk() ? "at_risk" : "ok";
    } catch (const Error&) {
        return "unknown";
    }
}

bool databaseAnswers(Services& services) {
    try {
        (void)services.catalog.database.schemaVersion();  // a SELECT: SQLite's clock is the system's
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

void about(Services& services, Call& call) {
    call.sendJson(200, {{"name", "ChunkVault"},
                        {"version", process::versionText},
                        {"chunk_size", services.settings.chunkSize},
                        {"registration", services.settings.registrationOpen ? "open" : "closed"}});
}

void health(Services& services, Call& call) {
    const bool database = databaseAnswers(services);
    Json stores = Json::object();
    std::size_t good = 0, writable = 0;
    for (const auto& [node, store] : services.storeHealth()) {
        stores[node] = store.state;
        good += store.state == "ok";
        writable += store.state == "ok" || store.state == "faulty";
    }
    const bool available = database && writable >= static_cast<std::size_t>(services.settings.writeQuorum);
    const std::string chunks = database ? chunkState(services) : "unknown";
    const bool whole = good == stores.size() && chunks == "ok";
    Json json = {{"status", !available ? "unavailable"
                            : whole    ? "ok"
                                       : "degraded"},
                 {"database", database ? "ok" : "unreachable"},
                 {"redis", services.redisState()},
                 {"storage_nodes", std::move(stores)},
                 {"chunks", chunks}};
    if (!services.settings.notice.empty()) json["notice"] = services.settings.notice;
    call.sendJson(available ? 200 : 503, json);
}

void healthLive(Services&, Call& call) { call.sendJson(200, {{"status", "ok"}}); }

void healthReady(Services& services, Call& call) {
    const std::string reason = notReadyReason(services.catalog.database, services.clock);
    if (reason.empty()) call.sendJson(200, {{"status", "ok"}});
    else call.sendJson(503, {{"status", "unavailable"}, {"reason", reason}});
}

void metrics(Services& services, Call& call) {
    call.response.send(200, "text/plain; version=0.0.4", services.metricsText());
}

void openApi(Services& services, Call& call) {
    // The same for all, and some megabytes while it is made.
    static const std::string document = openApiDocument(services.settings.publicUrl);
    call.response.setHeader("Cache-Control", "public, max-age=300");
    call.response.send(200, "application/json", document);
}

}  // namespace chunkvault::server
