#include "common/http/head_fields.h"

#include <algorithm>
#include <charconv>

#include "common/error/error.h"
#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void refuse(const char* sentence) { throw Error(ErrorCode::badRequest, sentence); }

}  // namespace

std::string_view takeLine(std::string_view& block) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    block.remove_prefix(std::min(line.size() + 2, block.size()));
    return line;
}

Header parseHeader(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') refuse("A header is folded over two lines.");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) refuse("A header line has no colon.");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (!isToken(name)) refuse("A header's name holds a space or another character that is not allowed.");
    if (!isFieldValue(value)) refuse("A header's value holds a control character.");
    return {std::string(name), std::string(value)};
}

std::uint64_t parseContentLength(std::string_view text) {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (error != std::errc() || end != text.data() + text.size() || length > maxBodyLength)
        refuse("Content-Length is not a number of bytes.");
    return length;
}

}  // namespace chunkvault::http
