#include "common/error/error.h"
#include "server/api/account_fields.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

catalog::Role roleField(ObjectReader& body) {
    return body.oneOf("role", {"user", "admin"}, "user") == "admin" ? catalog::Role::admin : catalog::Role::user;
}

catalog::User existing(Services& services, const Call& call) {
    const auto user = services.catalog.accounts.find(idParam<catalog::UserId>(call, "id"));
    if (!user) throw Error(ErrorCode::notFound, "There is no user with this id.");
    return *user;
}

}  // namespace

void listUsers(Services& services, Call& call) {
    const int limit = limitOf(call, 100, 1000);
    call.takeRoomForItems(limit);
    const auto users = services.catalog.accounts.list(call.request.queryValue("q").value_or(""),
                                                      call.request.queryValue("cursor").value_or(""), limit);
    Json items = Json::array();
    for (const catalog::User& user : users) items.push_back(toJson(user, services.settings.defaultQuota));
    const bool more = static_cast<int>(users.size()) == limit;
    call.sendJson(200,
                  {{"items", std::move(items)}, {"next_cursor", more ? Json(users.back().username) : Json(nullptr)}});
}

void createUser(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::NewUser user;
    user.username = usernameField(body);
    user.email = emailField(body, false);
    user.role = roleField(body);
    user.mustChangePassword = body.boolean("must_change_password", true);
    const std::string password = newPasswordField(body, "password");
    body.finish();
    user.passwordHash = services.passwords.hash(password);
    call.sendJson(201, toJson(services.catalog.accounts.create(user), services.settings.defaultQuota));
}

void getUser(Services& services, Call& call) {
    call.sendJson(200, toJson(existing(services, call), services.settings.defaultQuota));
}

void changeUser(Services& services, Call& call) {
    const catalog::User user = existing(services, call);
    const Json document = call.json();
    ObjectReader body(document);
    catalog::UserChange change;
    const auto state = body.oneOf("state", {"active", "disabled"}, "");
    const auto role = body.oneOf("role", {"user", "admin"}, "");
    if (body.mentions("quota")) change.quota = body.maybeInteger("quota", 0, INT64_MAX);
    body.finish();
    if (!state.empty()) change.state = state == "active" ? catalog::UserState::active : catalog::UserState::disabled;
    if (!role.empty()) change.role = role == "admin" ? catalog::Role::admin : catalog::Role::user;
    services.catalog.accounts.change(user.id, change);
    getUser(services, call);
}

void deleteUser(Services& services, Call& call) {
    const catalog::User user = existing(services, call);
    services.catalog.accounts.beginDelete(user.id);
    services.queue.post({worker::JobKind::purge, catalog::valueOf(user.id)});
    call.sendNothing();
}

void resetPassword(Services& services, Call& call) {
    const catalog::User user = existing(services, call);
    const Json document = call.json();
    ObjectReader body(document);
    const std::string password = newPasswordField(body, "password");
    const bool mustChange = body.boolean("must_change_password", true);
    body.finish();
    services.catalog.accounts.resetPassword(user.id, services.passwords.hash(password), mustChange);
    call.sendNothing();
}

void runSweep(Services& services, Call& call) {
    const auto report = services.runSweep(call.request.param("name"));
    if (!report) throw Error(ErrorCode::notFound, "There is no sweep of this name.");
    call.sendJson(200, *report);
}

}  // namespace chunkvault::server
