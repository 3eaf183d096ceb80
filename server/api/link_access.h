// How guests come to what a link leads to: by its token, and its password where it has one.
#pragma once

#include "server/api/call.h"

namespace chunkvault::server {

inline constexpr int linkCookieS = 24 * 3600;

// For the paths below path only.
void setLinkCookie(Call& call, const char* name, const std::string& value, const std::string& path);

// Whether the password was given before, or there is none.
[[nodiscard]] bool isUnlocked(const Services& services, const Call& call, const catalog::Share& share);

// The link that the route's {token} names, which is not over. Throws notFound or gone.
[[nodiscard]] catalog::SharedThing findLink(Services& services, Call& call, catalog::ShareKind kind);
// The same, with its password presented by cookie or X-Share-Password. Throws sharePasswordRequired, tooManyRequests.
[[nodiscard]] catalog::SharedThing openLink(Services& services, Call& call, catalog::ShareKind kind);
// Takes the password from the request's JSON and sets the cookie that stands for it below path.
void unlockLink(Services& services, Call& call, catalog::ShareKind kind, const std::string& path);

// The owner's side, as far as it is the same for shares and upload requests.
[[nodiscard]] std::string linkPassword(wire::ObjectReader& body);
[[nodiscard]] std::optional<Timestamp> linkExpiry(const Services& services, wire::ObjectReader& body);
// Makes the link with its token.
[[nodiscard]] catalog::Share makeLink(Services& services, Call& call, const catalog::NewShare& wanted);

struct LinkPage {
    std::vector<catalog::Share> items;
    wire::Json next;  // the cursor of the next page, or null
};
// The caller's links of a kind by ?limit=, ?cursor= and the query parameter fileParam.
[[nodiscard]] LinkPage listLinks(Services& services, Call& call, catalog::ShareKind kind, const char* fileParam);

// expires_in_hours and password of a change.
struct LinkChange {
    catalog::ShareChange change;
    bool changesPassword = false;
    std::optional<std::string> password;

    // Once all of the request is known to be good.
    void hashPassword(Services& services);
};
[[nodiscard]] LinkChange linkChange(const Services& services, wire::ObjectReader& body);

}  // namespace chunkvault::server
