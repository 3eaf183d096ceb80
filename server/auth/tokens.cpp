#include "server/auth/tokens.h"

#include <algorithm>

#include <Poco/Exception.h>
#include <Poco/JWT/Signer.h>
#include <Poco/JWT/Token.h>

#include "server/auth/base64.h"

namespace chunkvault::server {

namespace {

constexpr std::string_view refreshPrefix = "cvr_", apiPrefix = "cvt_", uploadPrefix = "cvu_";
constexpr const char* issuer = "chunkvault";
constexpr const char* audience = "chunkvault-api";
constexpr std::size_t maxKnown = 10'000;

RandomToken newToken(std::string_view prefix) {
    std::string text = std::string(prefix) + toBase64Url(randomBytes(32));
    const Sha256Digest hash = tokenHash(text);
    return {std::move(text), hash};
}

std::optional<std::int64_t> parseId(const std::string& text) {
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    return std::stoll(text);
}

}  // namespace

RandomToken newRefreshToken() { return newToken(refreshPrefix); }
RandomToken newApiToken() { return newToken(apiPrefix); }
Sha256Digest tokenHash(std::string_view token) { return Sha256Digest::of(token); }
bool looksLikeApiToken(std::string_view token) { return token.starts_with(apiPrefix); }
bool looksLikeUploadToken(std::string_view token) { return token.starts_with(uploadPrefix); }

AccessTokens::AccessTokens(std::string key, Clock clock, int lifetimeS)
    : key_(std::move(key)), clock_(std::move(clock)), lifetimeS_(lifetimeS) {}

std::string AccessTokens::issue(catalog::SessionId session) const {
    const Poco::Timestamp now(clock_());
    Poco::JWT::Token token;
    token.setType("JWT");
    token.setIssuer(issuer);
    token.setAudience(audience);
    token.setSubject(std::to_string(catalog::valueOf(session)));
    token.setIssuedAt(now);
    token.setNotBefore(now);
    token.setExpiration(now + static_cast<Poco::Timestamp::TimeDiff>(lifetimeS_) * secondUs);
    return Poco::JWT::Signer(key_).sign(token, Poco::JWT::Signer::ALGO_HS256);
}

std::optional<catalog::SessionId> AccessTokens::verify(std::string_view text) const {
    // Poco leaves out of account what follows the third part.
    if (text.size() > 1024 || std::ranges::count(text, '.') != 2) return std::nullopt;
    const Sha256Digest hash = tokenHash(text);
    std::optional<Claims> claims;
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = known_.find(hash); found != known_.end()) claims = found->second;
    }
    if (!claims) {
        claims = read(text);
        if (!claims) return std::nullopt;
        const std::lock_guard lock(mutex_);
        if (known_.size() == maxKnown) known_.clear();
        known_.emplace(hash, *claims);
    }
    const Timestamp now = clock_();
    const bool current = claims->notBefore <= now + minuteUs && now < claims->expires;
    return current ? std::optional(claims->session) : std::nullopt;
}

std::optional<AccessTokens::Claims> AccessTokens::read(std::string_view text) const {
    try {
        Poco::JWT::Signer signer(key_);
        signer.setAlgorithms({Poco::JWT::Signer::ALGO_HS256});
        const Poco::JWT::Token token = signer.verify(std::string(text));
        // Poco checks the signature only.
        const auto audiences = token.getAudience();
        if (token.getIssuer() != issuer || audiences.size() != 1 || audiences.front() != audience) return std::nullopt;
        const auto session = parseId(token.getSubject());
        if (!session) return std::nullopt;
        return Claims{catalog::SessionId{*session}, token.getNotBefore().epochMicroseconds(),
                      token.getExpiration().epochMicroseconds()};
    } catch (const Poco::Exception&) {
        return std::nullopt;
    }
}

std::string uploadToken(const Keys& keys, catalog::UploadId upload, Timestamp passwordChangedAt) {
    const std::string message = std::to_string(catalog::valueOf(upload)) + '.' + std::to_string(passwordChangedAt);
    return std::string(uploadPrefix) + toBase64Url(hmac(keys.uploadTokens, message).raw());
}

std::string requestUploadToken(const Keys& keys, catalog::UploadId upload, catalog::ShareId request) {
    const std::string message =
        std::to_string(catalog::valueOf(upload)) + ".request." + std::to_string(catalog::valueOf(request));
    return std::string(uploadPrefix) + toBase64Url(hmac(keys.uploadTokens, message).raw());
}

std::string shareToken(const Keys& keys, catalog::ShareId share, std::string_view salt) {
    const std::string message = std::to_string(catalog::valueOf(share)) + '.' + std::string(salt);
    return toBase64Url(hmac(keys.shareLinks, message).raw().substr(0, 16));
}

std::string shareCookie(const Keys& keys, catalog::ShareId share, std::string_view passwordHash) {
    const std::string message = std::to_string(catalog::valueOf(share)) + '.' + std::string(passwordHash);
    return toBase64Url(hmac(keys.shareCookies, message).raw());
}

std::string previewKey(const Keys& keys, catalog::ShareId share, std::string_view passwordHash, Timestamp expires) {
    const std::string end = std::to_string(expires);
    const std::string message =
        "preview." + std::to_string(catalog::valueOf(share)) + '.' + end + '.' + std::string(passwordHash);
    return end + '.' + toBase64Url(hmac(keys.shareCookies, message).raw());
}

bool isPreviewKey(const Keys& keys, catalog::ShareId share, std::string_view passwordHash, Timestamp now,
                  std::string_view text) {
    const auto expires = parseId(std::string(text.substr(0, text.find('.'))));
    return expires && *expires > now && equalInConstantTime(text, previewKey(keys, share, passwordHash, *expires));
}

}  // namespace chunkvault::server
