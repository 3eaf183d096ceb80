#include "common/http/percent.h"

#include <algorithm>

#include <utf8proc.h>

#include "common/error/error.h"
#include "common/wire/hex.h"

namespace chunkvault::http {

namespace {

bool isText(std::string_view text) {
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    for (std::size_t i = 0; i < text.size();) {
        if (bytes[i] == 0) return false;
        utf8proc_int32_t codePoint = 0;
        const auto step = utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &codePoint);
        if (step <= 0) return false;
        i += static_cast<std::size_t>(step);
    }
    return true;
}

std::string decodeQueryPart(std::string_view part) {
    std::string spaced(part);
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    auto decoded = percentDecode(spaced);
    if (!decoded)
        throw Error(ErrorCode::badRequest, "The query is not well percent-encoded UTF-8. Encode each name and value.");
    return *std::move(decoded);
}

}  // namespace

std::optional<std::string> percentDecode(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (text.size() - i < 3) return std::nullopt;
        const int high = wire::hexDigit(text[i + 1]), low = wire::hexDigit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    if (!isText(decoded)) return std::nullopt;
    return decoded;
}

std::vector<std::pair<std::string, std::string>> parseQuery(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> values;
    while (!query.empty()) {
        const std::string_view piece = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(piece.size() + 1, query.size()));
        if (piece.empty()) continue;
        const std::size_t equals = piece.find('=');
        const std::string_view value = equals == std::string_view::npos ? "" : piece.substr(equals + 1);
        values.emplace_back(decodeQueryPart(piece.substr(0, equals)), decodeQueryPart(value));
    }
    return values;
}

}  // namespace chunkvault::http
