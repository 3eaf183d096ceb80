// The server's configuration, from the environment, checked once at the start.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/server.h"
#include "common/process/config.h"
#include "database/catalog/catalog.h"
#include "server/api/call.h"
#include "server/auth/password.h"
#include "server/storage/replicated_chunk_store.h"
#include "storagenode/store/disk_chunk_store.h"
#include "worker/queue/redis_connection.h"
#include "worker/sweeps/maintenance.h"

namespace chunkvault::server {

// Of admin, where no other is given and only this machine can connect.
inline constexpr std::string_view wellKnownPassword = "admin123";

struct Settings {
    // Throws Error invalidValue with one line that names the variable.
    explicit Settings(const process::Config& config);

    // Every variable the server knows; the README's table is made of it.
    [[nodiscard]] static std::span<const process::Setting> table();

    http::ServerOptions http;
    ApiSettings api;
    catalog::CatalogOptions catalog;  // the place of an SQLite database is set by whoever opens it
    PasswordOptions passwords;
    ReplicationLimits replication;
    worker::Maintenance maintenance;

    // Whether this is a server of a cluster; what follows is empty else.
    [[nodiscard]] bool isCluster() const { return !catalog.database.postgresUrl.empty(); }
    // Whether HOST stands for all addresses of this machine, and so is none to connect to.
    [[nodiscard]] bool isEveryAddress() const;
    worker::RedisAddress redis;
    std::string clusterSecret;

    std::string dataDir;
    std::vector<std::string> storagePaths;  // of the embedded stores; at least writeQuorum
    std::string secretKey;                  // empty: made and kept in the data folder
    std::string adminPassword;              // the first one; the well-known one only on loopback
    int accessTokenS = 900;
    std::size_t chunkBuffers = 16;
    storagenode::StoreOptions stores;
    std::size_t cacheBytes = 0;
    std::string logLevel;
    bool logRequests = true;

  private:
    void readCluster(const process::Config& config);
};

}  // namespace chunkvault::server
