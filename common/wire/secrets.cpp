#include "common/wire/secrets.h"

#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "common/error/error.h"

namespace chunkvault {

namespace {

const unsigned char* unsignedBytes(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

void require(bool good, const char* what) {
    if (!good) throw Error(ErrorCode::internal, "An internal error occurred.", std::string("OpenSSL failed: ") + what);
}

}  // namespace

Sha256Digest hmac(std::string_view key, std::string_view message) {
    std::array<std::uint8_t, Sha256Digest::bytes> value{};
    unsigned int length = 0;
    require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), unsignedBytes(message), message.size(),
                 value.data(), &length) != nullptr,
            "HMAC");
    return Sha256Digest(value);
}

std::string deriveKey(std::string_view secret, std::string_view label) {
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), EVP_PKEY_CTX_free);
    std::string key(32, '\0');
    std::size_t length = key.size();
    require(
        context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
            EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) == 1 &&
            EVP_PKEY_CTX_set1_hkdf_key(context.get(), unsignedBytes(secret), static_cast<int>(secret.size())) == 1 &&
            EVP_PKEY_CTX_add1_hkdf_info(context.get(), unsignedBytes(label), static_cast<int>(label.size())) == 1 &&
            EVP_PKEY_derive(context.get(), reinterpret_cast<unsigned char*>(key.data()), &length) == 1,
        "HKDF");
    return key;
}

std::string randomBytes(std::size_t count) {
    std::string bytes(count, '\0');
    require(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1, "RAND_bytes");
    return bytes;
}

bool equalInConstantTime(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace chunkvault
