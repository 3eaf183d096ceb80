// The API server. With nothing configured it is the whole system in one process: SQLite, local stores, workers.

#include <malloc.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <thread>

#include "common/error/error.h"
#include "common/http/server.h"
#include "common/process/config.h"
#include "common/process/log.h"
#include "common/process/metrics.h"
#include "common/process/stop_signal.h"
#include "server/api/routes.h"
#include "server/api/version.h"
#include "server/auth/base64.h"
#include "server/cache/cache.h"
#include "server/embedded/data_folder.h"
#include "server/embedded/local_stores.h"
#include "server/embedded/settings.h"
#include "server/storage/chunk_intake.h"
#include "server/storage/file_content.h"
#include "worker/jobs/repair_chunk.h"
#include "worker/jobs/verify_content.h"
#include "worker/queue/in_process_queue.h"
#include "worker/sweeps/sweeps.h"

namespace chunkvault::server {
namespace {

using process::Level;

constexpr std::chrono::seconds storeCheckInterval{10};

process::Level levelOf(const std::string& name) {
    if (name == "debug") return Level::debug;
    if (name == "warning") return Level::warning;
    return name == "error" ? Level::error : Level::info;
}

void makeFirstAccount(catalog::Catalog& catalog, Passwords& passwords, const Settings& settings) {
    if (catalog.accounts.count() > 0) return;
    catalog.accounts.create({.username = "admin",
                             .email = "",
                             .passwordHash = passwords.hash(settings.adminPassword),
                             .role = catalog::Role::admin,
                             .mustChangePassword = true});
}

void printWelcome(const Settings& settings, const std::string& url) {
    const std::string password = settings.adminPassword == "admin123" ? "admin123" : "'$ADMIN_PASSWORD'";
    std::printf(
        "\nChunkVault %s is running at %s   (data in %s, Ctrl-C stops it)\n\n"
        "  Set the password of admin and keep a token:\n"
        "    TOKEN=$(curl -s %s/auth/login -d "
        "'{\"username\":\"admin\",\"password\":\"%s\",\"new_password\":\"choose-a-good-one\"}'"
        " | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\n"
        "  Upload, list, download:\n"
        "    ID=$(curl -s -H \"Authorization: Bearer $TOKEN\" -F file=@README.md %s/files/upload"
        " | sed 's/.*\"file_id\":\"\\([^\"]*\\)\".*/\\1/'); echo \"file $ID\"\n"
        "    curl -s -H \"Authorization: Bearer $TOKEN\" %s/files\n"
        "    curl -s -H \"Authorization: Bearer $TOKEN\" -o copy-of-README.md %s/files/$ID/download\n\n",
        versionText, url.c_str(), settings.dataDir.c_str(), url.c_str(), password.c_str(), url.c_str(), url.c_str(),
        url.c_str());
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

int run(const process::Config& config) {
    Settings settings(config);
    process::StopSignal stop;
    process::Log log(stderr, levelOf(settings.logLevel));
    process::Metrics metrics(versionText);
    const Clock clock = systemNow;

    const DataFolder folder(settings.dataDir);
    settings.catalog.database.sqliteFile = folder.database();
    catalog::Catalog catalog(settings.catalog, clock);
    const Keys keys(settings.secretKey.empty() ? folder.secretKey() : settings.secretKey);
    Passwords passwords(settings.passwords);
    makeFirstAccount(catalog, passwords, settings);

    LocalStores local(catalog.chunks, settings.storagePaths, settings.reserveBytes, settings.replication.writeQuorum,
                      [&](const std::string& node, const std::string& what) {
                          log.write(Level::warning, "store_unusable", {{"node", node}, {"what", what}});
                      });
    ChunkBuffers buffers(settings.chunkBuffers, static_cast<std::size_t>(settings.api.chunkSize));
    const worker::Stores liveStores = [&] { return local.live(); };

    worker::ChunkRepair repair(catalog.chunks, liveStores, buffers, settings.sweeps.replicationFactor);
    auto& repaired =
        metrics.counter("chunkvault_chunks_repaired_total", "Chunks brought back to their number of copies");
    auto& badReplicas = metrics.counter("chunkvault_bad_replicas_total", "Copies that were found missing or damaged");
    worker::InProcessQueue queue(
        {},
        [&](const worker::Job& job) {
            switch (job.kind) {
                case worker::JobKind::repairChunk:
                    if (repair.run(static_cast<catalog::ChunkRow>(job.id)) == worker::RepairOutcome::repaired)
                        repaired.Increment();
                    break;
                case worker::JobKind::verifyContent:
                    worker::verifyContent(catalog.chunks, liveStores, buffers, static_cast<catalog::ContentId>(job.id));
                    break;
            }
        },
        [&](const worker::Job& job, const char* what, bool givenUp) {
            log.write(givenUp ? Level::error : Level::warning, "job_failed",
                      {{"id", job.id}, {"what", what}, {"given_up", givenUp}});
        });

    ReplicatedChunkStore stores(
        settings.replication,
        {.onBadReplica =
             [&](const ChunkId& id, catalog::StoreRow store, ReplicaFault fault) {
                 log.write(Level::warning, "bad_replica",
                           {{"chunk", id.toHex()}, {"store", catalog::valueOf(store)}, {"fault", textOf(fault)}});
                 if (fault == ReplicaFault::silent) return;
                 badReplicas.Increment();
                 try {
                     if (const auto row = catalog.chunks.replicaBad(id, store))
                         queue.post({worker::JobKind::repairChunk, catalog::valueOf(*row)});
                 } catch (const Error& error) {
                     log.write(Level::error, "bad_replica_not_recorded", {{"what", error.what()}});
                 }
             },
         .onStoreError =
             [&](catalog::StoreRow store, const Error& error) {
                 log.write(Level::warning, "store_error", {{"store", catalog::valueOf(store)}, {"what", error.what()}});
             }});
    stores.setReplicas(local.replicas());

    worker::Sweeps sweeps(catalog, liveStores, queue, settings.sweeps, clock);
    const auto often = settings.sweepInterval;
    worker::SweepSchedule schedule(
        sweeps,
        {{"under_replicated", often},
         {"expired", often},
         {"contents", often},
         {"scrub", often},
         {"unreferenced", often * 6},
         {"orphans", often * 36},
         {"store_trash", often * 36}},
        [&](const std::string& name, const worker::SweepReport& report, const std::string& error) {
            const bool alarming = !error.empty() || !report.note.empty();
            if (alarming || report.changed > 0)
                log.write(alarming ? Level::warning : Level::info, "sweep",
                          {{"name", name},
                           {"examined", report.examined},
                           {"changed", report.changed},
                           {"note", error + report.note}});
        });

    ChunkIntake intake(catalog.uploads, stores, settings.sweeps.replicationFactor, [&](catalog::ChunkRow chunk) {
        queue.post({worker::JobKind::repairChunk, catalog::valueOf(chunk)});
    });
    FileContent content(catalog.chunks, stores, buffers);
    Cache cache(settings.cacheBytes);
    const AccessTokens accessTokens(keys.accessTokens, clock, settings.accessTokenS);
    if (local.onOneDisk())
        settings.api.notice =
            "All copies are on one disk: they protect against a damaged file, not against a lost disk. Set "
            "STORAGE_PATHS to folders on different disks.";

    Services services{
        catalog,
        keys,
        accessTokens,
        passwords,
        buffers,
        intake,
        content,
        cache,
        settings.api,
        clock,
        [&](std::string_view name) -> std::optional<wire::Json> {
            const auto report = schedule.runNow(name);
            if (!report) return std::nullopt;
            return wire::Json{
                {"sweep", name}, {"examined", report->examined}, {"changed", report->changed}, {"note", report->note}};
        },
        [&] { return local.health(); },
        [&] { return metrics.text(); }};
    const http::Router router(makeRoutes(services));
    http::Server server(router, settings.http, [&](const http::Exchange& exchange) {
        metrics.observe(exchange);
        if (!settings.logRequests && exchange.error.empty()) return;
        log.write(exchange.status >= 500 || exchange.truncated ? Level::warning : Level::info, "request",
                  {{"request_id", exchange.requestId},
                   {"method", http::toString(exchange.method)},
                   {"route", exchange.route},
                   {"status", exchange.status},
                   {"bytes_in", static_cast<std::int64_t>(exchange.bytesIn)},
                   {"bytes_out", static_cast<std::int64_t>(exchange.bytesOut)},
                   {"ms", static_cast<double>(exchange.time.count()) / 1000},
                   {"address", exchange.clientAddress},
                   {"error", exchange.error}});
    });
    const std::string scheme = settings.http.tlsCert.empty() ? "http://" : "https://";
    const std::string url = scheme + settings.http.host + ':' + std::to_string(server.port());
    if (settings.api.publicUrl.empty()) settings.api.publicUrl = url;
    metrics.gauge("chunkvault_active_connections", "Open connections",
                  [&] { return static_cast<double>(server.connections()); });
    metrics.gauge("chunkvault_chunk_buffer_bytes", "Chunk memory in use",
                  [&] { return static_cast<double>(buffers.bytesInUse()); });
    metrics.gauge("chunkvault_queue_length", "Jobs waiting and running",
                  [&] { return static_cast<double>(queue.length()); });
    server.start();
    log.write(Level::info, "started", {{"version", versionText}, {"url", url}});
    printWelcome(settings, url);

    std::jthread watcher([&](const std::stop_token& ending) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, ending, storeCheckInterval, [] { return false; }) && !ending.stop_requested()) {
            try {
                if (local.check()) stores.setReplicas(local.replicas());
            } catch (const std::exception& error) {
                log.write(Level::warning, "store_check_failed", {{"what", error.what()}});
            }
        }
    });

