// The API server. With nothing configured it is the whole system in one process: SQLite, local stores, workers. Given a
// database and Redis it is one of the API servers of a cluster.

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
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
#include "common/wire/node_report.h"
#include "database/catalog/clock_check.h"
#include "database/catalog/export.h"
#include "database/catalog/node_times_check.h"
#include "server/api/change_waiters.h"
#include "server/api/routes.h"
#include "server/api/zip.h"
#include "server/auth/base64.h"
#include "server/cache/local_cache.h"
#include "server/cache/redis_cache.h"
#include "server/storage/chunk_intake.h"
#include "server/storage/file_content.h"
#include "server/storage/node_advice.h"
#include "server/wiring/cluster_stores.h"
#include "server/wiring/data_folder.h"
#include "server/wiring/local_stores.h"
#include "server/wiring/settings.h"
#include "storagenode/client/node_directory.h"
#include "worker/jobs/jobs.h"
#include "worker/queue/in_process_queue.h"
#include "worker/queue/redis_queue.h"
#include "worker/sweeps/observe.h"
#include "worker/sweeps/sweep_schedule.h"

namespace chunkvault::server {
namespace {

using namespace std::chrono_literals;
using process::Level;
using process::versionText;

constexpr std::size_t documentBudgetBytes = 24 << 20;
constexpr std::chrono::milliseconds endPatience = 5s;  // once no request is running any more
constexpr std::chrono::milliseconds localStoresInterval = 10s, nodesInterval = 1s;
constexpr std::string_view lookForMissing = "under_replicated";
constexpr std::chrono::milliseconds sweepPatience = 30s;  // of an administrator who runs a sweep that runs already

// The well-known password may be there from a start on loopback, or have come with a catalog from elsewhere: it ends
// with the first start that is given another.
void replaceWellKnownPassword(catalog::Catalog& catalog, Passwords& passwords, const Settings& settings) {
    if (settings.adminPassword == wellKnownPassword) return;
    const auto admin = catalog.accounts.findForLogin("admin");
    if (admin && admin->user.mustChangePassword && passwords.verify(wellKnownPassword, admin->passwordHash))
        catalog.accounts.resetPassword(admin->user.id, passwords.hash(settings.adminPassword), true);
}

void makeFirstAccount(catalog::Catalog& catalog, Passwords& passwords, const Settings& settings) {
    if (catalog.accounts.count() > 0) return replaceWellKnownPassword(catalog, passwords, settings);
    try {
        catalog.accounts.create({.username = "admin",
                                 .email = "",
                                 .passwordHash = passwords.hash(settings.adminPassword),
                                 .role = catalog::Role::admin,
                                 .mustChangePassword = true});
    } catch (const Error& error) {
        if (error.code() != ErrorCode::nameTaken) throw;  // another server of the cluster was first
    }
}

// Where a client on this machine finds the server.
std::string nearUrl(const Settings& settings, std::uint16_t port) {
    std::string host = settings.http.host;
    if (host == "0.0.0.0") host = "127.0.0.1";
    if (host == "::") host = "::1";
    if (host.find(':') != std::string::npos && !host.starts_with('[')) host = '[' + host + ']';
    return (settings.http.tlsCert.empty() ? "http://" : "https://") + host + ':' + std::to_string(port);
}

void printWelcome(catalog::Catalog& catalog, const Settings& settings, const std::string& url) {
    const auto admin = catalog.accounts.findForLogin("admin");
    const bool first = admin && admin->user.mustChangePassword;
    const std::string known = settings.adminPassword == wellKnownPassword ? settings.adminPassword : "ADMIN_PASSWORD";
    const std::string password = first ? known + R"(","new_password":"choose-a-good-one)" : "your-password";
    std::printf(
        "\nChunkVault %s is running at %s   (data in %s, Ctrl-C stops it)\n\n"
        "  %s\n"
        "    TOKEN=$(curl -sS %s/auth/login -d '{\"username\":\"admin\",\"password\":\"%s\"}'"
        " | sed -n 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/p'); [ \"$TOKEN\" ] && echo signed in || echo wrong "
        "password\n\n"
        "  Upload, list, download:\n"
        "    ID=$(curl -sS -H \"Authorization: Bearer $TOKEN\" -F file=@README.md %s/files/upload"
        " | sed -n 's/.*\"file_id\":\"\\([^\"]*\\)\".*/\\1/p'); echo \"file $ID\"\n"
        "    curl -sS -H \"Authorization: Bearer $TOKEN\" %s/files\n"
        "    curl -sSf -H \"Authorization: Bearer $TOKEN\" -o copy-of-README.md %s/files/$ID/download\n\n",
        versionText, url.c_str(), settings.dataDir.c_str(),
        first ? "Set the password of admin and keep a token:" : "Keep a token of admin:", url.c_str(), password.c_str(),
        url.c_str(), url.c_str(), url.c_str());
    std::fflush(stdout);
}

const char* textOf(ReplicaFault fault) {
    switch (fault) {
        case ReplicaFault::missing: return "missing";
        case ReplicaFault::corrupt: return "corrupt";
        case ReplicaFault::unreadable: return "unreadable";
        case ReplicaFault::silent: break;
    }
    return "silent";
}

// Asks the node that says it is there.
void requireReachable(storagenode::NodeClient& node, const std::string& url, const std::string& nodeId,
                      const std::string& storeId) {
    storagenode::NodeStats stats;
    try {
        stats = node.stats();
    } catch (const Error& error) {
        throw Error(ErrorCode::conflict, "The API server cannot reach this node at " + url + ": look at NODE_URL.",
                    error.what());
    }
    if (stats.nodeId != nodeId || stats.storeId != storeId)
        throw Error(ErrorCode::conflict, "At " + url + " the API server finds the node " + stats.nodeId +
                                             " with another store: look at NODE_URL.");
}

int run(const process::Config& config) {
    Settings settings(config);
    const bool cluster = settings.isCluster();
    process::StopSignal stop;
    process::Log log(stderr, process::levelOf(settings.logLevel));
    process::EndDeadline end(log);
    process::Metrics metrics(versionText);
    const Clock clock = systemNow;
    std::stop_source ending;

    std::optional<DataFolder> folder;  // of a server of its own
    if (!cluster) {
        folder.emplace(settings.dataDir);
        settings.catalog.database.sqliteFile = folder->database();
        if (!folder->isPrivate())
            log.write(Level::warning, "data_folder_open_to_others",
                      {{"folder", settings.dataDir}, {"what", "Other users may enter it: chmod 700 keeps them out."}});
    }
    catalog::Catalog catalog(settings.catalog, clock);
    const Keys keys(settings.secretKey.empty() ? folder->secretKey() : settings.secretKey);
    Passwords passwords(settings.passwords);
    ChunkBuffers buffers(settings.chunkBuffers, static_cast<std::size_t>(settings.api.chunkSize));
    ChunkBuffers documents(1, documentBudgetBytes);

    const auto nodeClient = [&](const std::string& nodeId, const std::string& url) {
        return std::make_shared<storagenode::NodeClient>(nodeId, url, wire::ClusterKey(settings.clusterSecret),
                                                         storagenode::NodeClientOptions{}, clock);
    };
    std::optional<storagenode::NodeDirectory> directory;  // of a cluster
    std::unique_ptr<StoreSource> source;
    if (cluster) {
        directory.emplace(catalog.chunks, nodeClient, [&](const catalog::Store& node, const Error& error) {
            log.write(Level::warning, "node_without_address", {{"node", node.nodeId}, {"what", error.what()}});
        });
        source = std::make_unique<ClusterStores>(catalog.nodes, settings.maintenance.sweeps.nodes, *directory);
    } else {
        makeFirstAccount(catalog, passwords, settings);
        catalog.uploads.endIntakes();
        auto local = std::make_unique<LocalStores>(
            catalog, settings.storagePaths, settings.stores, settings.replication.writeQuorum,
            [&](const std::string& node, const std::string& what) {
                log.write(Level::warning, "store_unusable", {{"node", node}, {"what", what}});
            });
        if (local->onOneDisk())
            settings.api.notice =
                "All copies are on one disk: they protect against a damaged file, not against a lost disk. Set "
                "STORAGE_PATHS to folders on different disks.";
        source = std::move(local);
    }
    const worker::Stores liveStores = [&] { return source->live(); };

    const worker::Maintenance& maintenance = settings.maintenance;
    worker::Throttle repairs(maintenance.repairBytesPerS), moves(maintenance.rebalanceBytesPerS);
    worker::Jobs jobs(catalog, liveStores, buffers, maintenance.sweeps.replicationFactor, repairs, moves,
                      ending.get_token(), [&](const std::string& node, const worker::WrongAnswer& answer) {
                          worker::observeWrongAnswer(metrics, log, node, answer);
                      });
    const auto runJob = [&](const worker::Job& job) { jobs.run(job); };
    const auto jobFailed = [&](const worker::Job& job, const char* what, bool givenUp) {
        worker::observeFailedJob(log, job, what, givenUp);
    };
    const std::string redisPrefix = cluster ? worker::redisPrefix(settings.clusterSecret) : "";
    std::unique_ptr<worker::JobQueue> queue;
    worker::RedisQueue* redisQueue = nullptr;
    if (cluster) {
        // Workers do the jobs; this process posts them.
        auto made = std::make_unique<worker::RedisQueue>(
            worker::RedisQueueSettings{.address = settings.redis, .prefix = redisPrefix, .consumers = 0}, runJob,
            jobFailed, [&](const std::string& what) {
                log.write(what.empty() ? Level::info : Level::warning, "redis", {{"what", what.empty() ? "ok" : what}});
            });
        redisQueue = made.get();
        queue = std::move(made);
    } else {
        queue = std::make_unique<worker::InProcessQueue>(worker::InProcessLimits{.threads = maintenance.jobThreads},
                                                         runJob, jobFailed);
        worker::observeJobs(metrics, jobs);
    }

    ReplicatedChunkStore stores(
        settings.replication,
        {.onBadReplica =
             [&](const ChunkId& id, catalog::StoreRow store, ReplicaFault fault) {
                 const std::string node = source->nodeIdOf(store);
                 log.write(Level::warning, "bad_replica",
                           {{"chunk", id.toHex()},
                            {"node", node},
                            {"store", catalog::valueOf(store)},
                            {"fault", textOf(fault)}});
                 if (fault == ReplicaFault::silent) return;
                 metrics
                     .counter("chunkvault_bad_replicas_total", "Copies that were found missing or damaged",
                              {{"node", node}, {"fault", textOf(fault)}})
                     .Increment();
                 try {
                     // The store itself is asked what it has: it may have gone wrong on the way, or here.
                     if (const auto row = catalog.chunks.find(id))
                         queue->post({worker::JobKind::verifyChunk, catalog::valueOf(*row)});
                 } catch (const Error& error) {
                     log.write(Level::error, "bad_replica_not_verified", {{"what", error.what()}});
                 }
             },
         .onStoreError =
             [&](catalog::StoreRow store, const Error& error) {
                 log.write(
                     Level::warning, "store_error",
                     {{"node", source->nodeIdOf(store)}, {"store", catalog::valueOf(store)}, {"what", error.what()}});
             }});
    stores.setReplicas(source->replicas());

    worker::Sweeps sweeps(catalog, liveStores, *queue, maintenance.sweeps, clock, ending.get_token(), [&] {
        return catalog::clockFault(catalog::clockAhead(catalog.database, clock), "This server's");
    });
    worker::SweepLeases leases(catalog.nodes, process::newInstanceName());
    std::atomic<bool> chunksAtRisk = false;  // in a cluster the catalog has it
    const auto sweepRan = [&](const worker::SweepRun& done) {
        if (done.name == lookForMissing && done.error.empty()) chunksAtRisk = !done.report.note.empty();
        worker::observeSweep(metrics, log, done);
    };
    std::optional<worker::SweepSchedule> schedule;  // in a cluster the workers have it
    if (!cluster) {
        worker::observeShortage(metrics, sweeps);
        schedule.emplace(sweeps, maintenance.localSchedule(), nullptr, sweepRan);
    }

    ChunkIntake intake(catalog.uploads, stores, maintenance.sweeps.replicationFactor, [&](catalog::ChunkRow chunk) {
        queue->post({worker::JobKind::repairChunk, catalog::valueOf(chunk)});
    });
    FileContent content(catalog.chunks, stores, buffers);
    std::unique_ptr<Cache> cache;
    if (cluster)
        cache = std::make_unique<RedisCache>(
            RedisCacheSettings{.address = settings.redis, .prefix = redisPrefix + versionText + ":cache:"});
    else cache = std::make_unique<LocalCache>(settings.cacheBytes);
    // Waiting takes a connection, of which others need some too.
    ChangeWaiters changeWaiters([&](std::span<const catalog::UserId> owners) { return catalog.changes.poll(owners); },
                                {.perServer = std::max<std::size_t>(settings.http.maxConnections / 2, 1)});
    ZipMemory zipMemory;
    const AccessTokens accessTokens(keys.accessTokens, clock, settings.accessTokenS);

    std::optional<wire::RequestVerifier> verifier;
    std::optional<http::ClusterDoor> door;
    std::optional<ClusterParts> clusterParts;
    if (cluster) {
        verifier.emplace(wire::ClusterKey(settings.clusterSecret), std::string(wire::apiTarget), clock);
        const auto countRefused = [&](std::string_view reason) {
            metrics
                .counter("chunkvault_internal_unauthorized_total",
                         "Requests for the cluster's programs that were refused", {{"reason", std::string(reason)}})
                .Increment();
        };
        door.emplace(*verifier, [countRefused](wire::Refusal refusal) { countRefused(wire::textOf(refusal)); });
        clusterParts.emplace(
            ClusterParts{*door,
                         [&](const std::string& nodeId, const std::string& url, const std::string& storeId) {
                             requireReachable(*nodeClient(nodeId, url), url, nodeId, storeId);
                         },
                         [countRefused] { countRefused(wire::outdatedReport); }});
    }

    CopyPace copyPace(maintenance.repairBytesPerS);
    Services services{
        catalog,
        keys,
        accessTokens,
        passwords,
        buffers,
        documents,
        intake,
        content,
        *cache,
        changeWaiters,
        copyPace,
        zipMemory,
        *queue,
        settings.api,
        clock,
        [&](std::string_view name) -> std::optional<wire::Json> {
            const auto report =
                cluster ? worker::runLeased(sweeps, leases, name, sweepPatience, sweepRan) : schedule->runNow(name);
            if (!report) return std::nullopt;
            return wire::Json{
                {"sweep", name}, {"examined", report->examined}, {"changed", report->changed}, {"note", report->note}};
        },
        [&] { return source->health(); },
        [&] {
            if (!cluster) return chunksAtRisk.load();
            return std::ranges::any_of(catalog.nodes.sweepRuns(), [](const catalog::SweepRun& sweep) {
                return sweep.name == lookForMissing && !sweep.note.empty();
            });
        },
        [&] { return metrics.text(); },
        [&]() -> std::string {
            if (redisQueue == nullptr) return "not used";
            return redisQueue->trouble().empty() ? "ok" : "unreachable";
        },
        clusterParts ? &*clusterParts : nullptr};
    const http::Router router(makeRoutes(services));
    http::Server server(router, settings.http, [&](const http::Exchange& exchange) {
        metrics.observe(exchange);
        process::logRequest(log, exchange, settings.logRequests);
    });
    const std::string url = nearUrl(settings, server.port());
    if (settings.api.publicUrl.empty()) {
        settings.api.publicUrl = url;
        if (settings.isEveryAddress())
            log.write(Level::warning, "public_url_missing",
                      {{"what", "Links begin with " + url +
                                    ", which nobody else can open. Set PUBLIC_URL to the address that people use."}});
    }
    metrics.gauge("chunkvault_active_connections", "Open connections",
                  [&] { return static_cast<double>(server.connections()); });
    metrics.gauge("chunkvault_chunk_buffer_bytes", "Chunk memory in use",
                  [&] { return static_cast<double>(buffers.bytesInUse()); });
    metrics.gauge("chunkvault_document_bytes", "Memory of JSON that comes and of lists that go",
                  [&] { return static_cast<double>(documents.bytesInUse()); });
    metrics.gauge("chunkvault_queue_length", "Jobs waiting and running",
                  [&] { return static_cast<double>(queue->length()); });
    metrics.gauge("chunkvault_changes_waiting", "Calls that wait for changes",
                  [&] { return static_cast<double>(changeWaiters.waiting()); });
    server.start();
    log.write(Level::info, "started", {{"version", versionText}, {"url", url}});
    if (!cluster) printWelcome(catalog, settings, url);

    std::jthread watcher([&] {
        const std::stop_token stopping = ending.get_token();
        if (cluster) {
            const bool open = catalog.database.openPatiently(stopping, [&](const Error& error) {
                log.write(Level::warning, "waiting_for_database", {{"what", error.what()}});
            });
            if (!open) return;
        }
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        catalog::NodeTimesCheck nodeTimes(catalog.nodes, maintenance.sweeps.nodes);
        for (bool accountMade = !cluster; !stopping.stop_requested();) {
            try {
                if (!accountMade) makeFirstAccount(catalog, passwords, settings);
                accountMade = true;
                if (cluster) worker::observeNodeTimes(log, nodeTimes.look());
                if (source->check()) {
                    stores.setReplicas(source->replicas());
                    sweeps.storesChanged();
                }
            } catch (const Error& error) {
                log.write(Level::warning, "store_check_failed", {{"what", error.what()}});
            }
            (void)wake.wait_for(lock, stopping, cluster ? nodesInterval : localStoresInterval, [] { return false; });
        }
    });

    stop.wait();
    log.write(Level::info, "stopping", {});
    end.arm(settings.http.stopTimeout + endPatience);
    ending.request_stop();
    changeWaiters.stop();
    repairs.stop();
    moves.stop();
    server.stop();
    end.arm(endPatience);
    watcher.join();
    log.write(Level::info, "stopped", {});
    return 0;
}

// chunkvault-server admin reset-password USER | format-store NODE, with the server stopped.
int administer(const process::Config& config, const std::string& verb, const std::string& name) {
    Settings settings(config);
    std::optional<DataFolder> folder;
    if (!settings.isCluster()) {
        folder.emplace(settings.dataDir);
        settings.catalog.database.sqliteFile = folder->database();
    }
    catalog::Catalog catalog(settings.catalog, systemNow);
    catalog.database.open();
    if (verb == "reset-password") {
        const auto found = catalog.accounts.findForLogin(name);
        if (!found) throw Error(ErrorCode::notFound, "There is no user \"" + name + "\".");
        Passwords passwords(settings.passwords);
        const std::string password = toBase64Url(randomBytes(12));
        catalog.accounts.resetPassword(found->user.id, passwords.hash(password), true);
        std::printf("The password of %s is now %s  (to be changed at the next login)\n", found->user.username.c_str(),
                    password.c_str());
        return 0;
    }
    if (settings.isCluster())
        throw Error(
            ErrorCode::invalidValue,
            "A storage node of a cluster takes a replaced disk into use by itself: start it on the empty folder.");
    for (std::size_t i = 0; i < settings.storagePaths.size(); ++i) {
        if (LocalStores::nodeId(i) != name) continue;
        LocalStores::format(settings.storagePaths[i], catalog.chunks.vaultId(), name);
        std::printf("%s is the store %s now. Its copies are made again when the server runs.\n",
                    settings.storagePaths[i].c_str(), name.c_str());
        return 0;
    }
    throw Error(ErrorCode::notFound,
                "There is no store \"" + name + "\". The stores are local-1 and so on, in the order of STORAGE_PATHS.");
}

// chunkvault-server export --to DATABASE_URL, with the server stopped.
int exportCatalog(const process::Config& config, const std::string& postgresUrl) {
    Settings settings(config);
    if (settings.isCluster())
        throw Error(
            ErrorCode::invalidValue,
            "export is for a server of its own: unset DATABASE_URL and REDIS_URL, and give the new database with "
            "--to-file or --to.");
    const DataFolder folder(settings.dataDir);
    const std::string secretKey = settings.secretKey.empty() ? folder.secretKey() : settings.secretKey;
    catalog::Database from({.sqliteFile = folder.database()});
    const auto report = catalog::exportTo(from, postgresUrl, [](const std::string& table, std::int64_t rows) {
        std::printf("  %-20s %lld rows\n", table.c_str(), static_cast<long long>(rows));
    });
    std::printf(
        "\nThe catalog is in the new database. What is left to do, with this server stopped for good:\n\n"
        "  1. Start the API servers and workers of the cluster with the same SECRET_KEY, so that logins and links "
        "stay\n     good. It is in %s.\n"
        "  2. Start a storage node for each store folder. No chunk has to be moved or copied:\n\n",
        settings.secretKey.empty() ? (settings.dataDir + "/secret_key").c_str() : "the environment of this server");
    for (std::size_t i = 0; i < settings.storagePaths.size(); ++i)
        std::printf("       NODE_ID=%s STORAGE_PATH=%s chunkvault-storagenode\n", LocalStores::nodeId(i).c_str(),
                    std::filesystem::absolute(settings.storagePaths[i]).lexically_normal().c_str());
    std::printf("\n");
    return 0;
}

// The first line of a file, also of /dev/stdin.
std::string lineOf(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line) || line.empty())
        throw Error(ErrorCode::invalidValue, "The file " + path + " cannot be read, or its first line is empty.");
    return line;
}

