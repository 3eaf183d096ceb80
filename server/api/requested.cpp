#include <algorithm>

#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/file_types.h"
#include "server/api/handlers.h"
#include "server/api/link_access.h"
#include "server/api/tus.h"

namespace chunkvault::server {

using wire::Json;

namespace {

constexpr auto uploadKind = catalog::ShareKind::upload;

// What is left of a limit; uploads under way count.
Json leftOf(std::optional<std::int64_t> limit, std::int64_t used) {
    return limit ? Json(std::max<std::int64_t>(*limit - used, 0)) : Json(nullptr);
}

}  // namespace

void describeRequest(Services& services, Call& call) {
    const catalog::SharedThing thing = findLink(services, call, uploadKind);
    call.response.setHeader("Cache-Control", "no-store");
    if (!isUnlocked(services, call, thing.share) && !call.request.header("X-Share-Password"))
        return call.sendJson(200, {{"password_required", true}});
    const catalog::Share request = openLink(services, call, uploadKind).share;
    const auto& limits = request.limits;
    // Neither the folder's name nor what is in it is the guest's to know.
    call.sendJson(200, {{"password_required", false},
                        {"owner", thing.ownerName},
                        {"title", request.title},
                        {"expires_at", timeOrNull(request.expiresAt)},
                        {"files_left", leftOf(limits.maxFiles, request.arrivedFiles + request.openFiles)},
                        {"bytes_left", leftOf(limits.maxBytes, request.arrivedBytes + request.openBytes)},
                        {"max_file_bytes", numberOrNull(limits.maxFileBytes)},
                        {"types", splitTypes(limits.types)},
                        {"chunk_size", services.settings.chunkSize}});
}

void unlockRequest(Services& services, Call& call) {
    unlockLink(services, call, uploadKind, "/request/" + std::string(call.request.param("token")));
}

void createRequestedUpload(Services& services, Call& call) {
    requireTus(call);
    const catalog::SharedThing thing = openLink(services, call, uploadKind);
    createTusUpload(services, call, {thing.share.owner, thing.share.file, thing.share.id, thing.share.limits.types});
}

}  // namespace chunkvault::server
