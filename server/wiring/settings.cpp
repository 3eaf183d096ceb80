#include "server/wiring/settings.h"

#include <algorithm>
#include <iterator>

#include <Poco/Net/IPAddress.h>

#include "common/error/error.h"
#include "common/wire/signature.h"

namespace chunkvault::server {

namespace {

using std::chrono::milliseconds;

constexpr process::Setting known[] = {
    {"HOST", "127.0.0.1", "Address to listen on; 0.0.0.0 for all"},
    {"PORT", "8000", "Port to listen on"},
    {"PUBLIC_URL", "",
     "Address that share links are built from; http://HOST:PORT when empty; needed when HOST is 0.0.0.0"},
    {"DATA_DIR", "./data", "Where a server of its own keeps everything; not used in a cluster"},
    {"STORAGE_PATHS", "", "Comma-separated folders, best on different disks; three below DATA_DIR when empty"},
    {"DATABASE_URL", "", "PostgreSQL, for a cluster: postgresql://user:password@host/name?sslmode=...", true},
    {"REDIS_URL", "", "Redis, for a cluster: redis://:password@host:6379/0", true},
    {"CLUSTER_SECRET", "", "At least 32 characters; the same for all programs of a cluster", true},
    {"SECRET_KEY", "", "At least 32 characters; made and kept in DATA_DIR when empty, needed in a cluster", true},
    {"ADMIN_PASSWORD", "",
     "First password of admin, also in place of an unchanged admin123; admin123 while HOST is loopback", true},
    {"TLS_CERT", "", "PEM file with the certificate and its chain; read again when it changes"},
    {"TLS_KEY", "", "PEM file with the key"},
    {"TRUSTED_PROXIES", "", "Addresses or CIDR blocks whose X-Forwarded-For is believed"},
    {"REGISTRATION", "open", "open or closed: whether people can make accounts themselves"},
    {"CHUNK_SIZE", "4M", "Size of new chunks, 64K to 100M"},
    {"CHUNK_BUFFERS", "16", "Chunks held in memory at once, all transfers together"},
    {"DEDUP", "all",
     "all, or owner: what an account does not have itself is always written, and no time tells what others have"},
    {"WRITE_QUORUM", "2", "Copies that are durable before an upload is acknowledged"},
    {"DEFAULT_QUOTA", "0", "Bytes per user, such as 50G; 0: unlimited"},
    {"VERSIONS_KEEP", "10", "Versions kept of each file"},
    {"UPLOAD_DAYS", "7", "Days an upload lives after its last byte"},
    {"STORAGE_RESERVE", "64M", "Free space that stores leave on their disks"},
    {"NODE_BEAT", "2s", "How often the storage nodes of a cluster report"},
    {"READ_PATIENCE", "2s", "Before a silent store is left for the next copy"},
    {"CACHE_SIZE", "16M", "Memory for lists that were made before; in a cluster Redis keeps them"},
    {"BCRYPT_COST", "12", "Work of a password hash, 4 to 16; less than 10 is for tests"},
    {"ACCESS_TOKEN_TTL", "15min", "Life of an access token"},
    {"SESSION_DAYS", "30", "Days a login lasts without being used"},
    {"LOGIN_LIMIT_ADDRESS", "100", "Sign-ins per address in five minutes"},
    {"LOGIN_LIMIT_ACCOUNT", "10", "Failed sign-ins per account in five minutes"},
    {"REGISTER_LIMIT_ADDRESS", "20", "New accounts per address in an hour"},
    {"SHARE_PASSWORD_LIMIT", "20", "Tries of a link's password per address in five minutes"},
    {"MAX_CONNECTIONS", "5000", "Connections at once; more get 503"},
    {"HEADER_TIMEOUT", "10s", "For a request's header"},
    {"IDLE_TIMEOUT", "75s", "Between requests of a connection"},
    {"STALL_TIMEOUT", "30s", "For a transfer that does not move"},
    {"STOP_TIMEOUT", "30s", "For transfers to finish when the server is stopped"},
    {"LOG_LEVEL", "info", "debug, info, warning or error"},
    {"LOG_REQUESTS", "true", "One line a request"},
};

milliseconds durationOf(const process::Config& config, std::string_view name, milliseconds min, milliseconds max) {
    return config.duration(name, min, max);
}

int intOf(const process::Config& config, std::string_view name, std::int64_t min, std::int64_t max) {
    return static_cast<int>(config.integer(name, min, max));
}

// Of a numeric address, also in brackets; nullopt for a name.
std::optional<Poco::Net::IPAddress> addressOf(std::string host) {
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    Poco::Net::IPAddress address;
    if (!Poco::Net::IPAddress::tryParse(host, address)) return std::nullopt;
    return address;
}

// Whether only this machine can connect. Any name but this one may be anything.
bool isLoopback(const std::string& host) {
    const auto address = addressOf(host);
    return address ? address->isLoopback() : host == "localhost";
}

std::string adminPasswordOf(const process::Config& config, bool loopback) {
    std::string password = config.text("ADMIN_PASSWORD");
    if (password.empty() && loopback) return std::string(wellKnownPassword);
    if (password.empty())
        throw Error(ErrorCode::invalidValue,
                    "ADMIN_PASSWORD is missing: it is needed when HOST is not a loopback address.");
    if (password == wellKnownPassword && !loopback)
        throw Error(ErrorCode::invalidValue,
                    "ADMIN_PASSWORD is the one that everybody knows. Choose another: HOST is not a loopback address.");
    try {
        Passwords::check(password);
    } catch (const Error& error) {
        throw Error(ErrorCode::invalidValue, "ADMIN_PASSWORD cannot be used. " + error.publicMessage());
    }
    return password;
}

}  // namespace

std::span<const process::Setting> Settings::table() {
    static const auto table = [] {
        std::vector<process::Setting> all(std::begin(known), std::end(known));
        const auto quorum = std::ranges::find(all, "WRITE_QUORUM", &process::Setting::name);
        const auto shared = worker::Maintenance::table();
        all.insert(quorum, shared.begin(), shared.end());
        return all;
    }();
    return table;
}

Settings::Settings(const process::Config& config) : maintenance(config) {
    using namespace std::chrono_literals;
    http.host = config.text("HOST");
    http.port = static_cast<std::uint16_t>(config.integer("PORT", 0, 65535));
    http.tlsCert = config.text("TLS_CERT");
    http.tlsKey = config.text("TLS_KEY");
    if (http.tlsCert.empty() != http.tlsKey.empty())
        throw Error(ErrorCode::invalidValue, "TLS_CERT and TLS_KEY go together: set both or none.");
    http.trustedProxies = config.list("TRUSTED_PROXIES");
    http.maxConnections = static_cast<std::size_t>(config.integer("MAX_CONNECTIONS", 10, 100'000));
    http.headerTimeout = durationOf(config, "HEADER_TIMEOUT", 100ms, 10min);
    http.idleTimeout = durationOf(config, "IDLE_TIMEOUT", 100ms, 1h);
    http.stallTimeout = durationOf(config, "STALL_TIMEOUT", 100ms, 1h);
    http.stopTimeout = durationOf(config, "STOP_TIMEOUT", 0ms, 1h);

    const bool database = config.given("DATABASE_URL"), withRedis = config.given("REDIS_URL");
    if (database != withRedis)
        throw Error(ErrorCode::invalidValue,
                    std::string(database ? "REDIS_URL" : "DATABASE_URL") +
                        " is missing: a cluster needs both DATABASE_URL and REDIS_URL, a single server neither.");

    dataDir = config.text("DATA_DIR");
    storagePaths = config.list("STORAGE_PATHS");
    if (storagePaths.empty())
        for (const char* name : {"store-1", "store-2", "store-3"}) storagePaths.push_back(dataDir + "/stores/" + name);
    secretKey = config.text("SECRET_KEY");
    if ((database || !secretKey.empty()) && secretKey.size() < 32)
        throw Error(ErrorCode::invalidValue, std::string("SECRET_KEY must have at least 32 characters") +
                                                 (database ? ", the same on every server of the cluster." : "."));
    if (database) readCluster(config);
    else if (config.given("CLUSTER_SECRET"))
        throw Error(ErrorCode::invalidValue,
                    "CLUSTER_SECRET is for a cluster, which needs DATABASE_URL and REDIS_URL too.");
    adminPassword = adminPasswordOf(config, isLoopback(http.host));

    replication.replicationFactor = static_cast<std::size_t>(maintenance.sweeps.replicationFactor);
    replication.writeQuorum = static_cast<std::size_t>(config.integer("WRITE_QUORUM", 1, 10));
    if (replication.writeQuorum > replication.replicationFactor)
        throw Error(ErrorCode::invalidValue, "WRITE_QUORUM cannot be larger than REPLICATION_FACTOR.");
    replication.readPatience = durationOf(config, "READ_PATIENCE", 50ms, 5min);
    if (!database && storagePaths.size() < replication.replicationFactor)
        throw Error(ErrorCode::invalidValue,
                    "STORAGE_PATHS has fewer folders than REPLICATION_FACTOR asks for copies: name " +
                        std::to_string(replication.replicationFactor) + " or lower REPLICATION_FACTOR.");

    api.publicUrl = config.text("PUBLIC_URL");
    while (api.publicUrl.ends_with('/')) api.publicUrl.pop_back();
    if (!api.publicUrl.empty() && !api.publicUrl.starts_with("http://") && !api.publicUrl.starts_with("https://"))
        throw Error(ErrorCode::invalidValue, "PUBLIC_URL must be an address such as https://vault.example.org.");
    api.registrationOpen = config.oneOf("REGISTRATION", {"open", "closed"}) == "open";
    api.chunkSize = config.bytes("CHUNK_SIZE", 64 << 10, 100 << 20);
    api.defaultQuota = config.bytes("DEFAULT_QUOTA", 0, INT64_MAX);
    api.writeQuorum = static_cast<int>(replication.writeQuorum);
    api.replicationFactor = static_cast<int>(replication.replicationFactor);
    api.nodeTimes = maintenance.sweeps.nodes;
    api.nodeBeat = durationOf(config, "NODE_BEAT", 100ms, 10min);
    api.loginsPerAddress = intOf(config, "LOGIN_LIMIT_ADDRESS", 1, 1'000'000);
    api.loginsPerAccount = intOf(config, "LOGIN_LIMIT_ACCOUNT", 1, 1'000'000);
    api.registrationsPerAddress = intOf(config, "REGISTER_LIMIT_ADDRESS", 1, 1'000'000);
    api.sharePasswordsPerAddress = intOf(config, "SHARE_PASSWORD_LIMIT", 1, 1'000'000);
    api.sessionDays = intOf(config, "SESSION_DAYS", 1, 3650);

    catalog.uploads.chunkSize = api.chunkSize;
    catalog.uploads.writeQuorum = static_cast<int>(replication.writeQuorum);
    catalog.uploads.replicationFactor = static_cast<int>(replication.replicationFactor);
    catalog.uploads.keepDays = intOf(config, "UPLOAD_DAYS", 1, 365);
    catalog.tree.versionsKeep = maintenance.sweeps.versionsKeep = intOf(config, "VERSIONS_KEEP", 1, 1000);
    catalog.defaultQuota = api.defaultQuota;

    passwords.cost = intOf(config, "BCRYPT_COST", 4, 16);
    accessTokenS = static_cast<int>(durationOf(config, "ACCESS_TOKEN_TTL", 1s, 24h).count() / 1000);
    chunkBuffers = static_cast<std::size_t>(config.integer("CHUNK_BUFFERS", 4, 10'000));
    stores.reserveBytes = static_cast<std::uint64_t>(config.bytes("STORAGE_RESERVE", 0, INT64_MAX));
    stores.rewrites = config.oneOf("DEDUP", {"all", "owner"}) == "owner";
    cacheBytes = static_cast<std::size_t>(config.bytes("CACHE_SIZE", 0, 1LL << 40));
    logLevel = config.oneOf("LOG_LEVEL", {"debug", "info", "warning", "error"});
    logRequests = config.boolean("LOG_REQUESTS");
}

bool Settings::isEveryAddress() const { return http.host == "0.0.0.0" || http.host == "::" || http.host == "[::]"; }

void Settings::readCluster(const process::Config& config) {
    catalog.database.postgresUrl = config.text("DATABASE_URL");
    redis = worker::RedisAddress::parse(config.text("REDIS_URL"));
    clusterSecret = config.text("CLUSTER_SECRET");
    if (clusterSecret.size() < wire::ClusterKey::minSecretBytes)
        throw Error(ErrorCode::invalidValue, "CLUSTER_SECRET must have at least 32 characters in a cluster.");
    for (const char* local : {"STORAGE_PATHS", "STORAGE_RESERVE", "DEDUP"})
        if (config.given(local))
            throw Error(
                ErrorCode::invalidValue,
                std::string(local) + " is for a server of its own; in a cluster it belongs to the storage nodes.");
}

}  // namespace chunkvault::server
