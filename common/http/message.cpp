#include "common/http/message.h"

#include <algorithm>
#include <stdexcept>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/read_full.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void throwTooLarge(std::size_t limit) {
    throw Error(ErrorCode::payloadTooLarge,
                "The request body is too large here: at most " + std::to_string(limit) + " bytes.");
}

}  // namespace

std::string_view toString(Method method) noexcept {
    switch (method) {
        case Method::get: return "GET";
        case Method::head: return "HEAD";
        case Method::post: return "POST";
        case Method::put: return "PUT";
        case Method::patch: return "PATCH";
        case Method::del: return "DELETE";
        case Method::options: break;
    }
    return "OPTIONS";
}

std::size_t BodyReader::readFull(std::span<char> buffer) { return readUntilFull(*this, buffer); }

std::string BodyReader::readAll(std::size_t limit) {
    const auto announced = length();
    if (announced && *announced > limit) throwTooLarge(limit);
    // One byte more than the limit, so that a body of exactly limit bytes is told from a longer one.
    const std::size_t most = announced ? static_cast<std::size_t>(*announced) : limit + 1;
    std::string body;
    // Memory follows the bytes: to announce many costs nothing here.
    for (std::size_t step = 4 << 10; body.size() < most && awaitData(); step *= 2) {
        const std::size_t before = body.size();
        body.resize(before + std::min(step, most - before));
        body.resize(before + readFull(std::span(body).subspan(before)));
    }
    if (body.size() > limit) throwTooLarge(limit);
    return body;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
    for (const Header& h : headers)
        if (equalsIgnoringCase(h.name, name)) return h.value;
    return std::nullopt;
}

std::optional<std::string_view> Request::queryValue(std::string_view name) const {
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return std::nullopt;
}

std::string_view Request::param(std::string_view name) const {
    for (const auto& [key, value] : params)
        if (key == name) return value;
    throw std::logic_error("the route has no {" + std::string(name) + "}");
}

std::optional<std::string> Request::cookie(std::string_view name) const {
    for (const Header& h : headers) {
        if (!equalsIgnoringCase(h.name, "Cookie")) continue;
        std::string_view rest = h.value;
        while (!rest.empty()) {
            const std::string_view pair = rest.substr(0, rest.find(';'));
            rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
            const std::size_t equals = pair.find('=');
            if (equals != std::string_view::npos && trim(pair.substr(0, equals)) == name)
                return std::string(trim(pair.substr(equals + 1)));
        }
    }
    return std::nullopt;
}

}  // namespace chunkvault::http
