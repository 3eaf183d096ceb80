#include "common/error/error.h"
#include "common/wire/utf8.h"
#include "server/api/account_fields.h"
#include "server/api/call.h"
#include "server/api/cursor.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/limit_keys.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr int fiveMinutesS = 300, hourS = 3600;

void sendTokens(const Services& services, Call& call, const catalog::User& user, catalog::SessionId session,
                const std::string& refresh) {
    call.response.setHeader("Cache-Control", "no-store");
    call.sendJson(200, {{"access_token", services.accessTokens.issue(session)},
                        {"refresh_token", refresh},
                        {"token_type", "bearer"},
                        {"expires_in", services.accessTokens.lifetimeS()},
                        {"user_id", wireId(user.id)},
                        {"must_change_password", user.mustChangePassword}});
}

}  // namespace

void registerUser(Services& services, Call& call) {
    if (!services.settings.registrationOpen)
        throw Error(ErrorCode::registrationClosed,
                    "This server does not let people register. Ask its administrator for an account.");
    const Json document = call.json();
    ObjectReader body(document);
    catalog::NewUser user;
    user.username = usernameField(body);
    user.email = emailField(body, true);
    const std::string password = newPasswordField(body, "password");
    body.finish();

    services.catalog.accounts.countAttempt("register:" + addressKey(call.request.clientAddress),
                                           services.settings.registrationsPerAddress, hourS);
    user.passwordHash = services.passwords.hash(password);
    const catalog::User made = services.catalog.accounts.create(user);
    call.sendJson(201, {{"user_id", wireId(made.id)}, {"username", made.username}});
}

void login(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const std::string username = body.string("username", 256), password = body.string("password", 1024);
    std::optional<std::string> newPassword;
    if (body.has("new_password")) newPassword = newPasswordField(body, "new_password");
    body.finish();

    auto& accounts = services.catalog.accounts;
    const std::string account = accountKey(username);
    accounts.countAttempt("login-address:" + addressKey(call.request.clientAddress), services.settings.loginsPerAddress,
                          fiveMinutesS);
    accounts.countAttempt(account, services.settings.loginsPerAccount, fiveMinutesS);
    auto found = accounts.findForLogin(username);
    const bool right = services.passwords.verify(password, found ? std::optional(found->passwordHash) : std::nullopt);
    if (!right || found->user.state != catalog::UserState::active)
        throw Error(ErrorCode::wrongCredentials, "The user name or the password is wrong.");
    accounts.clearAttempts(account);

    if (newPassword) {
        refuseSamePassword(password, *newPassword);
        found->user.passwordChangedAt = accounts.changePassword(found->user.id, found->user.passwordChangedAt,
                                                                services.passwords.hash(*newPassword), std::nullopt);
        found->user.mustChangePassword = false;
    }
    const RandomToken token = newRefreshToken();
    const Timestamp expires = services.clock() + services.settings.sessionDays * dayUs;
    const auto session =
        accounts.openSession(found->user.id, found->user.passwordChangedAt, token.hash, call.request.clientAddress,
                             wire::validUtf8(call.request.header("User-Agent").value_or(""), 256), expires);
    sendTokens(services, call, found->user, session, token.text);
}

void refresh(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const std::string presented = body.string("refresh_token", 256);
    body.finish();
    const RandomToken next = newRefreshToken();
    const auto access = services.catalog.accounts.rotate(tokenHash(presented), next.hash, call.request.clientAddress,
                                                         services.clock() + services.settings.sessionDays * dayUs);
    sendTokens(services, call, access.user, *access.session, next.text);
}

void logout(Services& services, Call& call) {
    services.catalog.accounts.revokeSession(call.owner(), *call.access->session);
    call.sendNothing();
}

void changePassword(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const std::string current = body.string("current_password", 1024), next = newPasswordField(body, "new_password");
    body.finish();
    auto& accounts = services.catalog.accounts;
    const std::string account = accountKey(call.user().username);
    accounts.countAttempt(account, services.settings.loginsPerAccount, fiveMinutesS);
    const auto found = accounts.findForLogin(call.user().username);
    if (!found || !services.passwords.verify(current, found->passwordHash))
        throw Error(ErrorCode::wrongCredentials, "The current password is wrong.");
    accounts.clearAttempts(account);
    refuseSamePassword(current, next);
    accounts.changePassword(call.owner(), found->user.passwordChangedAt, services.passwords.hash(next),
                            call.access->session);
    call.sendNothing();
}

void listSessions(Services& services, Call& call) {
    const int limit = limitOf(call, 100, 1000);
    call.takeRoomForItems(limit);
    std::optional<catalog::Accounts::SessionKey> after;
    if (const auto text = call.request.queryValue("cursor")) {
        const catalog::PageKey key = decodeCursor(*text).key;
        after = {key.number, static_cast<catalog::SessionId>(catalog::valueOf(key.id))};
    }
    const auto sessions = services.catalog.accounts.sessions(call.owner(), after, limit);
    Json items = Json::array();
    for (const catalog::LoginSession& session : sessions)
        items.push_back(toJson(session, call.access->session == session.id));
    Json next = nullptr;
    if (static_cast<int>(sessions.size()) == limit) {
        const catalog::LoginSession& last = sessions.back();
        next = encodeCursor(
            {catalog::SortBy::modifiedAt,
             true,
             {catalog::Kind::file, "", last.lastUsedAt, static_cast<catalog::FileId>(catalog::valueOf(last.id))}});
    }
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

void revokeSession(Services& services, Call& call) {
    services.catalog.accounts.revokeSession(call.owner(), idParam<catalog::SessionId>(call, "id"));
    call.sendNothing();
}

void listApiTokens(Services& services, Call& call) {
    Json items = Json::array();
    for (const catalog::ApiToken& token : services.catalog.accounts.apiTokens(call.owner()))
        items.push_back(toJson(token));
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", nullptr}});
}

void createApiToken(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const std::string name = body.string("name", 100);
    const bool readOnly = body.boolean("read_only", false);
    const auto days = body.maybeInteger("expires_in_days", 1, 3650);
    body.finish();
    if (name.empty())
        throw Error(ErrorCode::invalidValue, "\"name\" must not be empty: it is how you tell tokens apart.");
    const RandomToken token = newApiToken();
    const std::optional<Timestamp> expires = days ? std::optional(services.clock() + *days * dayUs) : std::nullopt;
    const auto id = services.catalog.accounts.createApiToken(call.owner(), name, token.hash, readOnly, expires);
    call.response.setHeader("Cache-Control", "no-store");
    call.sendJson(201, {{"token_id", wireId(id)},
                        {"name", name},
                        {"token", token.text},
                        {"read_only", readOnly},
                        {"expires_at", timeOrNull(expires)}});
}

void revokeApiToken(Services& services, Call& call) {
    services.catalog.accounts.revokeApiToken(call.owner(), idParam<catalog::ApiTokenId>(call, "id"));
    call.sendNothing();
}

void me(Services& services, Call& call) { call.sendJson(200, toJson(call.user(), services.settings.defaultQuota)); }

}  // namespace chunkvault::server
