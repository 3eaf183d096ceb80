#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/cursor.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/cache/cache.h"

namespace chunkvault::server {

using catalog::FileId;
using catalog::OnConflict;
using wire::Json;
using wire::ObjectReader;

namespace {

constexpr int pageSize = 100, maxPageSize = 1000;

struct Order {
    catalog::SortBy sort;
    bool descending;
};

// ?sort=name, size or modified_at, with '-' in front for descending.
Order orderOf(const Call& call) {
    std::string_view text = call.request.queryValue("sort").value_or("name");
    const bool descending = text.starts_with('-');
    if (descending) text.remove_prefix(1);
    if (text == "name") return {catalog::SortBy::name, descending};
    if (text == "size") return {catalog::SortBy::size, descending};
    if (text == "modified_at") return {catalog::SortBy::modifiedAt, descending};
    throw Error(ErrorCode::invalidValue, "\"sort\" must be name, size or modified_at, with - in front for descending.");
}

std::optional<catalog::PageKey> afterOf(const Call& call, const Order& order) {
    const auto text = call.request.queryValue("cursor");
    if (!text) return std::nullopt;
    const Cursor cursor = decodeCursor(*text);
    if (cursor.sort != order.sort || cursor.descending != order.descending)
        throw Error(ErrorCode::invalidValue, "\"cursor\" belongs to another \"sort\". Use the same one for all pages.");
    return cursor.key;
}

Json pageJson(const catalog::Page& page, const Order& order) {
    Json items = Json::array();
    for (const catalog::Entry& entry : page.items) items.push_back(toJson(entry));
    return {
        {"items", std::move(items)},
        {"next_cursor", page.next ? Json(encodeCursor({order.sort, order.descending, *page.next})) : Json(nullptr)}};
}

// What GET /files asks for: a folder's list, or a search.
struct Listing {
    std::optional<std::string> q;
    catalog::ListQuery query;
};

Listing listingOf(const Call& call) {
    Listing listing;
    catalog::ListQuery& query = listing.query;
    query.limit = limitOf(call, pageSize, maxPageSize);
    const auto folder = call.request.queryValue("folder_id");
    if (const auto q = call.request.queryValue("q")) {
        if (folder || call.request.queryValue("sort"))
            throw Error(ErrorCode::invalidValue,
                        "\"q\" searches the whole tree by name: leave \"folder_id\" and \"sort\" out.");
        listing.q = *q;
    }
    query.folder = folderOrRoot(call, folder ? std::optional<std::string>(*folder) : std::nullopt);
    const Order order = orderOf(call);
    query.sort = order.sort;
    query.descending = order.descending;
    query.after = afterOf(call, order);
    return listing;
}

Json listJson(Services& services, const Call& call, const Listing& listing) {
    auto& tree = services.catalog.tree;
    const catalog::ListQuery& query = listing.query;
    const Order order{query.sort, query.descending};
    if (listing.q) return pageJson(tree.search(call.owner(), {*listing.q, query.limit, query.after}), order);
    return pageJson(tree.list(call.owner(), query), order);
}

// Of one list at one revision: another list's says nothing of this one, not even that its folder is there.
std::string etagOf(const Call& call, std::string_view query) {
    return "W/\"" + textOf(call.user().revision) + '-' + Sha256Digest::of(query).toHex().substr(0, 16) + '"';
}

Json bulkJson(const std::vector<catalog::BulkResult>& results) {
    Json items = Json::array();
    for (const catalog::BulkResult& result : results) {
        Json item = {{"id", wireId(result.id)}, {"ok", !result.error.has_value()}};
        if (result.error) item["error"] = errorJson(*result.error);
        items.push_back(std::move(item));
    }
    return {{"items", std::move(items)}};
}

// The rows of large folders go after the answer.
void postPurge(Services& services, const Call& call) {
    services.queue.post({worker::JobKind::purge, catalog::valueOf(call.owner())});
}

std::optional<FileId> maybeFolder(ObjectReader& body, std::string_view field) {
    const auto text = body.maybeString(field, 32);
    return text ? std::optional(static_cast<FileId>(parseId(*text))) : std::nullopt;
}

std::optional<FileName> maybeName(ObjectReader& body, std::string_view field) {
    const auto text = body.maybeString(field);
    return text ? std::optional(FileName::parse(*text)) : std::nullopt;
}

// What GET /files/{id} says of a file but for its copies, beside the id of its content.
Json describeFile(Services& services, const Call& call, FileId id) {
    auto& tree = services.catalog.tree;
    catalog::Entry entry = tree.get(call.owner(), id, true);
    if (entry.path.empty())
        for (const catalog::Entry& step : tree.path(call.owner(), id)) entry.path += '/' + step.name;
    return {{"file", toJson(entry)},
            {"content", entry.content ? Json(catalog::valueOf(*entry.content)) : Json(nullptr)}};
}

}  // namespace

void listFiles(Services& services, Call& call) {
    // The owner's revision came from SQL with the session, so a cached page or a client's copy is current or never
    // found.
    const std::string_view query = std::string_view(call.request.target).substr(call.request.path.size());
    const std::string key = cacheKey("list", call.owner(), call.user().revision, {query});
    const std::string etag = etagOf(call, query);
    const Listing listing = listingOf(call);
    call.response.setHeader("ETag", etag);
    call.response.setHeader("Cache-Control", "private, no-cache");
    if (call.request.header("If-None-Match") == etag) return call.response.sendEmpty(304);
    call.takeRoomForText(listing.query.limit);
    const auto page = services.cache.getOrMake(key, [&] {
        call.takeRoomForItems(listing.query.limit);
        return listJson(services, call, listing).dump();
    });
    call.sendText(200, "application/json", *page);
}

void makeFolder(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto path = FileName::parsePath(body.string("path", 64 << 10));
    const auto base = folderOrRoot(call, body.maybeString("folder_id", 32));
    body.finish();
    bool created = false;
    const auto folder = services.catalog.tree.makeFolders(call.owner(), base, path, &created);
    call.sendJson(created ? 201 : 200, toJson(folder));
}

void getFile(Services& services, Call& call) {
    const auto id = idParam<FileId>(call, "id");
    const std::string key = cacheKey("file", call.owner(), call.user().revision, {wireId(id)});
    const auto cached = services.cache.getOrMake(key, [&] { return describeFile(services, call, id).dump(); });
    Json description = wire::parseJson(*cached);
    Json& json = description.at("file");
    // Copies come and go without a new revision.
    if (const Json& content = description.at("content"); !content.is_null()) {
        const auto safety =
            services.catalog.chunks.safety(static_cast<catalog::ContentId>(content.get<std::int64_t>()));
        json["copies_wanted"] = safety.copiesWanted;
        json["copies_present"] = safety.copiesPresent;
        json["degraded"] = safety.copiesPresent < safety.copiesWanted;
        json["last_verified_at"] = timeOrNull(safety.lastVerifiedAt);
    }
    call.sendJson(200, json);
}

void changeFile(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::Change change;
    change.name = maybeName(body, "filename");
    change.folder = maybeFolder(body, "folder_id");
    change.modifiedAt = body.maybeTime("modified_at");
    change.onConflict = onConflict(body, OnConflict::fail, false);
    body.finish();
    call.sendJson(200, toJson(services.catalog.tree.change(call.owner(), idParam<FileId>(call, "id"), change)));
}

void trashFile(Services& services, Call& call) {
    services.catalog.tree.moveToTrash(call.owner(), idParam<FileId>(call, "id"));
    call.sendNothing();
}

void copyFile(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto folder = folderOrRoot(call, body.maybeString("folder_id", 32));
    const auto name = maybeName(body, "filename");
    const auto conflict = onConflict(body, OnConflict::keepBoth, false);
    body.finish();
    call.sendJson(
        201, toJson(services.catalog.tree.copy(call.owner(), idParam<FileId>(call, "id"), folder, name, conflict)));
}

void restoreFile(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto folder = maybeFolder(body, "folder_id");
    const auto conflict = onConflict(body, OnConflict::keepBoth, false);
    body.finish();
    call.sendJson(200,
                  toJson(services.catalog.tree.restore(call.owner(), idParam<FileId>(call, "id"), folder, conflict)));
}

void moveFiles(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto ids = idList(body, "ids");
    const auto folder = folderOrRoot(call, body.maybeString("folder_id", 32));
    const auto conflict = onConflict(body, OnConflict::fail, false);
    body.finish();
    call.sendJson(200, bulkJson(services.catalog.tree.moveAll(call.owner(), ids, folder, conflict)));
}

void trashFiles(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto ids = idList(body, "ids");
    body.finish();
    call.sendJson(200, bulkJson(services.catalog.tree.trashAll(call.owner(), ids)));
}

void restoreFiles(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto ids = idList(body, "ids");
    const auto conflict = onConflict(body, OnConflict::keepBoth, false);
    body.finish();
    call.sendJson(200, bulkJson(services.catalog.tree.restoreAll(call.owner(), ids, conflict)));
}

void purgeFiles(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const auto ids = idList(body, "ids");
    body.finish();
    const auto results = services.catalog.tree.purgeAll(call.owner(), ids);
    postPurge(services, call);
    call.sendJson(200, bulkJson(results));
}

void listTrash(Services& services, Call& call) {
    // Newest first: the cursor's number is the time of the deletion.
    const Order order{catalog::SortBy::modifiedAt, true};
    const int limit = limitOf(call, pageSize, maxPageSize);
    call.takeRoomForItems(limit);
    call.sendJson(200, pageJson(services.catalog.tree.trash(call.owner(), limit, afterOf(call, order)), order));
}

void purgeFile(Services& services, Call& call) {
    services.catalog.tree.purge(call.owner(), idParam<FileId>(call, "id"));
    postPurge(services, call);
    call.sendNothing();
}

void emptyTrash(Services& services, Call& call) {
    const auto purged = services.catalog.tree.emptyTrash(call.owner());
    postPurge(services, call);
    call.sendJson(200, {{"purged", purged}});
}

void listVersions(Services& services, Call& call) {
    const auto id = idParam<FileId>(call, "id");
    const std::string key = cacheKey("versions", call.owner(), call.user().revision, {wireId(id)});
    const auto answer = services.cache.getOrMake(key, [&] {
        Json items = Json::array();
        for (const auto& version : services.catalog.tree.versions(call.owner(), id)) items.push_back(toJson(version));
        return Json{{"items", std::move(items)}, {"next_cursor", nullptr}}.dump();
    });
    call.sendText(200, "application/json", *answer);
}

void restoreVersion(Services& services, Call& call) {
    const auto number = parseId(call.request.param("version"));
    call.sendJson(200, toJson(services.catalog.tree.restoreVersion(call.owner(), idParam<FileId>(call, "id"), number)));
}

void deleteVersion(Services& services, Call& call) {
    const auto number = parseId(call.request.param("version"));
    services.catalog.tree.deleteVersion(call.owner(), idParam<FileId>(call, "id"), number);
    call.sendNothing();
}

}  // namespace chunkvault::server
