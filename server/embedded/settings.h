// The server's configuration, from the environment, checked once at the start.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/http/server.h"
#include "common/process/config.h"
#include "database/catalog/catalog.h"
#include "server/api/call.h"
#include "server/auth/password.h"
#include "server/storage/replicated_chunk_store.h"
#include "worker/sweeps/sweeps.h"

namespace chunkvault::server {

struct Settings {
    // Throws Error invalidValue with one line that names the variable.
    explicit Settings(const process::Config& config);

    // Every variable the server knows; the README's table is made of it.
    [[nodiscard]] static std::span<const process::Setting> table();

    http::ServerOptions http;
    ApiSettings api;
    catalog::CatalogOptions catalog;  // the database's place is set by whoever opens it
    PasswordOptions passwords;
    ReplicationLimits replication;
    worker::SweepSettings sweeps;
    std::chrono::milliseconds sweepInterval{};

    std::string dataDir;
    std::vector<std::string> storagePaths;  // of the embedded stores; at least writeQuorum
    std::string secretKey;                  // empty: made and kept in the data folder
    std::string adminPassword;              // of the first start
    int accessTokenS = 900;
    std::size_t chunkBuffers = 16;
    std::int64_t reserveBytes = 0;  // free space that stores leave
    std::size_t cacheBytes = 0;
    std::string logLevel;
    bool logRequests = true;
};

}  // namespace chunkvault::server
