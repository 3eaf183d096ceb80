// The name of a chunk: the SHA-256 of its bytes. Also used for the other SHA-256 values of the house.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace chunkvault {

class Sha256Digest {
  public:
    static constexpr std::size_t bytes = 32;

    Sha256Digest() = default;  // all zero
    explicit Sha256Digest(const std::array<std::uint8_t, bytes>& value) : value_(value) {}

    // Exactly 64 lower- or upper-case hexadecimal digits; anything else is nullopt.
    [[nodiscard]] static std::optional<Sha256Digest> fromHex(std::string_view hex);
    // Exactly 32 bytes; anything else is nullopt.
    [[nodiscard]] static std::optional<Sha256Digest> fromBytes(std::string_view raw);
    // Hashes with OpenSSL; throws Error internal if that fails.
    [[nodiscard]] static Sha256Digest of(std::span<const char> data);

    [[nodiscard]] std::string toHex() const;  // lower case
    [[nodiscard]] std::string_view raw() const { return {reinterpret_cast<const char*>(value_.data()), bytes}; }
    [[nodiscard]] const std::array<std::uint8_t, bytes>& array() const { return value_; }

    friend auto operator<=>(const Sha256Digest&, const Sha256Digest&) = default;

  private:
    std::array<std::uint8_t, bytes> value_{};
};

using ChunkId = Sha256Digest;

// SHA-256 over data that arrives in parts. Not thread-safe.
class Sha256Stream {
  public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(const Sha256Stream&) = delete;
    Sha256Stream& operator=(const Sha256Stream&) = delete;

    void update(std::span<const char> data);
    // Ends the hash; update and finish may not be called afterwards.
    [[nodiscard]] Sha256Digest finish();

  private:
    void* context_;  // EVP_MD_CTX, owned
};

}  // namespace chunkvault

template <>
struct std::hash<chunkvault::Sha256Digest> {
    std::size_t operator()(const chunkvault::Sha256Digest& id) const noexcept {
        std::size_t value;
        std::memcpy(&value, id.array().data(), sizeof value);  // the bytes are a hash already
        return value;
    }
};
