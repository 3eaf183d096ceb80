// The Content-Digest header (RFC 9530): "sha-256=:<base64 of the 32 bytes>:".
#pragma once

#include "common/chunk/chunk_id.h"
#include "common/http/message.h"

namespace chunkvault::server {

// The SHA-256 that the header announces; other algorithms in it are passed over.
// Throws Error invalidValue when it is missing or malformed, with an example.
[[nodiscard]] Sha256Digest contentDigest(const http::Request& request);

}  // namespace chunkvault::server
