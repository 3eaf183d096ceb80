#include "server/auth/keys.h"

namespace chunkvault::server {

Keys::Keys(std::string_view secretKey)
    : accessTokens(deriveKey(secretKey, "chunkvault access tokens v1")),
      uploadTokens(deriveKey(secretKey, "chunkvault upload tokens v1")),
      shareLinks(deriveKey(secretKey, "chunkvault share links v1")),
      shareCookies(deriveKey(secretKey, "chunkvault share cookies v1")) {}

}  // namespace chunkvault::server
