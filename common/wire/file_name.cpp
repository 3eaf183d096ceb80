#include "common/wire/file_name.h"

#include <cstdlib>
#include <memory>

#include <utf8proc.h>

#include "common/error/error.h"

namespace chunkvault {

namespace {

constexpr std::size_t maxNameBytes = 255;
constexpr std::size_t maxExtensionBytes = 32;          // of what numbered() keeps behind the number
constexpr std::size_t maxRawBytes = 4 * maxNameBytes;  // NFC may shorten a text, but never by more

[[noreturn]] void refuse(const char* reason) { throw Error(ErrorCode::invalidValue, reason); }

std::string map(std::string_view text, int options) {
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &mapped, static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(mapped, &std::free);
    if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (length < 0) refuse("The name is not valid UTF-8.");
    return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length)};
}

std::string composed(std::string_view text) { return map(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE); }

std::string folded(std::string_view text) { return map(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD); }

// text is valid UTF-8, where C1 is 0xC2 0x80 to 0xC2 0x9F.
bool hasControl(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < 0x20 || byte == 0x7f) return true;
        if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
    }
    return false;
}

std::string_view cutAtCharacter(std::string_view text, std::size_t maxBytes) {
    if (text.size() <= maxBytes) return text;
    while (maxBytes > 0 && (static_cast<unsigned char>(text[maxBytes]) & 0xc0) == 0x80) --maxBytes;
    return text.substr(0, maxBytes);
}

std::string checked(std::string_view text) {
    if (text.empty()) refuse("A name must not be empty.");
    if (text.size() > maxRawBytes) refuse("A name has at most 255 bytes.");
    std::string name = composed(text);
    if (name.size() > maxNameBytes) refuse("A name has at most 255 bytes.");
    if (hasControl(name)) refuse("A name must not contain control characters.");
    return name;
}

}  // namespace

FileName FileName::parse(std::string_view text) {
    std::string name = checked(text);
    if (name.find('/') != std::string::npos) refuse("A name must not contain \"/\".");
    if (name == "." || name == "..") refuse("\".\" and \"..\" are not names.");
    std::string key = folded(name);
    return {std::move(name), std::move(key)};
}

std::vector<FileName> FileName::parsePath(std::string_view path) {
    std::vector<FileName> names;
    while (true) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (part.empty()) refuse("A path is names joined by single slashes, without one at its start or end.");
        if (names.size() == maxPathNames) refuse("A path may have 200 names at most.");
        names.push_back(parse(part));
        if (slash == std::string_view::npos) return names;
        path.remove_prefix(slash + 1);
    }
}

std::string FileName::searchKey(std::string_view text) { return folded(checked(text)); }

FileName FileName::numbered(int number) const {
    std::size_t dot = text_.rfind('.');
    if (dot == std::string::npos || text_.find_first_not_of('.') > dot || dot + 1 == text_.size() ||
        text_.size() - dot > maxExtensionBytes)
        dot = text_.size();
    const std::string tail = " (" + std::to_string(number) + ")" + text_.substr(dot);
    return parse(std::string(cutAtCharacter(text_.substr(0, dot), maxNameBytes - tail.size())) + tail);
}

}  // namespace chunkvault
