#include "common/http/multipart.h"

#include <algorithm>
#include <cstring>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/percent.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void refuse(const char* sentence) { throw Error(ErrorCode::badRequest, sentence); }

// Takes a token or quoted string off the front of text. In quotes a backslash escapes only '"' and '\': browsers send
// the backslashes of Windows paths bare.
std::string takeValue(std::string_view& text) {
    std::string value;
    if (!text.starts_with('"')) {
        const auto end = std::min(text.find(';'), text.size());
        value = trim(text.substr(0, end));
        text.remove_prefix(end);
        return value;
    }
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return value;
        }
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
        value += text[i];
    }
    refuse("A quoted text in a part's header has no end.");
}

// How browsers write a quote and line ends within a name (WHATWG HTML, "multipart/form-data encoding algorithm").
std::string undoBrowserEscapes(std::string text) {
    for (const auto& [escape, character] : {std::pair<std::string_view, char>{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}})
        for (auto at = text.find(escape); at != std::string::npos; at = text.find(escape, at + 1)) text.replace(at, escape.size(), 1, character);
    return text;
}

struct Parameters {
    std::string_view rest;

    // Takes the next "; name=value"; false at the end.
    bool next(std::string& name, std::string& value) {
        rest = trim(rest);
        while (rest.starts_with(';')) rest = trim(rest.substr(1));
        if (rest.empty()) return false;
        const auto equals = rest.find('=');
        if (equals == std::string_view::npos) refuse("A parameter in a header has no value.");
        name.clear();
        for (const char c : trim(rest.substr(0, equals))) name += toLower(c);
        rest = trim(rest.substr(equals + 1));
        value = takeValue(rest);
        return true;
    }
};

}  // namespace

MultipartReader::MultipartReader(BodyReader& body, std::string_view contentType)
    : body_(body), data_(std::make_unique_for_overwrite<char[]>(windowBytes)) {
    const auto semicolon = std::min(contentType.find(';'), contentType.size());
    std::string boundary, name, value;
    if (equalsIgnoringCase(trim(contentType.substr(0, semicolon)), "multipart/form-data"))
        for (Parameters parameters{contentType.substr(semicolon)}; parameters.next(name, value);)
            if (name == "boundary") boundary = value;
    if (boundary.empty() || boundary.size() > 70 || !isFieldValue(boundary))
        throw Error(ErrorCode::unsupportedMediaType, "Send a form: Content-Type: multipart/form-data with a boundary (curl -F file=@NAME).");
    delimiter_ = "\r\n--" + boundary;
    // As if the preamble ended with the line end that a delimiter begins with.
    std::memcpy(data_.get(), "\r\n", 2);
    end_ = 2;
    inPart_ = true;
}

bool MultipartReader::next() {
    if (ended_) return false;
    std::array<char, 16 << 10> skipped;
    while (inPart_ && read(skipped) > 0) {}
    require(2);
    if (window().starts_with("--")) {
        ended_ = true;
        // What follows is an epilogue without meaning; reading it lets the connection go on.
        for (begin_ = end_ = 0; body_.read(skipped) > 0;) {}
        return false;
    }
    while (!window().empty() && (window().front() == ' ' || window().front() == '\t')) {
        ++begin_;
        require(2);
    }
    if (!window().starts_with("\r\n")) refuse("A boundary of the form is followed by something else.");
    begin_ += 2;
    if (++parts_ > maxParts) refuse("The form has too many parts.");
    readPartHeader();
    inPart_ = true;
    return true;
}

