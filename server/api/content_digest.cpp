#include "server/api/content_digest.h"

#include "common/error/error.h"
#include "server/auth/base64.h"

namespace chunkvault::server {

Sha256Digest contentDigest(const http::Request& request) {
    std::string_view header = request.header("Content-Digest").value_or("");
    constexpr std::string_view member = "sha-256=:";
    if (const auto begin = header.find(member); begin != std::string_view::npos) {
        header.remove_prefix(begin + member.size());
        const auto bytes = fromBase64(header.substr(0, header.find(':')));
        if (const auto digest = bytes ? Sha256Digest::fromBytes(*bytes) : std::nullopt) return *digest;
    }
    throw Error(ErrorCode::invalidValue,
                "Announce the SHA-256 of the bytes in a header: Content-Digest: sha-256=:<base64 of the 32 bytes>: "
                "(RFC 9530).");
}

}  // namespace chunkvault::server
