#include "server/api/web_pages.h"

#include <algorithm>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/range.h"
#include "common/wire/error_table.h"
#include "server/api/handlers.h"
#include "server/api/web_assets.h"
#include "server/auth/tokens.h"

namespace chunkvault::server {

namespace {

void setSafeHeaders(Call& call, std::string_view policy) {
    auto& response = call.response;
    response.setHeader("Content-Security-Policy", policy);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
}

// Only a plain "gzip" in the list: who weighs codings against each other gets the text.
bool takesGzip(const http::Request& request) {
    std::string_view list = request.header("Accept-Encoding").value_or("");
    for (auto coding = http::nextListElement(list); !coding.empty(); coding = http::nextListElement(list))
        if (coding == "gzip") return true;
    return false;
}

// Whatever the link is, a person gets the page: it says what is wrong in words.
int statusOfLink(Services& services, const Call& call, catalog::ShareKind kind) {
    try {
        const auto thing = services.catalog.shares.resolve(tokenHash(call.request.param("token")), kind);
        catalog::Shares::checkTime(thing.share, services.clock());
        catalog::Shares::checkUses(thing.share);
        return 200;
    } catch (const Error& error) {
        return wire::errorRow(error.code()).status;
    }
}

}  // namespace

void sendPage(Call& call, int status, std::string_view name) {
    const WebAsset* page = findWebAsset(name);
    setSafeHeaders(call,
                   "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                   "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    call.response.setHeader("X-Frame-Options", "DENY");
    call.response.setHeader("X-Robots-Tag", "noindex, nofollow");
    call.response.setHeader("Cache-Control", "no-store");
    call.response.send(status, page->contentType, page->text);
}

void sendFrame(Call& call, std::string_view kind, std::string_view key) {
    std::string source = "preview";
    if (!key.empty()) source.append("?key=").append(key);
    const std::string element = kind == "image"   ? "<img alt=\"The shared picture\" src=\"" + source + "\">"
                                : kind == "audio" ? "<audio controls src=\"" + source + "\"></audio>"
                                                  : "<video controls playsinline src=\"" + source + "\"></video>";
    // The path is "/share/..." with as many steps as it has slashes.
    std::string root;
    for (auto slashes = std::count(call.request.path.begin(), call.request.path.end(), '/'); slashes > 1; --slashes)
        root += "../";
    setSafeHeaders(call,
                   "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; base-uri 'none'; "
                   "form-action 'none'; frame-ancestors 'self'; sandbox");
    call.response.setHeader("Cache-Control", "no-store");
    call.response.send(200, "text/html; charset=utf-8",
                       "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Preview</title>"
                       "<link rel=\"stylesheet\" href=\"" +
                           root + "assets/frame.css\"></head><body>" + element + "</body></html>");
}

void sharePage(Services& services, Call& call) {
    sendPage(call, statusOfLink(services, call, catalog::ShareKind::download), "share.html");
}

void requestPage(Services& services, Call& call) {
    sendPage(call, statusOfLink(services, call, catalog::ShareKind::upload), "request.html");
}

void webAsset(Services&, Call& call) {
    const WebAsset* asset = findWebAsset(call.request.param("name"));
    if (asset == nullptr) throw Error(ErrorCode::notFound, "The pages have no file of this name.");
    setSafeHeaders(call, "default-src 'none'; frame-ancestors 'none'");
    const bool gzip = takesGzip(call.request);
    const std::string& etag = gzip ? asset->gzipEtag : asset->etag;
    call.response.setHeader("ETag", etag);
    call.response.setHeader("Vary", "Accept-Encoding");
    // Asked each time, answered without a body: a page and its scripts are always of one version.
    call.response.setHeader("Cache-Control", "public, no-cache");
    const auto condition = call.request.header("If-None-Match");
    if (condition && http::ifNoneMatchMatches(*condition, etag)) return call.response.sendEmpty(304);
    if (gzip) call.response.setHeader("Content-Encoding", "gzip");
    call.response.send(200, asset->contentType, gzip ? std::string_view(asset->gzip) : asset->text);
}

}  // namespace chunkvault::server
