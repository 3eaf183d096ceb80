#include "common/http/content_disposition.h"

#include "common/http/ascii.h"
#include "common/wire/utf8.h"

namespace chunkvault::http {

namespace {

// attr-char of RFC 8187 section 3.2.1.
bool isAttributeChar(char c) {
    return isAlphanumeric(c) || (c != '\0' && std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos);
}

// '/' would make a path of it; C0, DEL and C1 are never part of a name.
std::string cleaned(std::string_view filename) {
    const std::string text = wire::validUtf8(filename);
    std::string clean;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool c1 = text[i] == '\xC2' && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        clean += isControl(text[i]) || c1 || text[i] == '/' ? '_' : text[i];
        if (c1) ++i;
    }
    return clean.empty() ? "download" : clean;
}

}  // namespace

std::string contentDisposition(Disposition disposition, std::string_view filename) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string fallback, encoded;
    bool differs = false;
    for (const char c : cleaned(filename)) {
        const auto byte = static_cast<unsigned char>(c);
        // Some clients undo percent-escapes in the quoted form too, and some end it at a backslash.
        const bool plain = byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\' && c != '%';
        differs = differs || !plain;
        // One '_' for a character, however many bytes it has.
        if (plain) fallback += c;
        else if ((byte & 0xC0) != 0x80) fallback += '_';
        if (isAttributeChar(c)) encoded += c;
        else encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    std::string header = disposition == Disposition::attachment ? "attachment" : "inline";
    header += "; filename=\"" + fallback + '"';
    if (differs) header += "; filename*=UTF-8''" + encoded;
    return header;
}

}  // namespace chunkvault::http
