// Who may say on whose behalf it asks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.h"

namespace chunkvault::http {

// An IPv4 or IPv6 address. An IPv4 address mapped into IPv6 is the same as the IPv4 address.
class IpAddress {
  public:
    // nullopt: not a numeric address. A scope ("%eth0") is dropped.
    [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] std::string toString() const;
    [[nodiscard]] bool isV4() const;
    // Whether the first bits (of 128) are the same.
    [[nodiscard]] bool sharesPrefix(const IpAddress& other, unsigned bits) const;
    // The first bytes of 16, and zeros.
    [[nodiscard]] IpAddress network(unsigned bytes) const;

  private:
    std::array<std::uint8_t, 16> bytes_{};
};

struct Origin {
    std::string address;  // numeric
    bool secure = false;
    std::string requestId;  // empty: none that can be believed
};

// Immutable, so safe from any thread.
class TrustedProxies {
  public:
    // "10.0.0.1", "10.0.0.0/8", "fd00::/8". Throws Error invalidValue, which names the entry.
    explicit TrustedProxies(const std::vector<std::string>& blocks);

    [[nodiscard]] bool contains(const IpAddress& address) const;
    // What headers say about the request of a peer, as far as the peer is trusted: the address is the right-most one in
    // X-Forwarded-For that is not a trusted proxy itself.
    [[nodiscard]] Origin origin(const IpAddress& peer, bool tls, const std::vector<Header>& headers) const;

  private:
    struct Block {
        IpAddress network;
        unsigned bits;  // of 128
    };
    std::vector<Block> blocks_;
};

}  // namespace chunkvault::http
