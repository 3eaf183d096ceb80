#include <algorithm>

#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/cursor.h"
#include "server/api/download.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/link_access.h"
#include "server/api/preview.h"
#include "server/api/qr_code.h"
#include "server/api/web_pages.h"
#include "server/api/zip.h"
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

// The same for a preview, whose address may hold the key that the unlocked page was given.
SharedThing openForPreview(Services& services, Call& call) {
    const auto key = call.request.queryValue("key");
    if (!key) return open(services, call);
    SharedThing thing = findLink(services, call, catalog::ShareKind::download);
    const auto& password = thing.share.passwordHash;
    if (password && !isPreviewKey(services.keys, thing.share.id, *password, services.clock(), *key))
        throw Error(ErrorCode::sharePasswordRequired,
                    "This address of a preview has ended. Load the link's page again.");
    return thing;
}

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
    // One that is known, which a GET finds out when it takes bytes by it.
    if (bodiless && !ticket.empty() &&
        !services.catalog.shares.useTicket(share.id, tokenHash(ticket), entry.id, entry.version, 0))
        ticket.clear();
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

// Whether a guest may look at files without spending a download.
bool showsPreviews(const catalog::Share& share) { return !share.maxDownloads; }

Preview requirePreview(const catalog::Share& share, const catalog::Entry& entry) {
    if (!showsPreviews(share))
        throw Error(ErrorCode::forbidden, "A link with a limit of downloads shows no previews. Download the file.");
    (void)downloadOf(entry);  // a file that is there
    const auto preview = previewOf(entry.name, entry.size);
    if (!preview) throw Error(ErrorCode::notFound, "There is no preview of this file. Download it.");
    return *preview;
}

void sendPreview(Services& services, Call& call, const catalog::Share& share, const catalog::Entry& entry) {
    const Preview preview = requirePreview(share, entry);
    Download download = downloadOf(entry);
    download.shownAs = preview.contentType;
    if (notModified(call, download)) return sendNotModified(call, download);
    sendDownload(services, call, download, wantedBytes(call, download));
}

void sendView(Call& call, const catalog::Share& share, const catalog::Entry& entry) {
    const Preview preview = requirePreview(share, entry);
    if (preview.kind == "text" || preview.kind == "pdf")
        throw Error(ErrorCode::notFound, "This kind of file is shown as it is: see its preview.");
    // Checked where the share was opened, if it has a password; else it is of no use.
    sendFrame(call, preview.kind, share.passwordHash ? call.request.queryValue("key").value_or("") : "");
}

Json guestJson(const catalog::Entry& entry, bool previews) {
    const bool isFile = entry.kind == catalog::Kind::file;
    Json json = {{"id", wireId(entry.id)}, {"kind", isFile ? "file" : "folder"}, {"filename", entry.name}};
    if (isFile) {
        json["size"] = entry.size;
        json["mime_type"] = mimeType(entry.name);
        json["status"] = entry.content ? "completed" : "uploading";
        json["sha256"] = entry.sha256 ? Json(entry.sha256->toHex()) : Json(nullptr);
        json["sha256_verified"] = entry.sha256Verified;
        const auto preview = previews && entry.content ? previewOf(entry.name, entry.size) : std::nullopt;
        json["preview"] = preview ? Json(preview->kind) : Json(nullptr);
    }
    json["modified_at"] = toRfc3339(entry.modifiedAt);
    return json;
}

// How far the upload is that the file waits for.
void addProgress(Services& services, const catalog::Entry& entry, Json& json) {
    if (entry.kind != catalog::Kind::file || entry.content) return;
    const auto upload = services.catalog.uploads.openFor(entry.owner, entry.id);
    if (upload) json["size"] = upload->size;
    json["bytes_stored"] = upload ? upload->bytesStored : 0;
}

