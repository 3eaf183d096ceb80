// RFC 4648: section 4 with padding, section 5 ("base64url") without.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chunkvault::server {

[[nodiscard]] std::string toBase64Url(std::string_view bytes);
// Both read exactly what the section allows; nullopt for anything else.
[[nodiscard]] std::optional<std::string> fromBase64Url(std::string_view text);
[[nodiscard]] std::optional<std::string> fromBase64(std::string_view text);

}  // namespace chunkvault::server
