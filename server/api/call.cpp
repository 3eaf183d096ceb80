#include "server/api/call.h"

#include <charconv>

#include "common/error/error.h"

namespace chunkvault::server {

wire::Json Call::json(std::size_t maxBytes) {
    if (const auto type = request.header("Content-Type")) {
        // curl -d says "x-www-form-urlencoded" unasked; what counts is that the bytes are JSON.
        const bool plausible = type->starts_with("application/json") ||
                               type->starts_with("application/x-www-form-urlencoded") ||
                               type->starts_with("text/plain");
        if (!plausible)
            throw Error(ErrorCode::unsupportedMediaType, "This call takes JSON. Send Content-Type: application/json.");
    }
    return wire::parseJson(request.body->readAll(maxBytes));
}

void Call::sendJson(int status, const wire::Json& document) {
    response.send(status, "application/json", document.dump(-1, ' ', false, wire::Json::error_handler_t::replace));
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

catalog::OnConflict parseOnConflict(std::string_view text) {
    if (text == "keep_both") return catalog::OnConflict::keepBoth;
    return text == "fail" ? catalog::OnConflict::fail : catalog::OnConflict::version;
}

catalog::OnConflict onConflict(wire::ObjectReader& body, catalog::OnConflict absent, bool versionAllowed) {
    if (!body.has("on_conflict")) return absent;
    return parseOnConflict(versionAllowed ? body.oneOf("on_conflict", {"version", "keep_both", "fail"}, "version")
                                          : body.oneOf("on_conflict", {"keep_both", "fail"}, "fail"));
}

}  // namespace chunkvault::server
