// A worker of a cluster: does jobs, runs sweeps, and tells how it is.

#include <malloc.h>

#include <cstdio>
#include <thread>

#include "common/error/error.h"
#include "common/http/server.h"
#include "common/process/config.h"
#include "common/process/end_deadline.h"
#include "common/process/instance_name.h"
#include "common/process/log.h"
#include "common/process/metrics.h"
#include "common/process/request_log.h"
#include "common/process/stop_signal.h"
#include "common/process/version.h"
#include "common/wire/json.h"
#include "common/wire/signature.h"
#include "database/catalog/catalog.h"
#include "database/catalog/clock_check.h"
#include "database/catalog/node_times_check.h"
#include "storagenode/client/node_directory.h"
#include "worker/jobs/jobs.h"
#include "worker/jobs/node_stores.h"
#include "worker/queue/redis_queue.h"
#include "worker/sweeps/maintenance.h"
#include "worker/sweeps/observe.h"

namespace chunkvault::worker {
namespace {

using namespace std::chrono_literals;
using process::Level;
using process::versionText;

constexpr std::chrono::seconds endPatience{40};  // longer than a node may take to answer
constexpr std::chrono::seconds healthAge{5};     // of an answer of the database that still counts

constexpr process::Setting ownSettings[] = {
    {"HOST", "127.0.0.1", "Address to listen on for /health and /metrics; 0.0.0.0 for all"},
    {"PORT", "8010", "Port to listen on"},
    {"DATABASE_URL", "", "PostgreSQL: postgresql://user:password@host/name?sslmode=...", true},
    {"REDIS_URL", "", "Redis: redis://:password@host:6379/0", true},
    {"CLUSTER_SECRET", "", "At least 32 characters; the same for all programs of a cluster", true},
    {"VERSIONS_KEEP", "", "Versions kept of each file, as on the API servers; empty: no version is taken away here"},
    {"CHUNK_SIZE", "4M", "As on the API servers, or the largest that they ever had: the memory of a chunk"},
    {"CHUNK_BUFFERS", "8", "Chunks held in memory at once"},
    {"JOB_LEASE", "30s", "After how long a silence the jobs of this worker are given to another"},
    {"LOG_LEVEL", "info", "debug, info, warning or error"},
    {"LOG_REQUESTS", "false", "One line a request"},
};

std::span<const process::Setting> settingsTable() {
    static const auto table = [] {
        std::vector<process::Setting> all(std::begin(ownSettings), std::end(ownSettings));
        const auto shared = Maintenance::table();
        all.insert(all.end() - 2, shared.begin(), shared.end());
        return all;
    }();
    return table;
}

std::string requiredText(const process::Config& config, std::string_view name) {
    std::string text = config.text(name);
    if (text.empty()) throw Error(ErrorCode::invalidValue, std::string(name) + " is missing: a worker needs it.");
    return text;
}

struct Settings {
    explicit Settings(const process::Config& config)
        : maintenance(config),
          redis(RedisAddress::parse(requiredText(config, "REDIS_URL"))),
          clusterSecret(requiredText(config, "CLUSTER_SECRET")),
          chunkSize(config.bytes("CHUNK_SIZE", 64 << 10, 100 << 20)),
          chunkBuffers(static_cast<std::size_t>(config.integer("CHUNK_BUFFERS", 2, 10'000))),
          jobLease(config.duration("JOB_LEASE", 1s, 1h)),
          logLevel(config.oneOf("LOG_LEVEL", {"debug", "info", "warning", "error"})),
          logRequests(config.boolean("LOG_REQUESTS")) {
        http.host = config.text("HOST");
        http.port = static_cast<std::uint16_t>(config.integer("PORT", 0, 65535));
        catalog.database.postgresUrl = requiredText(config, "DATABASE_URL");
        catalog.uploads.chunkSize = chunkSize;
        // Not by default: API servers may keep more.
        if (config.given("VERSIONS_KEEP"))
            maintenance.sweeps.versionsKeep = static_cast<int>(config.integer("VERSIONS_KEEP", 1, 1000));
        catalog.uploads.replicationFactor = maintenance.sweeps.replicationFactor;
        if (clusterSecret.size() < wire::ClusterKey::minSecretBytes)
            throw Error(ErrorCode::invalidValue, "CLUSTER_SECRET must have at least 32 characters.");
    }

    Maintenance maintenance;
    http::ServerOptions http;
    catalog::CatalogOptions catalog;
    RedisAddress redis;
    std::string clusterSecret;
    std::int64_t chunkSize;
    std::size_t chunkBuffers;
    std::chrono::milliseconds jobLease;
    std::string logLevel;
    bool logRequests;
};

int run(const process::Config& config) {
    const Settings settings(config);
    process::StopSignal stop;
    process::Log log(stderr, process::levelOf(settings.logLevel));
    process::EndDeadline end(log);
    process::Metrics metrics(versionText);
    const Clock clock = systemNow;
    std::stop_source ending;

    catalog::Catalog catalog(settings.catalog, clock);
    const wire::ClusterKey key(settings.clusterSecret);
    storagenode::NodeDirectory directory(
        catalog.chunks,
        [&](const std::string& nodeId, const std::string& url) {
            return std::make_shared<storagenode::NodeClient>(nodeId, url, key, storagenode::NodeClientOptions{}, clock);
        },
        [&](const catalog::Store& node, const Error& error) {
            log.write(Level::warning, "node_without_address", {{"node", node.nodeId}, {"what", error.what()}});
        });
    const Stores stores = [&] { return liveStoresOf(directory); };
    ChunkBuffers buffers(settings.chunkBuffers, static_cast<std::size_t>(settings.chunkSize));
    Throttle repairs(settings.maintenance.repairBytesPerS), moves(settings.maintenance.rebalanceBytesPerS);
    Jobs jobs(
        catalog, stores, buffers, settings.maintenance.sweeps.replicationFactor, repairs, moves, ending.get_token(),
        [&](const std::string& node, const WrongAnswer& answer) { observeWrongAnswer(metrics, log, node, answer); });
    observeJobs(metrics, jobs);
    const std::string name = process::newInstanceName();

    constexpr std::string_view whose = "This worker's";
    std::atomic<Timestamp> ahead = 0;  // this process's clock of the database's
    metrics.gauge("chunkvault_clock_ahead_seconds", "How far this machine's clock is ahead of the database's",
                  [&] { return static_cast<double>(ahead) / static_cast<double>(secondUs); });

    // Asked once a second, whoever asks for /health.
    std::atomic<std::chrono::steady_clock::time_point> databaseAnsweredAt{std::chrono::steady_clock::time_point{}};
    std::atomic<bool> redisAnswers = false;
    const http::Router router({
        {http::Method::get, "/health",
         [&](http::Request&, http::Response& response) {
             const bool database = std::chrono::steady_clock::now() - databaseAnsweredAt.load() < healthAge;
             const bool available = database && redisAnswers;
             const std::string fault = catalog::clockFault(ahead, whose);
             const wire::Json json = {{"status", !available      ? "unavailable"
                                                 : fault.empty() ? "ok"
                                                                 : "degraded"},
                                      {"database", database ? "ok" : "unreachable"},
                                      {"redis", redisAnswers ? "ok" : "unreachable"},
                                      {"clock", fault.empty() ? "ok" : fault}};
             response.send(available ? 200 : 503, "application/json", json.dump());
         }},
        {http::Method::get, "/health/live",
         [](http::Request&, http::Response& response) {
             response.send(200, "application/json", R"({"status":"ok"})");
         }},
        {http::Method::get, "/metrics",
         [&](http::Request&, http::Response& response) {
             response.send(200, "text/plain; version=0.0.4", metrics.text());
         }},
    });
    http::Server server(router, settings.http, [&](const http::Exchange& exchange) {
        metrics.observe(exchange);
        process::logRequest(log, exchange, settings.logRequests);
    });
    server.start();
    log.write(Level::info, "started", {{"version", versionText}, {"worker", name}, {"port", server.port()}});

    std::jthread work([&] {
        if (!catalog.database.openPatiently(ending.get_token(), [&](const Error& error) {
                log.write(Level::warning, "waiting_for_database", {{"what", error.what()}});
            }))
            return;
        const RedisQueueSettings queueSettings{.address = settings.redis,
                                               .prefix = redisPrefix(settings.clusterSecret),
                                               .consumers = settings.maintenance.jobThreads,
                                               .lease = settings.jobLease};
        RedisQueue queue(
            queueSettings, [&](const Job& job) { jobs.run(job); },
            [&](const Job& job, const char* what, bool givenUp) { observeFailedJob(log, job, what, givenUp); },
            [&](const std::string& what) {
                log.write(what.empty() ? Level::info : Level::warning, "redis", {{"what", what.empty() ? "ok" : what}});
            });
        Sweeps sweeps(catalog, stores, queue, settings.maintenance.sweeps, clock, ending.get_token(),
                      [&] { return catalog::clockFault(catalog::clockAhead(catalog.database, clock), whose); });
        observeShortage(metrics, sweeps);
        SweepLeases leases(catalog.nodes, name);
        std::vector<std::unique_ptr<SweepSchedule>> schedules;
        for (const auto& group : settings.maintenance.schedule())
            schedules.push_back(std::make_unique<SweepSchedule>(
                sweeps, group, &leases, [&](const SweepRun& swept) { observeSweep(metrics, log, swept); }));
        metrics.gauge("chunkvault_queue_length", "Jobs waiting and running",
                      [&] { return static_cast<double>(queue.length()); });
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        const std::stop_token stopping = ending.get_token();
        catalog::NodeTimesCheck nodeTimes(catalog.nodes, settings.maintenance.sweeps.nodes);
        for (std::string told; !stopping.stop_requested();) {
            try {
                (void)directory.refresh();
                observeNodeTimes(log, nodeTimes.look());
                ahead = catalog::clockAhead(catalog.database, clock);
                if (std::string fault = catalog::clockFault(ahead, whose); fault.empty() != told.empty()) {
                    log.write(fault.empty() ? Level::info : Level::warning, "clock",
                              {{"what", fault.empty() ? "ok" : fault + " Nothing is deleted by age until then."}});
                    told = std::move(fault);
                }
                databaseAnsweredAt = std::chrono::steady_clock::now();
            } catch (const Error& error) {
                log.write(Level::warning, "nodes_unknown", {{"what", error.what()}});
            }
            redisAnswers = queue.trouble().empty();
            (void)wake.wait_for(lock, stopping, 1s, [] { return false; });
        }
        repairs.stop();
        moves.stop();
    });

    stop.wait();
    log.write(Level::info, "stopping", {});
    end.arm(endPatience);  // jobs that are cut off are done again
    server.stop();         // first: a scrape asks the queue
    ending.request_stop();
    work.join();
    log.write(Level::info, "stopped", {});
    return 0;
}

}  // namespace
}  // namespace chunkvault::worker

int main(int argc, char** argv) {
    using namespace chunkvault;
    mallopt(M_ARENA_MAX, 2);
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "--version") {
        std::printf("ChunkVault %s\n", process::versionText);
        return 0;
    }
    if (verb == "--settings") {
        std::printf("%s", process::Config::markdownTable(worker::settingsTable()).c_str());
        return 0;
    }
    if (!verb.empty()) {
        std::printf(
            "chunkvault-worker              run; configured by environment variables\n"
            "chunkvault-worker --settings   the environment variables, as a Markdown table\n"
            "chunkvault-worker --version\n");
        return verb == "--help" ? 0 : 2;
    }
    try {
        return worker::run(process::Config(worker::settingsTable(), process::Config::environment()));
    } catch (const Error& error) {
        std::fprintf(stderr, "chunkvault-worker: %s\n", error.publicMessage().c_str());
        if (!error.privateDetail().empty()) std::fprintf(stderr, "  (%s)\n", error.privateDetail().c_str());
        return 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chunkvault-worker: %s\n", error.what());
        return 1;
    }
}
