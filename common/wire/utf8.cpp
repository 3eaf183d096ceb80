#include "common/wire/utf8.h"

#include <algorithm>

#include <utf8proc.h>

namespace chunkvault::wire {

std::string validUtf8(std::string_view text) { return validUtf8(text, std::string::npos); }

std::string validUtf8(std::string_view text, std::size_t maxBytes) {
    std::string valid;
    valid.reserve(std::min(text.size(), maxBytes));
    while (!text.empty()) {
        utf8proc_int32_t codePoint = 0;
        const auto step = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                           static_cast<utf8proc_ssize_t>(text.size()), &codePoint);
        const std::string_view character =
            step > 0 ? text.substr(0, static_cast<std::size_t>(step)) : std::string_view("\xEF\xBF\xBD");
        if (character.size() > maxBytes - valid.size()) break;
        valid += character;
        text.remove_prefix(step > 0 ? static_cast<std::size_t>(step) : 1);
    }
    return valid;
}

}  // namespace chunkvault::wire
