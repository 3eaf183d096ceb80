#include "server/api/link_access.h"

#include "common/error/error.h"
#include "server/api/limit_keys.h"
#include "server/auth/base64.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr const char* passwordCookie = "cv_share";
constexpr int fiveMinutesS = 300;
constexpr std::int64_t maxHours = 24 * 366 * 10;

// Guesses are counted for the address and for the link before the hash is computed.
void checkPassword(Services& services, const Call& call, const catalog::Share& share, std::string_view password) {
    auto& accounts = services.catalog.accounts;
    const std::string link = "share:" + wireId(share.id), guest = link + ':' + addressKey(call.request.clientAddress);
    accounts.countAttempt(guest, services.settings.sharePasswordsPerAddress, fiveMinutesS);
    accounts.countAttempt(link, 10 * services.settings.sharePasswordsPerAddress, fiveMinutesS);
    if (!services.passwords.verify(password, share.passwordHash))
        throw Error(ErrorCode::sharePasswordRequired, "The password of this link is wrong.");
    accounts.clearAttempts(guest);
    accounts.clearAttempts(link);
}

}  // namespace

void setLinkCookie(Call& call, const char* name, const std::string& value, const std::string& path) {
    call.response.setHeader("Set-Cookie", std::string(name) + '=' + value + "; Path=" + path +
                                              "; Max-Age=" + std::to_string(linkCookieS) + "; HttpOnly; SameSite=Lax" +
                                              (call.request.secure ? "; Secure" : ""));
}

bool isUnlocked(const Services& services, const Call& call, const catalog::Share& share) {
    if (!share.passwordHash) return true;
    const auto cookie = call.request.cookie(passwordCookie);
    return cookie && equalInConstantTime(*cookie, shareCookie(services.keys, share.id, *share.passwordHash));
}

catalog::SharedThing findLink(Services& services, Call& call, catalog::ShareKind kind) {
    catalog::SharedThing thing = services.catalog.shares.resolve(tokenHash(call.request.param("token")), kind);
    catalog::Shares::checkTime(thing.share, services.clock());
    call.response.setHeader("Referrer-Policy", "no-referrer");
    return thing;
}

catalog::SharedThing openLink(Services& services, Call& call, catalog::ShareKind kind) {
    catalog::SharedThing thing = findLink(services, call, kind);
    if (!isUnlocked(services, call, thing.share)) {
        const auto password = call.request.header("X-Share-Password");
        if (!password)
            throw Error(ErrorCode::sharePasswordRequired, "This link has a password. Send it as X-Share-Password.");
        checkPassword(services, call, thing.share, *password);
    }
    return thing;
}

void unlockLink(Services& services, Call& call, catalog::ShareKind kind, const std::string& path) {
    const catalog::SharedThing thing = findLink(services, call, kind);
    const Json document = call.json();
    ObjectReader body(document);
    const std::string password = body.string("password", 1024);
    body.finish();
    if (thing.share.passwordHash) {
        checkPassword(services, call, thing.share, password);
        setLinkCookie(call, passwordCookie, shareCookie(services.keys, thing.share.id, *thing.share.passwordHash),
                      path);
    }
    call.sendNothing();
}

// A link's password may be short: it is limited by attempts, and by what the owner chose to protect.
std::string linkPassword(ObjectReader& body) {
    std::string password = body.string("password", 1024);
    if (password.empty())
        throw Error(ErrorCode::invalidValue, "\"password\" must not be empty. Leave it out for a link without one.");
    return password;
}

std::optional<Timestamp> linkExpiry(const Services& services, ObjectReader& body) {
    const auto hours = body.maybeInteger("expires_in_hours", 1, maxHours);
    return hours ? std::optional(services.clock() + *hours * hourUs) : std::nullopt;
}

catalog::Share makeLink(Services& services, Call& call, const catalog::NewShare& wanted) {
    const std::string salt = toBase64Url(randomBytes(16));
    return services.catalog.shares.create(call.owner(), wanted, salt, [&](catalog::ShareId id) {
        return tokenHash(shareToken(services.keys, id, salt));
    });
}

LinkPage listLinks(Services& services, Call& call, catalog::ShareKind kind, const char* fileParam) {
    const int limit = limitOf(call, 100, 1000);
    call.takeRoomForItems(limit);
    std::optional<catalog::FileId> file;
    if (const auto text = call.request.queryValue(fileParam)) file = static_cast<catalog::FileId>(parseId(*text));
    std::optional<catalog::ShareId> after;
    if (const auto text = call.request.queryValue("cursor")) after = static_cast<catalog::ShareId>(parseId(*text));
    LinkPage page;
    page.items = services.catalog.shares.list(call.owner(), file, after, limit, kind);
    if (static_cast<int>(page.items.size()) == limit) page.next = wireId(page.items.back().id);
    return page;
}

LinkChange linkChange(const Services& services, ObjectReader& body) {
    LinkChange change;
    if (body.mentions("expires_in_hours")) change.change.expiresAt = linkExpiry(services, body);
    change.changesPassword = body.mentions("password");
    if (body.has("password")) change.password = linkPassword(body);
    return change;
}

void LinkChange::hashPassword(Services& services) {
    if (changesPassword)
        change.passwordHash =
            password ? std::optional(services.passwords.hash(*password)) : std::optional<std::string>();
}

}  // namespace chunkvault::server