// The folders from the shared one to this one, both included.
Json guestPath(Services& services, const SharedThing& thing, catalog::FileId folder) {
    Json path = Json::array({{{"id", wireId(thing.entry.id)}, {"filename", thing.entry.name}}});
    bool below = !thing.entry.folder;  // the root is in no path
    for (const catalog::Entry& entry : services.catalog.tree.path(thing.share.owner, folder)) {
        if (below) path.push_back({{"id", wireId(entry.id)}, {"filename", entry.name}});
        below = below || entry.id == thing.entry.id;
    }
    return path;
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
    Json item = guestJson(thing.entry, showsPreviews(share));
    addProgress(services, thing.entry, item);
    Json info = {{"password_required", false},
                 {"sender", thing.ownerName},
                 {"expires_at", timeOrNull(share.expiresAt)},
                 {"downloads_left", left},
                 {"item", std::move(item)}};
    if (share.passwordHash && showsPreviews(share))
        info["preview_key"] =
            previewKey(services.keys, share.id, *share.passwordHash, services.clock() + linkCookieS * secondUs);
    call.sendJson(200, info);
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
    const bool previews = showsPreviews(thing.share);
    // Whether the guest may see this folder was asked of SQL above; what is in it depends on the owner's revision
    // alone.
    const std::string key = cacheKey("guest_list", thing.share.owner, thing.ownerRevision,
                                     {wireId(thing.entry.id), wireId(query.folder), previews ? "1" : "0",
                                      std::to_string(query.limit), cursor.value_or("")});
    call.takeRoomForText(query.limit);
    const auto answer = services.cache.getOrMake(key, [&] {
        call.takeRoomForItems(query.limit);
        const catalog::Page page = services.catalog.tree.list(thing.share.owner, query);
        Json items = Json::array();
        for (const catalog::Entry& entry : page.items) items.push_back(guestJson(entry, previews));
        const Json next = page.next ? Json(encodeCursor({catalog::SortBy::name, false, *page.next})) : Json(nullptr);
        return Json{
            {"path", guestPath(services, thing, query.folder)}, {"items", std::move(items)}, {"next_cursor", next}}
            .dump();
    });
    call.response.setHeader("Cache-Control", "no-store");
    call.sendText(200, "application/json", *answer);
}

void downloadShared(Services& services, Call& call) {
    const SharedThing thing = open(services, call);
    const auto file = within(services, thing, call.request.param("id"));
    const std::string path = sharePath(call) + "/files/" + wireId(file) + "/download";
    sendShared(services, call, thing.share, services.catalog.tree.get(thing.share.owner, file), path);
}

void zipShared(Services& services, Call& call) {
    const SharedThing thing = open(services, call);
    if (thing.entry.kind != catalog::Kind::folder)
        throw Error(ErrorCode::notFound, "This link is one file, not a folder. Download it from the link itself.");
    catalog::Shares::checkUses(thing.share);
    const auto wanted = call.request.queryValue("folder_id");
    const catalog::Entry folder =
        wanted ? services.catalog.tree.get(thing.share.owner, within(services, thing, *wanted)) : thing.entry;
    sendZip(services, call, folder, [&] {
        if (!thing.share.maxDownloads) return countDownload(services, thing.share, folder);
        // A ZIP cannot be resumed, so its ticket allows nothing.
        services.catalog.shares.spend(thing.share.id, folder.id, 0, 0, 0, tokenHash(toBase64Url(randomBytes(16))));
    });
}

void previewShare(Services& services, Call& call) {
    const SharedThing thing = openForPreview(services, call);
    sendPreview(services, call, thing.share, thing.entry);
}

void previewShared(Services& services, Call& call) {
    const SharedThing thing = openForPreview(services, call);
    const auto file = within(services, thing, call.request.param("id"));
    sendPreview(services, call, thing.share, services.catalog.tree.get(thing.share.owner, file));
}

void viewShare(Services& services, Call& call) {
    const SharedThing thing = openForPreview(services, call);
    sendView(call, thing.share, thing.entry);
}

void viewShared(Services& services, Call& call) {
    const SharedThing thing = openForPreview(services, call);
    const auto file = within(services, thing, call.request.param("id"));
    sendView(call, thing.share, services.catalog.tree.get(thing.share.owner, file));
}

// The link alone, which whoever asks has: no password.
void shareQrCode(Services& services, Call& call) {
    (void)findLink(services, call, catalog::ShareKind::download);
    setClosedHeaders(call);
    call.response.setHeader("Cache-Control", "private, max-age=3600");
    call.response.send(200, "image/svg+xml",
                       qrCodeSvg(services.settings.publicUrl + "/s/" + std::string(call.request.param("token"))));
}

}  // namespace chunkvault::server
