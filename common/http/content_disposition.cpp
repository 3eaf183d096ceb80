#include "common/http/content_disposition.h"

#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

// attr-char of RFC 8187 section 3.2.1.
bool isAttributeChar(char c) {
    return isAlphanumeric(c) || (c != '\0' && std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos);
}

}  // namespace

std::string contentDisposition(Disposition disposition, std::string_view filename) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string fallback, encoded;
    bool differs = false;
    for (const char c : filename) {
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