    stop.wait();
    log.write(Level::info, "stopping", {});
    server.stop();
    log.write(Level::info, "stopped", {});
    return 0;
}

// chunkvault-server admin reset-password USER | format-store NODE, with the server stopped.
int administer(const process::Config& config, const std::string& verb, const std::string& name) {
    Settings settings(config);
    const DataFolder folder(settings.dataDir);
    settings.catalog.database.sqliteFile = folder.database();
    catalog::Catalog catalog(settings.catalog, systemNow);
    if (verb == "reset-password") {
        const auto found = catalog.accounts.findForLogin(name);
        if (!found) throw Error(ErrorCode::notFound, "There is no user \"" + name + "\".");
        Passwords passwords(settings.passwords);
        const std::string password = toBase64Url(randomBytes(12));
        catalog.accounts.setPassword(found->user.id, passwords.hash(password), true, std::nullopt);
        std::printf("The password of %s is now %s  (to be changed at the next login)\n", found->user.username.c_str(),
                    password.c_str());
        return 0;
    }
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

void printUsage() {
    std::printf(
        "chunkvault-server                              run; configured by environment variables\n"
        "chunkvault-server admin reset-password USER    give a user a new password (the server must be stopped)\n"
        "chunkvault-server admin format-store NODE      take a replaced disk into use (the server must be stopped)\n"
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
