#include <algorithm>

#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/cursor.h"
#include "server/api/download.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/link_access.h"
#include "server/auth/base64.h"
#include "server/cache/cache.h"

namespace chunkvault::server {

using catalog::SharedThing;
using wire::Json;
using wire::ObjectReader;

namespace {

constexpr const char* ticketCookie = "cv_ticket";

std::string sharePath(const Call& call) { return "/share/" + std::string(call.request.param("token")); }

SharedThing open(Services& services, Call& call) { return openLink(services, call, catalog::ShareKind::download); }

// The ticket that the guest presents: by cookie, or within the ETag of If-Range ("<root>-<ticket>").
std::string presentedTicket(const Call& call, const std::string& root) {
    if (const auto condition = call.request.header("If-Range")) {
        const std::string begin = '"' + root + '-';
        if (condition->starts_with(begin) && condition->ends_with('"') && condition->size() > begin.size() + 1)
            return std::string(condition->substr(begin.size(), condition->size() - begin.size() - 1));
    }
    return call.request.cookie(ticketCookie).value_or("");
}

// For a link without a limit the count is for its owner's interest: when it cannot be written, the bytes can be read.
void countDownload(Services& services, const catalog::Share& share, const catalog::Entry& entry) {
    try {
        services.catalog.shares.spend(share.id, entry.id, entry.version, entry.size, entry.size, {});
    } catch (const Error& error) {
        const bool linkEnded = error.code() == ErrorCode::gone || error.code() == ErrorCode::notFound;
        if (linkEnded) throw;
    }
}

void sendShared(Services& services, Call& call, const catalog::Share& share, const catalog::Entry& entry,
                const std::string& path) {
    Download download = downloadOf(entry);
    const bool bodiless = call.request.method == http::Method::head;
    if (!share.maxDownloads) {
        if (notModified(call, download)) return sendNotModified(call, download);
        const Wanted wanted = wantedBytes(call, download);
        OutgoingBytes bytes(services, call, download, wanted);
        // Later parts of a download that is under way are not counted as downloads of their own.
        if (!bodiless && wanted.offset == 0) countDownload(services, share, entry);
        return bytes.send(download);
    }

    const std::string root = entry.root.toHex();
    std::string ticket = presentedTicket(call, root);
    if (!ticket.empty()) download.etag = '"' + root + '-' + ticket + '"';
    const Wanted wanted = wantedBytes(call, download);
    if (ticket.empty()) catalog::Shares::checkUses(share);
    // What is spent is spent: first the bytes must be there.
    OutgoingBytes bytes(services, call, download, wanted);
    if (!bodiless) {
        const bool goesOn =
            wanted.partial && !ticket.empty() &&
            services.catalog.shares.useTicket(share.id, tokenHash(ticket), entry.id, entry.version, wanted.length);
        if (!goesOn) {
            ticket = toBase64Url(randomBytes(16));
            services.catalog.shares.spend(share.id, entry.id, entry.version, entry.size, wanted.length,
                                          tokenHash(ticket));
            download.etag = '"' + root + '-' + ticket + '"';
            setLinkCookie(call, ticketCookie, ticket, path);
        }
    }
    bytes.send(download);
}

Json guestJson(const catalog::Entry& entry) {
    const bool isFile = entry.kind == catalog::Kind::file;
    Json json = {{"id", wireId(entry.id)}, {"kind", isFile ? "file" : "folder"}, {"filename", entry.name}};
    if (isFile) {
        json["size"] = entry.size;
        json["mime_type"] = mimeType(entry.name);
        json["status"] = entry.content ? "completed" : "uploading";
        json["sha256"] = entry.sha256 ? Json(entry.sha256->toHex()) : Json(nullptr);
        json["sha256_verified"] = entry.sha256Verified;
    }
    json["modified_at"] = toRfc3339(entry.modifiedAt);
    return json;
}

// An entry of the shared folder: checked to lie within it at every request.
catalog::FileId within(Services& services, const SharedThing& thing, std::string_view id) {
    const auto file = static_cast<catalog::FileId>(parseId(id));
    if (thing.entry.kind != catalog::Kind::folder ||
        !services.catalog.tree.isWithin(thing.share.owner, file, thing.entry.id))
        throw Error(ErrorCode::notFound, "There is nothing with this id in the shared folder.");
    return file;
}

}  // namespace

void openShare(Services& services, Call& call) {
    const SharedThing thing = open(services, call);
    sendShared(services, call, thing.share, thing.entry, sharePath(call));
}

void unlockShare(Services& services, Call& call) {
    unlockLink(services, call, catalog::ShareKind::download, sharePath(call));
}

void describeShare(Services& services, Call& call) {
    const SharedThing thing = findLink(services, call, catalog::ShareKind::download);
    call.response.setHeader("Cache-Control", "no-store");
    if (!isUnlocked(services, call, thing.share) && !call.request.header("X-Share-Password"))
        return call.sendJson(200, {{"password_required", true}});
    const catalog::Share share = open(services, call).share;
    const Json left =
        share.maxDownloads ? Json(std::max<std::int64_t>(*share.maxDownloads - share.downloads, 0)) : Json(nullptr);
    call.sendJson(200, {{"password_required", false},
                        {"sender", thing.ownerName},
                        {"expires_at", timeOrNull(share.expiresAt)},
                        {"downloads_left", left},
                        {"item", guestJson(thing.entry)}});
}

void listSharedFolder(Services& services, Call& call) {
    const SharedThing thing = open(services, call);
    if (thing.entry.kind != catalog::Kind::folder)
        throw Error(ErrorCode::notFound, "This link is one file, not a folder. Download it from the link itself.");
    catalog::ListQuery query;
    const auto folder = call.request.queryValue("folder_id");
    query.folder = folder ? within(services, thing, *folder) : thing.entry.id;
    query.limit = limitOf(call, 100, 1000);
    const auto cursor = call.request.queryValue("cursor");
    if (cursor) query.after = decodeCursor(*cursor).key;
    // Whether the guest may see this folder was asked of SQL above; what is in it depends on the owner's revision
    // alone.
    const std::string key = cacheKey("guest_list", thing.share.owner, thing.ownerRevision,
                                     {wireId(query.folder), std::to_string(query.limit), cursor.value_or("")});
    const auto answer = services.cache.getOrMake(key, [&] {
        const catalog::Page page = services.catalog.tree.list(thing.share.owner, query);
        Json items = Json::array();
        for (const catalog::Entry& entry : page.items) items.push_back(guestJson(entry));
        const Json next = page.next ? Json(encodeCursor({catalog::SortBy::name, false, *page.next})) : Json(nullptr);
        return Json{{"items", std::move(items)}, {"next_cursor", next}}.dump();
    });
    call.response.setHeader("Cache-Control", "no-store");
    call.response.send(200, "application/json", *answer);
}

void downloadShared(Services& services, Call& call) {
    const SharedThing thing = open(services, call);
    const auto file = within(services, thing, call.request.param("id"));
    const std::string path = sharePath(call) + "/files/" + wireId(file) + "/download";
    sendShared(services, call, thing.share, services.catalog.tree.get(thing.share.owner, file), path);
}

// Until the page for people is there, the link leads to the bytes.
void sharePage(Services&, Call& call) {
    call.response.setHeader("Location", sharePath(call));
    call.response.setHeader("Referrer-Policy", "no-referrer");
    call.response.sendEmpty(302);
}

}  // namespace chunkvault::server