// Takes an argument out of what other users see in the list of processes.
std::string takeSecret(char* argument) {
    const std::string secret = argument;
    std::memset(argument, 'x', secret.size());
    return secret;
}

void printUsage() {
    std::printf(
        "chunkvault-server                              run; configured by environment variables\n"
        "chunkvault-server admin reset-password USER    give a user a new password (the server must be stopped)\n"
        "chunkvault-server admin format-store NODE      take a replaced disk into use (the server must be stopped)\n"
        "chunkvault-server export --to-file FILE        copy the catalog to the cluster's database whose URL is the "
        "first\n"
        "                                               line of FILE (the server must be stopped)\n"
        "chunkvault-server export --to DATABASE_URL     the same; others on this machine may see the password in the "
        "list of\n"
        "                                               processes for a moment, and it stays in the shell's history\n"
        "chunkvault-server --settings                   the environment variables, as a Markdown table\n"
        "chunkvault-server --version\n");
}

int start(int argc, char** argv) {
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "--version") {
        std::printf("ChunkVault %s\n", versionText);
        return 0;
    }
    if (verb == "--settings") {
        std::printf("%s", process::Config::markdownTable(Settings::table()).c_str());
        return 0;
    }
    if (verb.empty()) return run(process::Config(Settings::table(), process::Config::environment()));
    const std::string action = argc == 4 ? argv[2] : "";
    if (verb == "admin" && (action == "reset-password" || action == "format-store"))
        return administer(process::Config(Settings::table(), process::Config::environment()), action, argv[3]);
    const std::string how = verb == "export" && argc == 4 ? argv[2] : "";
    if (how == "--to" || how == "--to-file") {
        const std::string url = how == "--to" ? takeSecret(argv[3]) : lineOf(argv[3]);
        return exportCatalog(process::Config(Settings::table(), process::Config::environment()), url);
    }
    printUsage();
    return verb == "--help" ? 0 : 2;
}

}  // namespace
}  // namespace chunkvault::server

int main(int argc, char** argv) {
    // A thread a connection: an arena for each would keep memory that the others need.
    mallopt(M_ARENA_MAX, 2);
    ::umask(0077);
    try {
        return chunkvault::server::start(argc, argv);
    } catch (const chunkvault::Error& error) {
        std::fprintf(stderr, "chunkvault-server: %s\n", error.publicMessage().c_str());
        if (!error.privateDetail().empty()) std::fprintf(stderr, "  (%s)\n", error.privateDetail().c_str());
        return 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chunkvault-server: %s\n", error.what());
        return 1;
    }
}
