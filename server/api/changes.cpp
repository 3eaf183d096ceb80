#include <charconv>

#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/change_waiters.h"
#include "server/api/cursor.h"
#include "server/api/encode.h"
#include "server/api/guard.h"
#include "server/api/handlers.h"

namespace chunkvault::server {

using wire::Json;

namespace {

constexpr int maxWaitS = 30;

std::chrono::seconds waitOf(const Call& call) {
    const auto text = call.request.queryValue("wait");
    if (!text) return {};
    int seconds = 0;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (failure != std::errc() || end != text->data() + text->size() || seconds < 0 || seconds > maxWaitS)
        throw Error(ErrorCode::invalidValue,
                    "\"wait\" must be a whole number of seconds from 0 to " + std::to_string(maxWaitS) + '.');
    return std::chrono::seconds(seconds);
}

Json pageJson(const catalog::ChangesPage& page) {
    Json items = Json::array();
    for (const catalog::ChangeItem& item : page.items) items.push_back(toJson(item));
    return {{"items", std::move(items)},
            {"next_cursor", encodeChangesCursor(page.next)},
            {"more", page.more},
            {"reset", page.reset}};
}

}  // namespace

void listChanges(Services& services, Call& call) {
    const auto time = waitOf(call);
    const auto until = std::chrono::steady_clock::now() + time;
    std::optional<catalog::Revision> after;
    if (const auto text = call.request.queryValue("after")) after = decodeChangesCursor(*text);
    auto page = services.catalog.changes.after(call.owner(), after);
    bool again = after && time.count() > 0;
    while (again && page.items.empty() && !page.reset) {
        again = services.changeWaiters.wait(call.owner(), page.next, until, [&] { return call.response.clientGone(); });
        authorise(services, Guard::user, call);  // the login may have ended meanwhile
        if (again) page = services.catalog.changes.after(call.owner(), after);
    }
    call.takeRoomForItems(static_cast<int>(page.items.size()));
    call.response.setHeader("Cache-Control", "no-store");
    call.sendJson(200, pageJson(page));
}

}  // namespace chunkvault::server
