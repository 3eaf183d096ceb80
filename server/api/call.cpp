#include "server/api/call.h"

#include <charconv>

#include "common/error/error.h"
#include "common/http/patience.h"

namespace chunkvault::server {

namespace {

// Below these, memory is no more than what a connection takes anyway: nothing is held or watched for them.
constexpr std::size_t smallBodyBytes = 8 << 10, smallTextBytes = 16 << 10;
constexpr std::size_t itemBytes = 5 << 10, itemTextBytes = 1 << 10;
constexpr std::chrono::milliseconds maxClientWait{250};
// Those without an account share one, and so leave half of the memory to the others.
constexpr BufferAccount strangers{-1};

}  // namespace

BufferAccount Call::roomAccount() const {
    if (access) return bufferAccount(access->user.id);
    return upload ? bufferAccount(upload->owner) : strangers;
}

void Call::takeRoom(std::size_t bytes) {
    room.reset();
    room.emplace(documents.acquireRoomFor(roomAccount(), bytes));
}

void Call::takeRoomForItems(int count) { takeRoom(static_cast<std::size_t>(count) * itemBytes); }

void Call::takeRoomForText(int count) { takeRoom(static_cast<std::size_t>(count) * itemTextBytes); }

wire::Json Call::json() {
    if (const auto type = request.header("Content-Type")) {
        // curl -d says "x-www-form-urlencoded" unasked; what counts is that the bytes are JSON.
        const bool plausible = type->starts_with("application/json") ||
                               type->starts_with("application/x-www-form-urlencoded") ||
                               type->starts_with("text/plain");
        if (!plausible)
            throw Error(ErrorCode::unsupportedMediaType, "This call takes JSON. Send Content-Type: application/json.");
    }
    http::BodyReader& body = *request.body;
    const auto most = static_cast<std::size_t>(std::min(body.length().value_or(maxBodyBytes), maxBodyBytes));
    // No room is held for a client that sends nothing.
    if (most > smallBodyBytes && body.awaitData()) {
        takeRoom(documentBytes(most));
        body.hurryWhile([this] { return roomWanted(); });
    }
    const std::string text = body.readAll(static_cast<std::size_t>(maxBodyBytes));
    if (room) room->shrinkTo(documentBytes(text.size()));
    else takeRoom(documentBytes(text.size()));
    return wire::parseJson(text);
}

void Call::sendJson(int status, const wire::Json& document) {
    sendText(status, "application/json", document.dump(-1, ' ', false, wire::Json::error_handler_t::replace));
}

void Call::sendText(int status, std::string_view contentType, std::string_view text) {
    using Clock = std::chrono::steady_clock;
    using Pace = http::HurriedPace;
    if (room) room->shrinkTo(3 * text.size());
    if (!room || text.size() <= smallTextBytes) return response.send(status, contentType, text);
    http::BodyWriter& writer = response.begin(status, contentType, text.size());
    const auto begin = Clock::now();
    for (std::size_t sent = 0; sent < text.size();) {
        sent += writer.writeSome(text.substr(sent), maxClientWait);
        const auto fair = Pace::maxBehind + std::chrono::milliseconds(sent * 1000 / Pace::minBytesPerS);
        if (sent < text.size() && Clock::now() - begin > fair && roomWanted())
            throw Error(ErrorCode::unavailable, "The client takes the answer too slowly while others wait.");
    }
}

std::int64_t parseId(std::string_view text) {
    std::int64_t id = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (failure != std::errc() || end != text.data() + text.size() || id <= 0 || text.front() == '0')
        throw Error(ErrorCode::notFound, "There is nothing with this id.");
    return id;
}

std::string textOf(const catalog::Revision& revision) {
    return std::to_string(revision.seq) + '.' + std::to_string(revision.stamp);
}

std::string cacheKey(std::string_view topic, catalog::UserId owner, const catalog::Revision& revision,
                     std::initializer_list<std::string_view> details) {
    std::string key(topic);
    key += ':' + wireId(owner) + '.' + textOf(revision);
    for (const std::string_view detail : details) (key += '.') += detail;
    return key;
}

catalog::FileId folderOrRoot(const Call& call, const std::optional<std::string>& text) {
    return text ? static_cast<catalog::FileId>(parseId(*text)) : call.user().root;
}

int limitOf(const Call& call, int fallback, int max) {
    const auto text = call.request.queryValue("limit");
    if (!text) return fallback;
    int limit = 0;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (failure != std::errc() || end != text->data() + text->size() || limit < 1 || limit > max)
        throw Error(ErrorCode::invalidValue, "\"limit\" must be a whole number from 1 to " + std::to_string(max) + ".");
    return limit;
}

std::vector<catalog::FileId> idList(wire::ObjectReader& body, std::string_view field) {
    std::vector<catalog::FileId> ids;
    for (const wire::Json& element : body.array(field, 1, 1000)) {
        if (!element.is_string())
            throw Error(ErrorCode::invalidValue, '"' + std::string(field) + "\" must hold ids, which are strings.");
        ids.push_back(static_cast<catalog::FileId>(parseId(element.get_ref<const std::string&>())));
    }
    return ids;
}

catalog::OnConflict parseOnConflict(std::string_view text, bool versionAllowed) {
    if (text == "keep_both") return catalog::OnConflict::keepBoth;
    if (text == "fail") return catalog::OnConflict::fail;
    if (text == "version" && versionAllowed) return catalog::OnConflict::version;
    throw Error(ErrorCode::invalidValue, std::string("\"on_conflict\" must be one of: ") +
                                             (versionAllowed ? "version, " : "") + "keep_both, fail.");
}

catalog::OnConflict onConflict(wire::ObjectReader& body, catalog::OnConflict absent, bool versionAllowed) {
    if (!body.has("on_conflict")) return absent;
    return parseOnConflict(body.string("on_conflict"), versionAllowed);
}

}  // namespace chunkvault::server
