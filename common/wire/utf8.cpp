#include "common/wire/utf8.h"

#include <utf8proc.h>

namespace chunkvault::wire {

std::string validUtf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        utf8proc_int32_t codePoint = 0;
        const auto step = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                           static_cast<utf8proc_ssize_t>(text.size()), &codePoint);
        if (step > 0) valid += text.substr(0, static_cast<std::size_t>(step));
        else valid += "\xEF\xBF\xBD";
        text.remove_prefix(step > 0 ? static_cast<std::size_t>(step) : 1);
    }
    return valid;
}

}  // namespace chunkvault::wire
