#include "server/api/cursor.h"

#include <charconv>

#include "common/error/error.h"
#include "server/auth/base64.h"

namespace chunkvault::server {

namespace {

// Takes a number and the comma after it from the front.
std::optional<std::int64_t> takeNumber(std::string_view& text) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end == text.data() + text.size() || *end != ',') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
    return number;
}

}  // namespace

// "<sort><direction><kind><number>,<id>,<name key>"
std::string encodeCursor(const Cursor& cursor) {
    std::string text;
    switch (cursor.sort) {
        case catalog::SortBy::name: text += 'n'; break;
        case catalog::SortBy::size: text += 's'; break;
        case catalog::SortBy::modifiedAt: text += 'm'; break;
    }
    text += cursor.descending ? 'd' : 'a';
    text += cursor.key.kind == catalog::Kind::folder ? 'o' : 'i';
    text += std::to_string(cursor.key.number) + ',' + std::to_string(catalog::valueOf(cursor.key.id)) + ',' +
            cursor.key.name;
    return toBase64Url(text);
}

Cursor decodeCursor(std::string_view encoded) {
    const Error refused(ErrorCode::invalidValue, "\"cursor\" is not one that this list gave. Start again without it.");
    const auto decoded = encoded.size() > 1024 ? std::nullopt : fromBase64Url(encoded);
    if (!decoded || decoded->size() < 3) throw refused;
    std::string_view text = *decoded;
    Cursor cursor{};
    switch (text[0]) {
        case 'n': cursor.sort = catalog::SortBy::name; break;
        case 's': cursor.sort = catalog::SortBy::size; break;
        case 'm': cursor.sort = catalog::SortBy::modifiedAt; break;
        default: throw refused;
    }
    if ((text[1] != 'a' && text[1] != 'd') || (text[2] != 'o' && text[2] != 'i')) throw refused;
    cursor.descending = text[1] == 'd';
    cursor.key.kind = text[2] == 'o' ? catalog::Kind::folder : catalog::Kind::file;
    text.remove_prefix(3);
    const auto number = takeNumber(text), id = takeNumber(text);
    if (!number || !id || text.find('\0') != std::string_view::npos) throw refused;
    cursor.key.number = *number;
    cursor.key.id = static_cast<catalog::FileId>(*id);
    cursor.key.name = text;
    return cursor;
}

// "c<seq>,<stamp>,"
std::string encodeChangesCursor(const catalog::Revision& revision) {
    return toBase64Url('c' + std::to_string(revision.seq) + ',' + std::to_string(revision.stamp) + ',');
}

catalog::Revision decodeChangesCursor(std::string_view encoded) {
    const auto decoded = encoded.size() > 1024 ? std::nullopt : fromBase64Url(encoded);
    if (decoded && decoded->starts_with('c')) {
        std::string_view text = std::string_view(*decoded).substr(1);
        const auto seq = takeNumber(text), stamp = takeNumber(text);
        if (seq && stamp && text.empty()) return {*seq, *stamp};
    }
    throw Error(ErrorCode::invalidValue,
                "\"after\" is not a cursor that this call gave. Ask without it for the cursor of now.");
}

}  // namespace chunkvault::server
