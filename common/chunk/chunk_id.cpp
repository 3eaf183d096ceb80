#include "common/chunk/chunk_id.h"

#include <openssl/evp.h>

#include "common/error/error.h"
#include "common/wire/hex.h"

namespace chunkvault {

namespace {

EVP_MD_CTX* contextOf(void* opaque) { return static_cast<EVP_MD_CTX*>(opaque); }

void require(bool good) {
    if (!good) throw Error(ErrorCode::internal, "An internal error occurred.", "OpenSSL refused a SHA-256 operation");
}

}  // namespace

std::optional<Sha256Digest> Sha256Digest::fromHex(std::string_view hex) {
    if (hex.size() != 2 * bytes) return std::nullopt;
    Sha256Digest digest;
    for (std::size_t i = 0; i < bytes; ++i) {
        const int high = wire::hexDigit(hex[2 * i]), low = wire::hexDigit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        digest.value_[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return digest;
}

std::optional<Sha256Digest> Sha256Digest::fromBytes(std::string_view raw) {
    if (raw.size() != bytes) return std::nullopt;
    Sha256Digest digest;
    std::memcpy(digest.value_.data(), raw.data(), bytes);
    return digest;
}

Sha256Digest Sha256Digest::of(std::span<const char> data) {
    Sha256Digest digest;
    require(EVP_Digest(data.data(), data.size(), digest.value_.data(), nullptr, EVP_sha256(), nullptr) == 1);
    return digest;
}

std::string Sha256Digest::toHex() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string hex(2 * bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) {
        hex[2 * i] = digits[value_[i] >> 4];
        hex[2 * i + 1] = digits[value_[i] & 15];
    }
    return hex;
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
    require(context_ != nullptr && EVP_DigestInit_ex(contextOf(context_), EVP_sha256(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(contextOf(context_)); }

void Sha256Stream::update(std::span<const char> data) {
    require(EVP_DigestUpdate(contextOf(context_), data.data(), data.size()) == 1);
}

Sha256Digest Sha256Stream::finish() {
    std::array<std::uint8_t, Sha256Digest::bytes> value{};
    require(EVP_DigestFinal_ex(contextOf(context_), value.data(), nullptr) == 1);
    return Sha256Digest(value);
}

}  // namespace chunkvault
