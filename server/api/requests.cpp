#include "common/error/error.h"
#include "common/wire/utf8.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/file_types.h"
#include "server/api/handlers.h"
#include "server/api/link_access.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

constexpr auto uploadKind = catalog::ShareKind::upload;
constexpr std::size_t maxTitleBytes = 500;

Json requestJson(const Services& services, const catalog::Share& request) {
    const std::string token = shareToken(services.keys, request.id, request.salt);
    return {{"request_id", wireId(request.id)},
            {"folder_id", wireId(request.file)},
            {"title", request.title},
            {"request_token", token},
            {"request_url", services.settings.publicUrl + "/r/" + token},
            {"password_required", request.passwordHash.has_value()},
            {"expires_at", timeOrNull(request.expiresAt)},
            {"max_bytes", numberOrNull(request.limits.maxBytes)},
            {"max_file_bytes", numberOrNull(request.limits.maxFileBytes)},
            {"max_files", numberOrNull(request.limits.maxFiles)},
            {"types", splitTypes(request.limits.types)},
            {"files", request.arrivedFiles},
            {"bytes", request.arrivedBytes},
            {"files_uploading", request.openFiles},
            {"bytes_uploading", request.openBytes},
            {"created_at", toRfc3339(request.createdAt)},
            {"last_used_at", timeOrNull(request.lastUsedAt)}};
}

std::string titleField(ObjectReader& body) {
    std::string title = body.maybeString("title", maxTitleBytes).value_or("");
    for (const char c : title)
        if (static_cast<unsigned char>(c) < ' ')
            throw Error(ErrorCode::invalidValue, "\"title\" must be one line of text.");
    return title;
}

std::optional<std::int64_t> limitField(ObjectReader& body, const char* field) {
    return body.maybeInteger(field, 1, INT64_MAX);
}

std::string typesField(ObjectReader& body) {
    if (!body.has("types")) return {};
    std::vector<std::string> types;
    for (const Json& element : body.array("types", 0, 1000)) {
        if (!element.is_string()) throw Error(ErrorCode::invalidValue, "\"types\" must hold texts.");
        types.push_back(element.get<std::string>());
    }
    return joinTypes(types);
}

}  // namespace

void createRequest(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    catalog::NewShare request;
    request.kind = uploadKind;
    request.file = idParam<catalog::FileId>(call, "id");
    request.title = titleField(body);
    request.expiresAt = linkExpiry(services, body);
    request.limits = {limitField(body, "max_bytes"), limitField(body, "max_file_bytes"), limitField(body, "max_files"),
                      typesField(body)};
    const auto password = body.has("password") ? std::optional(linkPassword(body)) : std::nullopt;
    body.finish();
    if (password) request.passwordHash = services.passwords.hash(*password);
    call.sendJson(201, requestJson(services, makeLink(services, call, request)));
}

void listRequests(Services& services, Call& call) {
    const LinkPage page = listLinks(services, call, uploadKind, "folder_id");
    Json items = Json::array();
    for (const catalog::Share& request : page.items) items.push_back(requestJson(services, request));
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", page.next}});
}

void getRequest(Services& services, Call& call) {
    call.sendJson(200, requestJson(services, services.catalog.shares.get(
                                                 call.owner(), idParam<catalog::ShareId>(call, "id"), uploadKind)));
}

void changeRequest(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    LinkChange wanted = linkChange(services, body);
    if (body.mentions("title")) wanted.change.title = titleField(body);
    if (body.mentions("max_bytes")) wanted.change.maxBytes = limitField(body, "max_bytes");
    if (body.mentions("max_file_bytes")) wanted.change.maxFileBytes = limitField(body, "max_file_bytes");
    if (body.mentions("max_files")) wanted.change.maxFiles = limitField(body, "max_files");
    if (body.mentions("types")) wanted.change.types = typesField(body);
    body.finish();
    wanted.hashPassword(services);
    call.sendJson(
        200, requestJson(services, services.catalog.shares.change(call.owner(), idParam<catalog::ShareId>(call, "id"),
                                                                  wanted.change, uploadKind)));
}

void revokeRequest(Services& services, Call& call) {
    services.catalog.shares.revoke(call.owner(), idParam<catalog::ShareId>(call, "id"), uploadKind);
    call.sendNothing();
}

}  // namespace chunkvault::server
