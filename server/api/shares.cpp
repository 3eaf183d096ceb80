#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/auth/base64.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr std::int64_t maxHours = 24 * 366 * 10, maxDownloads = 1'000'000'000;

Json shareJson(const Services& services, const catalog::Share& share) {
    const std::string token = shareToken(services.keys, share.id, share.salt);
    return {{"share_id", wireId(share.id)},
            {"file_id", wireId(share.file)},
            {"share_token", token},
            {"share_url", services.settings.publicUrl + "/s/" + token},
            {"password_required", share.passwordHash.has_value()},
            {"expires_at", timeOrNull(share.expiresAt)},
            {"max_downloads", share.maxDownloads ? Json(*share.maxDownloads) : Json(nullptr)},
            {"downloads", share.downloads},
            {"created_at", toRfc3339(share.createdAt)},
            {"last_used_at", timeOrNull(share.lastUsedAt)}};
}

// A share's password may be short: it is limited by attempts, and by what the owner chose to protect.
std::string sharePassword(ObjectReader& body) {
    std::string password = body.string("password", 1024);
    if (password.empty())
        throw Error(ErrorCode::invalidValue, "\"password\" must not be empty. Leave it out for a link without one.");
    return password;
}

std::optional<Timestamp> expiryField(const Services& services, ObjectReader& body) {
    const auto hours = body.maybeInteger("expires_in_hours", 1, maxHours);
    return hours ? std::optional(services.clock() + *hours * hourUs) : std::nullopt;
}

}  // namespace

void createShare(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::NewShare share;
    share.file = idParam<catalog::FileId>(call, "id");
    share.expiresAt = expiryField(services, body);
    share.maxDownloads = body.maybeInteger("max_downloads", 1, maxDownloads);
    const auto password = body.has("password") ? std::optional(sharePassword(body)) : std::nullopt;
    body.finish();
    if (password) share.passwordHash = services.passwords.hash(*password);
    const std::string salt = toBase64Url(randomBytes(16));
    const auto made = services.catalog.shares.create(
        call.owner(), share, salt, [&](catalog::ShareId id) { return tokenHash(shareToken(services.keys, id, salt)); });
    call.sendJson(201, shareJson(services, made));
}

void listShares(Services& services, Call& call) {
    const int limit = limitOf(call, 100, 1000);
    std::optional<catalog::FileId> file;
    if (const auto text = call.request.queryValue("file_id")) file = static_cast<catalog::FileId>(parseId(*text));
    std::optional<catalog::ShareId> after;
    if (const auto text = call.request.queryValue("cursor")) after = static_cast<catalog::ShareId>(parseId(*text));
    const auto shares = services.catalog.shares.list(call.owner(), file, after, limit);
    Json items = Json::array();
    for (const catalog::Share& share : shares) items.push_back(shareJson(services, share));
    const bool more = static_cast<int>(shares.size()) == limit;
    call.sendJson(
        200, {{"items", std::move(items)}, {"next_cursor", more ? Json(wireId(shares.back().id)) : Json(nullptr)}});
}

void getShare(Services& services, Call& call) {
    call.sendJson(
        200, shareJson(services, services.catalog.shares.get(call.owner(), idParam<catalog::ShareId>(call, "id"))));
}

void changeShare(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::ShareChange change;
    if (body.mentions("expires_in_hours")) change.expiresAt = expiryField(services, body);
    if (body.mentions("max_downloads")) change.maxDownloads = body.maybeInteger("max_downloads", 1, maxDownloads);
    std::optional<std::string> password;
    const bool changesPassword = body.mentions("password");
    if (body.has("password")) password = sharePassword(body);
    body.finish();
    if (changesPassword)
        change.passwordHash =
            password ? std::optional(services.passwords.hash(*password)) : std::optional<std::string>();
    call.sendJson(200, shareJson(services, services.catalog.shares.change(
                                               call.owner(), idParam<catalog::ShareId>(call, "id"), change)));
}

void revokeShare(Services& services, Call& call) {
    services.catalog.shares.revoke(call.owner(), idParam<catalog::ShareId>(call, "id"));
    call.sendNothing();
}

}  // namespace chunkvault::server
