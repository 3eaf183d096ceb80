// The settings of a storage node, from environment variables.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/http/server.h"
#include "common/process/config.h"
#include "storagenode/api/registration.h"

namespace chunkvault::storagenode {

struct Settings {
    // Throws Error invalidValue with one line that names the variable.
    explicit Settings(const process::Config& config);

    [[nodiscard]] static std::span<const process::Setting> table();

    http::ServerOptions http;
    RegistrationSettings registration;  // url: empty for http://NODE_ID:PORT
    std::vector<std::string> apiBaseUrls;
    std::string clusterSecret;
    std::size_t chunkBuffers;
    std::size_t chunkSize;
    std::string logLevel;
    bool logRequests;
};

}  // namespace chunkvault::storagenode
