// A storage node: keeps chunks on one disk for the cluster's API servers and workers.

#include <malloc.h>
#include <sys/stat.h>

#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "common/error/error.h"
#include "common/process/end_deadline.h"
#include "common/process/metrics.h"
#include "common/process/request_log.h"
#include "common/process/stop_signal.h"
#include "common/process/version.h"
#include "storagenode/api/routes.h"
#include "storagenode/settings.h"

namespace chunkvault::storagenode {
namespace {

using process::Level;
using wire::Refusal;

constexpr std::chrono::seconds endPatience{15};  // beyond STOP_TIMEOUT, for the last report

int run(const process::Config& config) {
    Settings settings(config);
    process::StopSignal stop;
    process::Log log(stderr, process::levelOf(settings.logLevel));
    process::EndDeadline end(log);
    process::Metrics metrics(process::versionText);
    const Clock clock = systemNow;
    const wire::ClusterKey key(settings.clusterSecret);
    const std::string& nodeId = settings.registration.nodeId.text();

    std::map<Refusal, prometheus::Counter*> refusals;
    for (const Refusal refusal :
         {Refusal::missing, Refusal::malformed, Refusal::forged, Refusal::stale, Refusal::replayed, Refusal::altered})
        refusals[refusal] =
            &metrics.counter("chunkvault_node_unauthorized_total", "Requests whose signature was refused",
                             {{"reason", std::string(textOf(refusal))}});
    wire::RequestVerifier verifier(key, nodeId, clock);
    http::ClusterDoor door(verifier, [&](Refusal refusal) { refusals.at(refusal)->Increment(); });

    StoreSlot slot;
    ChunkBuffers buffers(settings.chunkBuffers, settings.chunkSize);
    NodeServices services{slot, buffers, door, settings.registration.zone, [&] { return metrics.text(); }};
    const http::Router router(makeRoutes(services));
    http::Server server(router, settings.http, [&](const http::Exchange& exchange) {
        metrics.observe(exchange);
        process::logRequest(log, exchange, settings.logRequests);
    });
    metrics.gauge("chunkvault_active_connections", "Open connections",
                  [&] { return static_cast<double>(server.connections()); });
    metrics.gauge("chunkvault_chunk_buffer_bytes", "Chunk memory in use",
                  [&] { return static_cast<double>(buffers.bytesInUse()); });
    const auto space = [&](auto&& read) {
        try {
            return read(*slot.use());
        } catch (const Error&) {  // no store now
            return 0.0;
        }
    };
    metrics.gauge("chunkvault_store_capacity_bytes", "Size of the store's disk", [&] {
        return space([](DiskChunkStore& store) { return static_cast<double>(store.space().capacityBytes); });
    });
    metrics.gauge("chunkvault_store_free_bytes", "Free on the store's disk, above the reserve", [&] {
        return space([](DiskChunkStore& store) { return static_cast<double>(store.roomBytes(store.space())); });
    });
    metrics.gauge("chunkvault_store_usable", "1 while the node serves its store",
                  [&] { return slot.problem().empty() ? 1.0 : 0.0; });

    if (settings.registration.url.empty())
        settings.registration.url = "http://" + nodeId + ':' + std::to_string(server.port());
    ApiServers api(settings.apiBaseUrls, key, clock);
    Registration registration(
        settings.registration, slot, [&](const wire::NodeReport& report) { return api.report(report); }, clock,
        [&](Level level, std::string_view event, const std::string& what) {
            log.write(level, event, {{"node", nodeId}, {"what", what}});
        });
    registration.openAtStart();
    server.start();
    log.write(Level::info, "started",
              {{"version", process::versionText}, {"node", nodeId}, {"url", settings.registration.url}});

    std::jthread beats([&](const std::stop_token& ending) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!ending.stop_requested()) wake.wait_for(lock, ending, registration.beat(), [] { return false; });
    });

    stop.wait();
    log.write(Level::info, "stopping", {});
    end.arm(settings.http.stopTimeout + endPatience);
    beats.request_stop();
    beats.join();
    registration.sayStopped();
    server.stop();
    log.write(Level::info, "stopped", {});
    return 0;
}

int start(int argc, char** argv) {
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb.empty()) return run(process::Config(Settings::table(), process::Config::environment()));
    if (verb == "--version") {
        std::printf("ChunkVault %s\n", process::versionText);
    } else if (verb == "--settings") {
        std::printf("%s", process::Config::markdownTable(Settings::table()).c_str());
    } else {
        std::printf(
            "chunkvault-storagenode               run; configured by environment variables\n"
            "chunkvault-storagenode --settings    the environment variables, as a Markdown table\n"
            "chunkvault-storagenode --version\n");
        return verb == "--help" ? 0 : 2;
    }
    return 0;
}

}  // namespace
}  // namespace chunkvault::storagenode

int main(int argc, char** argv) {
    // A thread a connection: an arena for each would keep memory that the others need.
    mallopt(M_ARENA_MAX, 2);
    ::umask(0077);
    try {
        return chunkvault::storagenode::start(argc, argv);
    } catch (const chunkvault::Error& error) {
        std::fprintf(stderr, "chunkvault-storagenode: %s\n", error.publicMessage().c_str());
        if (!error.privateDetail().empty()) std::fprintf(stderr, "  (%s)\n", error.privateDetail().c_str());
        return 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chunkvault-storagenode: %s\n", error.what());
        return 1;
    }
}
