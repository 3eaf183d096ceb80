// The printed map: every call of the API in one table, from which the router, the guards and /openapi.json are made.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/http/router.h"
#include "server/api/call.h"

namespace chunkvault::server {

// Who may call. A read-only API token is refused wherever the method is not GET or HEAD.
enum class Guard {
    open,            // anybody
    user,            // a login or an API token
    session,         // a login: what an API token must not do
    passwordChange,  // a login, even one that must change its password first
    admin,           // a user with the role admin
    adminSession,    // a login with the role admin: what governs accounts
    upload,          // the upload's own token, or its owner
};

struct ApiRoute {
    http::Method method;
    std::string_view pattern;
    Guard guard;
    void (*handler)(Services&, Call&);
    std::string_view summary;
    // Names in openapi_schemas.json; "" for no JSON body, "binary" for bytes, "file" for bytes of any type.
    std::string_view request;
    int status;  // of success
    std::string_view answer;
    std::uint64_t maxBodyBytes = 64 << 10;
    bool transfer = false;
};

[[nodiscard]] std::span<const ApiRoute> apiRoutes();

// The routes with their guards in front. services must outlive the result.
[[nodiscard]] std::vector<http::Route> makeRoutes(Services& services);

[[nodiscard]] std::string_view guardName(Guard guard);

}  // namespace chunkvault::server
