// The keys of the server, all derived from SECRET_KEY. Immutable; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/secrets.h"

namespace chunkvault::server {

// Each by deriveKey.
struct Keys {
    explicit Keys(std::string_view secretKey);

    std::string accessTokens;  // "chunkvault access tokens v1"
    std::string uploadTokens;  // "chunkvault upload tokens v1"
    std::string shareLinks;    // "chunkvault share links v1"
    std::string shareCookies;  // "chunkvault share cookies v1"
};

}  // namespace chunkvault::server
