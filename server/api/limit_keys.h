// Under what the limits on guessing are counted.
#pragma once

#include <string>
#include <string_view>

namespace chunkvault::server {

// For a numeric client address: an IPv4 address itself, the /64 of an IPv6 address, which is what one customer gets at
// least and may choose addresses from. What is no address is its own key.
[[nodiscard]] std::string addressKey(std::string_view clientAddress);

// The failed sign-ins of one account, however its name is spelt.
[[nodiscard]] std::string accountKey(std::string_view username);

}  // namespace chunkvault::server
