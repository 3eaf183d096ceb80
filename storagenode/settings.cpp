#include "storagenode/settings.h"

#include "common/error/error.h"
#include "storagenode/client/node_protocol.h"

namespace chunkvault::storagenode {

namespace {

using namespace std::chrono_literals;

constexpr process::Setting known[] = {
    {"NODE_ID", "", "Name of this node in the cluster: letters, digits, '-', '_' and '.'; for ever"},
    {"HOST", "0.0.0.0", "Address to listen on"},
    {"PORT", "8001", "Port to listen on"},
    {"NODE_URL", "", "Where API servers and workers reach this node; http://NODE_ID:PORT when empty"},
    {"STORAGE_PATH", "", "The folder of the store, best a mount point of a disk of its own"},
    {"ZONE", "", "Nodes of one zone may fail together; copies go to different zones. When empty: a zone of its own"},
    {"API_BASE_URL", "", "Comma-separated addresses of API servers, as http://host:8000"},
    {"CLUSTER_SECRET", "", "At least 32 characters, the same in all programs of the cluster", true},
    {"STORAGE_RESERVE", "1G", "Free space that the store leaves on its disk"},
    {"DEDUP", "all",
     "all, or owner: a chunk that is there is written anew when it is sent again, and no time tells that it was"},
    {"CHUNK_SIZE", "4M", "As the API servers have it, 64K to 100M; chunks up to 100M are taken all the same"},
    {"CHUNK_BUFFERS", "16", "Chunks held in memory at once, all requests together"},
    {"NODE_BEAT", "2s", "How often the node reports to an API server"},
    {"MAX_CONNECTIONS", "5000", "Connections at once; more get 503"},
    {"HEADER_TIMEOUT", "10s", "For a request's header"},
    {"IDLE_TIMEOUT", "75s", "Between requests of a connection"},
    {"STALL_TIMEOUT", "30s", "For a transfer that does not move"},
    {"STOP_TIMEOUT", "30s", "For transfers to finish when the node is stopped"},
    {"LOG_LEVEL", "info", "debug, info, warning or error"},
    {"LOG_REQUESTS", "false", "One line a request"},
};

std::string required(const process::Config& config, std::string_view name) {
    std::string value = config.text(name);
    if (value.empty()) throw Error(ErrorCode::invalidValue, std::string(name) + " is missing. Set it.");
    return value;
}

wire::NodeId nodeIdOf(const process::Config& config) {
    const auto id = wire::NodeId::parse(required(config, "NODE_ID"));
    if (!id)
        throw Error(ErrorCode::invalidValue,
                    "NODE_ID must have 1 to 64 letters, digits, '-', '_' and '.', and begin with a letter or digit.");
    return *id;
}

}  // namespace

std::span<const process::Setting> Settings::table() { return known; }

Settings::Settings(const process::Config& config) : registration{.nodeId = nodeIdOf(config)} {
    http.host = config.text("HOST");
    http.port = static_cast<std::uint16_t>(config.integer("PORT", 0, 65535));
    http.maxConnections = static_cast<std::size_t>(config.integer("MAX_CONNECTIONS", 10, 100'000));
    http.headerTimeout = config.duration("HEADER_TIMEOUT", 100ms, 10min);
    http.idleTimeout = config.duration("IDLE_TIMEOUT", 100ms, 1h);
    http.stallTimeout = config.duration("STALL_TIMEOUT", 100ms, 1h);
    http.stopTimeout = config.duration("STOP_TIMEOUT", 0ms, 1h);

    registration.zone = config.text("ZONE");
    registration.url = config.text("NODE_URL");
    registration.folder = required(config, "STORAGE_PATH");
    registration.store.reserveBytes = static_cast<std::uint64_t>(config.bytes("STORAGE_RESERVE", 0, INT64_MAX));
    registration.store.rewrites = config.oneOf("DEDUP", {"all", "owner"}) == "owner";
    registration.beat = config.duration("NODE_BEAT", 50ms, 1min);
    if (registration.zone.size() > 255) throw Error(ErrorCode::invalidValue, "ZONE must have at most 255 characters.");
    (void)required(config, "API_BASE_URL");
    apiBaseUrls = config.list("API_BASE_URL");
    const auto requireUrl = [](std::string_view name, const std::string& url) {
        try {
            (void)http::ServerAddress::parse(url);
        } catch (const Error& error) {
            throw Error(ErrorCode::invalidValue, std::string(name) + ": " + error.publicMessage());
        }
    };
    for (const std::string& url : apiBaseUrls) requireUrl("API_BASE_URL", url);
    if (!registration.url.empty()) requireUrl("NODE_URL", registration.url);
    clusterSecret = required(config, "CLUSTER_SECRET");
    if (clusterSecret.size() < wire::ClusterKey::minSecretBytes)
        throw Error(ErrorCode::invalidValue, "CLUSTER_SECRET must have at least 32 characters.");

    chunkBuffers = static_cast<std::size_t>(config.integer("CHUNK_BUFFERS", 4, 10'000));
    chunkSize = static_cast<std::size_t>(config.bytes("CHUNK_SIZE", 64 << 10, maxChunkBytes));
    logLevel = config.oneOf("LOG_LEVEL", {"debug", "info", "warning", "error"});
    logRequests = config.boolean("LOG_REQUESTS");
}

}  // namespace chunkvault::storagenode
