#include "server/api/limit_keys.h"

#include "common/http/trusted_proxies.h"
#include "database/catalog/accounts.h"

namespace chunkvault::server {

std::string addressKey(std::string_view clientAddress) {
    constexpr unsigned networkBytes = 8;
    const auto address = http::IpAddress::parse(clientAddress);
    if (!address || address->isV4()) return std::string(clientAddress);
    return address->network(networkBytes).toString() + "/64";
}

std::string accountKey(std::string_view username) { return "login-account:" + catalog::Accounts::loginKey(username); }

}  // namespace chunkvault::server
