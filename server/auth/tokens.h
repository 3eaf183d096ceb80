// The tokens that the server hands out: how each is made and recognised. Which of them are still good is the catalog's
// to say. Thread-safe.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <Poco/Crypto/OpenSSLInitializer.h>

#include "common/chunk/chunk_id.h"
#include "common/wire/timestamp.h"
#include "database/catalog/types.h"
#include "server/auth/keys.h"

namespace chunkvault::server {

// A secret of 256 random bits with a prefix that tells what it is ("cvr_", "cvt_"), and the hash that is stored of it.
struct RandomToken {
    std::string text;
    Sha256Digest hash;
};
[[nodiscard]] RandomToken newRefreshToken();  // "cvr_..."
[[nodiscard]] RandomToken newApiToken();      // "cvt_..."
[[nodiscard]] Sha256Digest tokenHash(std::string_view token);
[[nodiscard]] bool looksLikeApiToken(std::string_view token);
[[nodiscard]] bool looksLikeUploadToken(std::string_view token);

// A JWT (RFC 7519), HS256, with iss, aud, sub (the session), iat, nbf and exp.
class AccessTokens {
  public:
    AccessTokens(std::string key, Clock clock, int lifetimeS);

    [[nodiscard]] std::string issue(catalog::SessionId session) const;
    // nullopt unless the signature, issuer, audience and times are right and the algorithm is HS256.
    [[nodiscard]] std::optional<catalog::SessionId> verify(std::string_view token) const;
    [[nodiscard]] int lifetimeS() const { return lifetimeS_; }

  private:
    // Poco sets OpenSSL up for whoever comes first and tears it down with the last, and neither is thread-safe.
    Poco::Crypto::OpenSSLInitializer openSsl_;
    // What a token says whose signature, issuer and audience are right.
    struct Claims {
        catalog::SessionId session;
        Timestamp notBefore, expires;
    };
    [[nodiscard]] std::optional<Claims> read(std::string_view token) const;

    std::string key_;
    Clock clock_;
    int lifetimeS_;
    mutable std::mutex mutex_;  // guards what follows
    // By the token's hash. A client sends its token with every request, and reading one costs more than many requests.
    mutable std::unordered_map<Sha256Digest, Claims> known_;
};

// "cvu_...": an upload's own token. It names the owner's password by the time of its last change, so a change ends it.
[[nodiscard]] std::string uploadToken(const Keys& keys, catalog::UploadId upload, Timestamp passwordChangedAt);

// Of an upload that a guest began by an upload request. No password ends it; revoking the link does.
[[nodiscard]] std::string requestUploadToken(const Keys& keys, catalog::UploadId upload, catalog::ShareId request);

// 128 bits, derived from the share's id and salt, so that the owner can be shown the link again.
[[nodiscard]] std::string shareToken(const Keys& keys, catalog::ShareId share, std::string_view salt);

// The value of the cookie that stands for a share's password. It names the password's hash, so a change ends it.
[[nodiscard]] std::string shareCookie(const Keys& keys, catalog::ShareId share, std::string_view passwordHash);

// Stands for a share's password in the address of a preview: a sandboxed frame is sent no cookie. expires: when it
// ends.
[[nodiscard]] std::string previewKey(const Keys& keys, catalog::ShareId share, std::string_view passwordHash,
                                     Timestamp expires);
[[nodiscard]] bool isPreviewKey(const Keys& keys, catalog::ShareId share, std::string_view passwordHash, Timestamp now,
                                std::string_view text);

}  // namespace chunkvault::server
