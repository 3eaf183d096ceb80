// The keys of the server, all derived from SECRET_KEY. Immutable; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "common/chunk/chunk_id.h"

namespace chunkvault::server {

// HMAC-SHA-256 (RFC 2104).
[[nodiscard]] Sha256Digest hmac(std::string_view key, std::string_view message);
// From the system's generator; throws Error internal when it fails.
[[nodiscard]] std::string randomBytes(std::size_t count);
// Takes the time that depends on the lengths only.
[[nodiscard]] bool equalInConstantTime(std::string_view a, std::string_view b) noexcept;

// Each 32 bytes, by HKDF-SHA-256 (RFC 5869) with an empty salt and the label as info.
struct Keys {
    explicit Keys(std::string_view secretKey);

    std::string accessTokens;  // "chunkvault access tokens v1"
    std::string uploadTokens;  // "chunkvault upload tokens v1"
    std::string shareLinks;    // "chunkvault share links v1"
    std::string shareCookies;  // "chunkvault share cookies v1"
};

}  // namespace chunkvault::server
