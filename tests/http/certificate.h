// Self-signed certificates for tests.
#pragma once

#include <filesystem>

namespace chunkvault::http::test {

// Writes a new key and a certificate for it as PEM files.
void writeCertificate(const std::filesystem::path& cert, const std::filesystem::path& key);

}  // namespace chunkvault::http::test
