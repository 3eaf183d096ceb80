// The fields of accounts, as register, login and the admin's calls read them. Each throws Error invalidValue.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/json.h"

namespace chunkvault::server {

// 1 to 64 of letters, digits, '.', '-', '_' and '@'; begins with a letter or digit.
[[nodiscard]] std::string usernameField(wire::ObjectReader& body);
// Something around one '@', at most 254 bytes; "" when absent and not required.
[[nodiscard]] std::string emailField(wire::ObjectReader& body, bool required);
[[nodiscard]] std::string newPasswordField(wire::ObjectReader& body, std::string_view field);
void refuseSamePassword(std::string_view current, std::string_view next);

}  // namespace chunkvault::server
