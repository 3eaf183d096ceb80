#include "common/wire/signature.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/wire/secrets.h"

namespace chunkvault::wire {

namespace {

constexpr std::string_view scheme = "ChunkVault-HMAC ";

std::string hexOf(const Nonce& nonce) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * nonce.size());
    for (const std::uint8_t byte : nonce) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::optional<Nonce> nonceOf(std::string_view hex) {
    Nonce nonce{};
    if (hex.size() != 2 * nonce.size()) return std::nullopt;
    for (std::size_t i = 0; i < nonce.size(); ++i) {
        const char* const digits = hex.data() + 2 * i;
        const auto [end, failure] = std::from_chars(digits, digits + 2, nonce[i], 16);
        if (failure != std::errc() || end != digits + 2) return std::nullopt;
    }
    return nonce;
}

// Microseconds, without a sign.
std::optional<Timestamp> timeOf(std::string_view text) {
    Timestamp time = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), time);
    if (failure != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
    return time;
}

// Takes text off the front of rest.
bool skip(std::string_view& rest, std::string_view text) {
    if (!rest.starts_with(text)) return false;
    rest.remove_prefix(text.size());
    return true;
}

// Takes "name=value" and what follows it off the front of rest.
std::string_view takeValue(std::string_view& rest, std::string_view name) {
    if (!skip(rest, name) || !skip(rest, "=")) return {};
    const std::string_view value = rest.substr(0, rest.find(','));
    rest.remove_prefix(value.size());
    (void)skip(rest, ", ");
    return value;
}

// No part holds a line feed: targets are node ids, methods tokens, and paths have no control characters.
std::string requestMessage(const SignedRequest& request, Timestamp time, const Nonce& nonce) {
    std::string message = "chunkvault request v1\n";
    for (const std::string_view part : {request.target, request.method, request.path}) message.append(part) += '\n';
    return message + request.body.toHex() + '\n' + std::to_string(time) + '\n' + hexOf(nonce);
}

std::string timeMessage(std::string_view target, const Nonce& nonce, Timestamp time) {
    return "chunkvault time v1\n" + std::string(target) + '\n' + hexOf(nonce) + '\n' + std::to_string(time);
}

}  // namespace

ClusterKey::ClusterKey(std::string_view clusterSecret)
    : key_(deriveKey(clusterSecret, "chunkvault cluster requests v1")) {}

Sha256Digest ClusterKey::mac(std::string_view message) const { return hmac(key_, message); }

Nonce newNonce() {
    Nonce nonce;
    std::memcpy(nonce.data(), randomBytes(nonce.size()).data(), nonce.size());
    return nonce;
}

Signature Signature::sign(const ClusterKey& key, const SignedRequest& request, Timestamp time, const Nonce& nonce) {
    return {time, nonce, request.body, key.mac(requestMessage(request, time, nonce))};
}

std::optional<Signature> Signature::parse(std::string_view header) {
    if (!skip(header, scheme)) return std::nullopt;
    const auto time = timeOf(takeValue(header, "time"));
    const auto nonce = nonceOf(takeValue(header, "nonce"));
    const auto body = Sha256Digest::fromHex(takeValue(header, "body"));
    const auto value = Sha256Digest::fromHex(takeValue(header, "signature"));
    if (!time || !nonce || !body || !value || !header.empty()) return std::nullopt;
    return Signature{*time, *nonce, *body, *value};
}

std::string Signature::header() const {
    return std::string(scheme) + "time=" + std::to_string(time) + ", nonce=" + hexOf(nonce) + ", body=" + body.toHex() +
           ", signature=" + value.toHex();
}

std::string_view textOf(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::missing: return "missing";
        case Refusal::malformed: return "malformed";
        case Refusal::forged: return "forged";
        case Refusal::stale: return "stale";
        case Refusal::replayed: return "replayed";
        case Refusal::altered: break;
    }
    return "altered";
}

RequestVerifier::RequestVerifier(ClusterKey key, std::string target, Clock clock, std::size_t maxNonces)
    : key_(std::move(key)),
      target_(std::move(target)),
      clock_(std::move(clock)),
      maxNonces_(maxNonces),
      floor_(clock_()) {}

RequestVerifier::Verdict RequestVerifier::verify(std::string_view method, std::string_view path,
                                                 std::optional<std::string_view> authorization) {
    if (!authorization) return {.refusal = Refusal::missing};
    const auto signature = Signature::parse(*authorization);
    if (!signature) return {.refusal = Refusal::malformed};
    const Signature expected =
        Signature::sign(key_, {target_, method, path, signature->body}, signature->time, signature->nonce);
    const bool genuine = equalInConstantTime(expected.value.raw(), signature->value.raw());
    // Only what has the key may fill the memory of nonces.
    return {genuine ? seen(signature->time, signature->nonce) : Refusal::forged, signature->body, signature->nonce};
}

std::optional<Refusal> RequestVerifier::seen(Timestamp time, const Nonce& nonce) {
    const std::lock_guard lock(mutex_);
    const Timestamp now = clock_();
    floor_ = std::max(floor_, now - signatureWindowUs);
    nonces_.erase(nonces_.begin(), nonces_.lower_bound({floor_, Nonce{}}));
    if (time < floor_ || time > now + signatureWindowUs) return Refusal::stale;
    if (!nonces_.emplace(time, nonce).second) return Refusal::replayed;
    if (nonces_.size() > maxNonces_) {
        floor_ = nonces_.begin()->first + 1;
        nonces_.erase(nonces_.begin(), nonces_.lower_bound({floor_, Nonce{}}));
    }
    return std::nullopt;
}

std::string RequestVerifier::timeHeader(const Verdict& verdict) const {
    const Timestamp now = clock_();
    std::string header = std::to_string(now);
    if (verdict.nonce) header += ' ' + key_.mac(timeMessage(target_, *verdict.nonce, now)).toHex();
    return header;
}

std::optional<Timestamp> parseTimeHeader(const ClusterKey& key, std::string_view target, const Nonce& nonce,
                                         std::string_view header) {
    const std::size_t space = header.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto time = timeOf(header.substr(0, space));
    const auto proof = Sha256Digest::fromHex(header.substr(space + 1));
    if (!time || !proof) return std::nullopt;
    const bool genuine = equalInConstantTime(proof->raw(), key.mac(timeMessage(target, nonce, *time)).raw());
    return genuine ? time : std::nullopt;
}

}  // namespace chunkvault::wire
