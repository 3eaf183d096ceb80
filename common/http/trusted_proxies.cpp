#include "common/http/trusted_proxies.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "common/error/error.h"
#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

constexpr std::array<std::uint8_t, 12> v4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned v4PrefixBits = 96;

// "1.2.3.4:80", "[::1]:80" and "[::1]" are found in X-Forwarded-For beside bare addresses.
std::string_view withoutPort(std::string_view entry) {
    if (entry.starts_with('[')) return entry.substr(1, entry.find(']') - 1);
    if (std::count(entry.begin(), entry.end(), ':') == 1) return entry.substr(0, entry.find(':'));
    return entry;
}

bool isRequestId(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return isAlphanumeric(c) || c == '.' || c == '_' || c == '-';
    });
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string numeric(text.substr(0, text.find('%')));
    IpAddress address;
    if (::inet_pton(AF_INET6, numeric.c_str(), address.bytes_.data()) == 1) return address;
    std::copy(v4Prefix.begin(), v4Prefix.end(), address.bytes_.begin());
    if (::inet_pton(AF_INET, numeric.c_str(), address.bytes_.data() + v4Prefix.size()) == 1) return address;
    return std::nullopt;
}

std::string IpAddress::toString() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (isV4()) ::inet_ntop(AF_INET, bytes_.data() + v4Prefix.size(), text.data(), text.size());
    else ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
    return text.data();
}

bool IpAddress::isV4() const { return std::equal(v4Prefix.begin(), v4Prefix.end(), bytes_.begin()); }

bool IpAddress::sharesPrefix(const IpAddress& other, unsigned bits) const {
    const std::size_t whole = bits / 8;
    if (!std::equal(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(whole), other.bytes_.begin()))
        return false;
    return bits % 8 == 0 || (bytes_[whole] ^ other.bytes_[whole]) >> (8 - bits % 8) == 0;
}

IpAddress IpAddress::network(unsigned bytes) const {
    IpAddress network = *this;
    std::fill(network.bytes_.begin() + bytes, network.bytes_.end(), std::uint8_t{0});
    return network;
}

TrustedProxies::TrustedProxies(const std::vector<std::string>& blocks) {
    for (const std::string& text : blocks) {
        const std::size_t slash = text.find('/');
        const auto network = IpAddress::parse(std::string_view(text).substr(0, slash));
        const unsigned offset = network && network->isV4() && text.find(':') == std::string::npos ? v4PrefixBits : 0;
        unsigned bits = 128 - offset;
        bool good = network.has_value();
        if (slash != std::string::npos) {
            const char* const end = text.data() + text.size();
            const unsigned longest = bits;
            const auto parsed = std::from_chars(text.data() + slash + 1, end, bits);
            good = good && parsed.ec == std::errc() && parsed.ptr == end && bits <= longest;
        }
        if (!good)
            throw Error(ErrorCode::invalidValue, "'" + text + "' is not an address or a block such as 10.0.0.0/8");
        blocks_.push_back({*network, bits + offset});
    }
}

bool TrustedProxies::contains(const IpAddress& address) const {
    return std::any_of(blocks_.begin(), blocks_.end(),
                       [&](const Block& block) { return address.sharesPrefix(block.network, block.bits); });
}

Origin TrustedProxies::origin(const IpAddress& peer, bool tls, const std::vector<Header>& headers) const {
    Origin origin{.address = peer.toString(), .secure = tls, .requestId = {}};
    if (blocks_.empty() || !contains(peer)) return origin;
    std::vector<std::string_view> forwardedFor;
    for (const auto& [name, value] : headers) {
        std::string_view list = value;
        if (equalsIgnoringCase(name, "X-Forwarded-For")) {
            for (auto entry = nextListElement(list); !entry.empty(); entry = nextListElement(list))
                forwardedFor.push_back(entry);
        } else if (equalsIgnoringCase(name, "X-Forwarded-Proto")) {
            // The nearest proxy's word, should there be several.
            for (auto entry = nextListElement(list); !entry.empty(); entry = nextListElement(list))
                origin.secure = equalsIgnoringCase(entry, "https");
        } else if (equalsIgnoringCase(name, "X-Request-Id") && isRequestId(value)) {
            origin.requestId = value;
        }
    }
    for (auto entry = forwardedFor.rbegin(); entry != forwardedFor.rend(); ++entry) {
        const auto address = IpAddress::parse(withoutPort(*entry));
        if (!address) break;
        origin.address = address->toString();
        if (!contains(*address)) break;
    }
    return origin;
}

}  // namespace chunkvault::http
