#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/link_access.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr std::int64_t maxDownloads = 1'000'000'000;

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

}  // namespace

void createShare(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::NewShare share;
    share.file = idParam<catalog::FileId>(call, "id");
    share.expiresAt = linkExpiry(services, body);
    share.maxDownloads = body.maybeInteger("max_downloads", 1, maxDownloads);
    const auto password = body.has("password") ? std::optional(linkPassword(body)) : std::nullopt;
    body.finish();
    if (password) share.passwordHash = services.passwords.hash(*password);
    call.sendJson(201, shareJson(services, makeLink(services, call, share)));
}

void listShares(Services& services, Call& call) {
    const LinkPage page = listLinks(services, call, catalog::ShareKind::download, "file_id");
    Json items = Json::array();
    for (const catalog::Share& share : page.items) items.push_back(shareJson(services, share));
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", page.next}});
}

void getShare(Services& services, Call& call) {
    call.sendJson(
        200, shareJson(services, services.catalog.shares.get(call.owner(), idParam<catalog::ShareId>(call, "id"))));
}

void changeShare(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    LinkChange wanted = linkChange(services, body);
    if (body.mentions("max_downloads"))
        wanted.change.maxDownloads = body.maybeInteger("max_downloads", 1, maxDownloads);
    body.finish();
    wanted.hashPassword(services);
    call.sendJson(200, shareJson(services, services.catalog.shares.change(
                                               call.owner(), idParam<catalog::ShareId>(call, "id"), wanted.change)));
}

void revokeShare(Services& services, Call& call) {
    services.catalog.shares.revoke(call.owner(), idParam<catalog::ShareId>(call, "id"));
    call.sendNothing();
}

}  // namespace chunkvault::server
