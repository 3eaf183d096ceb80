// The API server. With nothing configured it is the whole system in one process: SQLite, local stores, workers.

#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "common/error/error.h"
#include "common/http/server.h"
#include "common/process/config.h"
#include "common/process/log.h"
#include "common/process/metrics.h"
#include "common/process/request_log.h"
#include "common/process/stop_signal.h"
#include "common/process/version.h"
#include "server/api/routes.h"
#include "server/auth/base64.h"
#include "server/cache/local_cache.h"
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
using process::versionText;

constexpr std::chrono::seconds storeCheckInterval{10};

// Makes the names in it durable.
void syncFolder(const std::filesystem::path& path) {
    const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && ::fsync(folder) == 0;
    if (folder >= 0) ::close(folder);
    if (!synced)
        throw Error(ErrorCode::unavailable,
                    "The folder " + path.string() + " cannot be synced: " + std::strerror(errno) + '.');
}

void makeFolders(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) return;
    makeFolders(path.parent_path());
    std::filesystem::create_directory(path);
    syncFolder(path.parent_path());
}

// The data folder, private to its owner and to one process.
class DataFolder {
  public:
    explicit DataFolder(const std::string& path) : path_(path) {
        makeFolders(std::filesystem::absolute(path_).lexically_normal());
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
        lock_ = ::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_ < 0)
            throw Error(ErrorCode::unavailable,
                        "DATA_DIR " + path + " cannot be written to: " + std::strerror(errno) + '.');
        if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
            throw Error(ErrorCode::conflict, "Another chunkvault-server uses the data folder " + path +
                                                 ". Stop it first, or set DATA_DIR to another folder.");
    }
    ~DataFolder() { ::close(lock_); }
    DataFolder(const DataFolder&) = delete;
    DataFolder& operator=(const DataFolder&) = delete;

    [[nodiscard]] std::string database() const { return (path_ / "catalog.sqlite").string(); }

    // Made at the first start: whoever has it can make tokens for every account.
    [[nodiscard]] std::string secretKey() const {
        const std::filesystem::path file = path_ / "secret_key";
        std::string key;
        if (std::ifstream(file) >> key && key.size() >= 32) return key;
        key = toBase64Url(randomBytes(48));
        const std::string fresh = file.string() + ".new";
        const int descriptor = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const std::string line = key + '\n';
        const bool written = descriptor >= 0 &&
                             ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                             ::fsync(descriptor) == 0;
        if (descriptor >= 0) ::close(descriptor);
        if (!written) throw Error(ErrorCode::unavailable, "The secret key cannot be written to " + file.string() + '.');
        std::filesystem::rename(fresh, file);
        syncFolder(path_);
        return key;
    }

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

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
    process::Log log(stderr, process::levelOf(settings.logLevel));
    process::Metrics metrics(versionText);
    const Clock clock = systemNow;

    const DataFolder folder(settings.dataDir);
    settings.catalog.database.sqliteFile = folder.database();
    catalog::Catalog catalog(settings.catalog, clock);
    const Keys keys(settings.secretKey.empty() ? folder.secretKey() : settings.secretKey);
    Passwords passwords(settings.passwords);
    makeFirstAccount(catalog, passwords, settings);
    catalog.uploads.endIntakes();

    LocalStores local(catalog, settings.storagePaths, settings.reserveBytes, settings.replication.writeQuorum,
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
                case worker::JobKind::unknown: break;
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
                      {{"job", toString(job)}, {"what", what}, {"given_up", givenUp}});
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
    LocalCache cache(settings.cacheBytes);
    const AccessTokens accessTokens(keys.accessTokens, clock, settings.accessTokenS);
    if (settings.storagePaths.front().starts_with(settings.dataDir))
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
        process::logRequest(log, exchange, settings.logRequests);
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
            } catch (const Error& error) {
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
        catalog.accounts.resetPassword(found->user.id, passwords.hash(password), true);
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
