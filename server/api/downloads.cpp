#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/download.h"
#include "server/api/handlers.h"
#include "server/api/zip.h"

namespace chunkvault::server {

namespace {

void send(Services& services, Call& call, const Download& download) {
    if (notModified(call, download)) return sendNotModified(call, download);
    sendDownload(services, call, download, wantedBytes(call, download));
}

}  // namespace

void downloadFile(Services& services, Call& call) {
    const auto entry = services.catalog.tree.get(call.owner(), idParam<catalog::FileId>(call, "id"));
    send(services, call, downloadOf(entry));
}

void zipFolder(Services& services, Call& call) {
    sendZip(services, call, services.catalog.tree.get(call.owner(), idParam<catalog::FileId>(call, "id")), [] {});
}

void downloadVersion(Services& services, Call& call) {
    const auto id = idParam<catalog::FileId>(call, "id");
    const auto entry = services.catalog.tree.get(call.owner(), id, true);
    const auto version = services.catalog.tree.version(call.owner(), id, parseId(call.request.param("version")));
    send(services, call,
         {version.content, version.size, '"' + version.root.toHex() + '"', entry.name, version.modifiedAt});
}

}  // namespace chunkvault::server
