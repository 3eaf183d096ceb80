// What keys are made of and used for: derivation, message authentication, chance. Thread-safe. Free of Qt and Poco.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/chunk/chunk_id.h"

namespace chunkvault {

// HMAC-SHA-256 (RFC 2104).
[[nodiscard]] Sha256Digest hmac(std::string_view key, std::string_view message);
// 32 bytes, by HKDF-SHA-256 (RFC 5869) with an empty salt and the label as info.
[[nodiscard]] std::string deriveKey(std::string_view secret, std::string_view label);
// From the system's generator; throws Error internal when it fails.
[[nodiscard]] std::string randomBytes(std::size_t count);
// Takes the time that depends on the lengths only.
[[nodiscard]] bool equalInConstantTime(std::string_view a, std::string_view b) noexcept;

}  // namespace chunkvault