std::size_t MultipartReader::read(std::span<char> buffer) {
    if (!inPart_ || buffer.empty()) return 0;
    for (;;) {
        const std::string_view arrived = window();
        const void* found = arrived.empty() ? nullptr : memmem(arrived.data(), arrived.size(), delimiter_.data(), delimiter_.size());
        std::size_t ready;
        if (found != nullptr) {
            ready = static_cast<std::size_t>(static_cast<const char*>(found) - arrived.data());
            if (ready == 0) {
                begin_ += delimiter_.size();
                inPart_ = false;
                return 0;
            }
        } else {
            // The delimiter may have begun in the last bytes.
            ready = arrived.size() - std::min(arrived.size(), delimiter_.size() - 1);
        }
        if (ready > 0) {
            const std::size_t count = std::min(ready, buffer.size());
            std::memcpy(buffer.data(), arrived.data(), count);
            begin_ += count;
            return count;
        }
        fill();
    }
}

std::size_t MultipartReader::readFull(std::span<char> buffer) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
        const std::size_t count = read(buffer.subspan(filled));
        if (count == 0) break;
        filled += count;
    }
    return filled;
}

void MultipartReader::fill() {
    if (begin_ > 0) {
        std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (end_ == windowBytes) refuse("A line in the form is too long.");
    const std::size_t count = body_.read({data_.get() + end_, windowBytes - end_});
    if (count == 0) refuse("The form ends before its last boundary. Send it again.");
    end_ += count;
}

void MultipartReader::require(std::size_t bytes) {
    while (end_ - begin_ < bytes) fill();
}

void MultipartReader::readPartHeader() {
    name_.clear();
    filename_.reset();
    bool disposed = false;
    for (std::size_t used = 0;;) {
        auto lineEnd = window().find("\r\n");
        while (lineEnd == std::string_view::npos) {
            if (window().size() > maxPartHeaderBytes) refuse("A part's header is too long.");
            fill();
            lineEnd = window().find("\r\n");
        }
        const std::string line(window().substr(0, lineEnd));
        begin_ += lineEnd + 2;
        used += line.size();
        if (used > maxPartHeaderBytes) refuse("A part's header is too long.");
        if (line.empty()) break;
        const auto colon = line.find(':');
        if (colon == std::string::npos || !isToken(std::string_view(line).substr(0, colon)) || !isFieldValue(line))
            refuse("A part's header is not \"Name: value\".");
        if (equalsIgnoringCase(std::string_view(line).substr(0, colon), "Content-Disposition")) {
            parseDisposition(std::string_view(line).substr(colon + 1));
            disposed = true;
        }
    }
    if (!disposed) refuse("A part of the form has no Content-Disposition.");
    // The line end of an empty part's delimiter was taken with the header's empty line.
    if (begin_ >= 2 && std::memcmp(data_.get() + begin_ - 2, "\r\n", 2) == 0) begin_ -= 2;
    // An empty part: the delimiter follows the header at once. Otherwise the line end belongs to the header.
    require(delimiter_.size());
    if (!window().starts_with(delimiter_)) begin_ += 2;
}

void MultipartReader::parseDisposition(std::string_view value) {
    const auto semicolon = std::min(value.find(';'), value.size());
    if (!equalsIgnoringCase(trim(value.substr(0, semicolon)), "form-data")) refuse("A part of the form is not form-data.");
    bool named = false;
    std::string key, text;
    std::optional<std::string> extended;
    for (Parameters parameters{value.substr(semicolon)}; parameters.next(key, text);) {
        if (key == "name") {
            name_ = undoBrowserEscapes(text);
            named = true;
        } else if (key == "filename") {
            filename_ = undoBrowserEscapes(text);
        } else if (key == "filename*") {
            const auto second = text.find('\'', text.find('\'') + 1);
            const bool utf8 = text.size() > 6 && equalsIgnoringCase(std::string_view(text).substr(0, 6), "UTF-8'");
            const auto decoded = utf8 && second != std::string::npos ? percentDecode(std::string_view(text).substr(second + 1)) : std::nullopt;
            if (!decoded) refuse("A part's filename* is not UTF-8 in percent-encoding (RFC 8187).");
            extended = *decoded;
        }
    }
    if (!named) refuse("A part of the form has no name.");
    if (extended) filename_ = std::move(extended);
}

}  // namespace chunkvault::http
