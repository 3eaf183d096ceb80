#include "common/http/multipart.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/percent.h"
#include "common/http/read_full.h"

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
    for (const auto& [escape, character] :
         {std::pair<std::string_view, char>{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}})
        for (auto at = text.find(escape); at != std::string::npos; at = text.find(escape, at + 1))
            text.replace(at, escape.size(), 1, character);
    return text;
}

// The parameters after a header's first value, one by one.
struct Parameters {
    std::string_view rest;  // begins with ';' or is empty

    // Takes the next "; name=value"; false at the end.
    bool next(std::string& name, std::string& value) {
        while (rest.starts_with(';')) rest = trim(rest.substr(1));
        if (rest.empty()) return false;
        const auto equals = rest.find('=');
        const std::string_view key = trim(rest.substr(0, std::min(equals, rest.size())));
        if (equals == std::string_view::npos || !isToken(key)) refuse("A parameter in a header is not \"name=value\".");
        name.assign(key.size(), '\0');
        std::transform(key.begin(), key.end(), name.begin(), toLower);
        rest = trim(rest.substr(equals + 1));
        value = takeValue(rest);
        rest = trim(rest);
        if (!rest.empty() && rest.front() != ';') refuse("Something follows a quoted text in a header.");
        return true;
    }
};

template <typename Text>
void setOnce(std::optional<Text>& parameter, Text value) {
    if (parameter) refuse("A parameter in a part's header is given twice.");
    parameter = std::move(value);
}

// RFC 2046 allows fewer characters, and clients send more.
bool isBoundary(std::string_view text) {
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f'; });
    return !text.empty() && text.size() <= 70 && printable && text.back() != ' ';
}

std::optional<std::string> boundaryOf(std::string_view contentType) {
    const auto semicolon = std::min(contentType.find(';'), contentType.size());
    if (!equalsIgnoringCase(trim(contentType.substr(0, semicolon)), "multipart/form-data")) return std::nullopt;
    std::optional<std::string> boundary;
    try {
        std::string name, value;
        for (Parameters parameters{contentType.substr(semicolon)}; parameters.next(name, value);)
            if (name == "boundary") setOnce(boundary, value);
    } catch (const Error&) {
        return std::nullopt;
    }
    return boundary && isBoundary(*boundary) ? boundary : std::nullopt;
}

std::string decodeExtended(std::string_view text) {
    constexpr std::string_view charset = "UTF-8'";
    if (equalsIgnoringCase(text.substr(0, charset.size()), charset)) {
        const auto language = text.find('\'', charset.size());
        if (language != std::string_view::npos)
            if (auto decoded = percentDecode(text.substr(language + 1))) return *std::move(decoded);
    }
    refuse("A part's filename* is not UTF-8 in percent-encoding (RFC 8187).");
}

}  // namespace

MultipartReader::MultipartReader(BodyReader& body, std::string_view contentType) : body_(body) {
    const auto boundary = boundaryOf(contentType);
    if (!boundary)
        throw Error(ErrorCode::unsupportedMediaType,
                    "Send a form: Content-Type: multipart/form-data with a boundary (curl -F file=@NAME).");
    delimiter_ = "\r\n--" + *boundary;
    data_ = std::make_unique_for_overwrite<char[]>(windowBytes);
    // As if the preamble ended with the line end that a delimiter begins with.
    std::memcpy(data_.get(), "\r\n", 2);
    end_ = 2;
    inPart_ = true;
}

bool MultipartReader::next() {
    if (ended_) return false;
    std::array<char, 16 << 10> skipped;
    while (inPart_ && read(skipped) > 0) {
    }
    require(2);
    if (window().starts_with("--")) {
        ended_ = true;
        // What follows is an epilogue without meaning; reading it lets the connection go on.
        while (body_.read(skipped) > 0) {
        }
        return false;
    }
    while (!window().empty() && (window().front() == ' ' || window().front() == '\t')) {
        consume(1);
        require(2);
    }
    if (!window().starts_with("\r\n")) refuse("A boundary of the form is followed by something else.");
    consume(2);
    if (++parts_ > maxParts) refuse("The form has too many parts.");
    readPartHeader();
    inPart_ = true;
    return true;
}

bool MultipartReader::awaitData() {
    if (!inPart_) return false;
    while (clear_ == 0) {
        const std::string_view arrived = window();
        const void* found = memmem(arrived.data(), arrived.size(), delimiter_.data(), delimiter_.size());
        if (found == arrived.data()) {
            consume(delimiter_.size());
            inPart_ = false;
            return false;
        }
        // Without one, it may still have begun in the last bytes.
        clear_ = found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - arrived.data())
                                  : arrived.size() - std::min(arrived.size(), delimiter_.size() - 1);
        if (clear_ == 0) fill();
    }
    return true;
}

std::size_t MultipartReader::read(std::span<char> buffer) {
    if (buffer.empty() || !awaitData()) return 0;
    const std::size_t count = std::min(clear_, buffer.size());
    std::memcpy(buffer.data(), data_.get() + begin_, count);
    consume(count);
    return count;
}

std::size_t MultipartReader::readFull(std::span<char> buffer) { return readUntilFull(*this, buffer); }

void MultipartReader::consume(std::size_t bytes) {
    begin_ += bytes;
    clear_ -= std::min(clear_, bytes);
}

void MultipartReader::fill() {
    if (begin_ > 0) {
        std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    const std::size_t count = body_.read({data_.get() + end_, windowBytes - end_});
    if (count == 0) refuse("The form ends before its last boundary. Send it again.");
    end_ += count;
}

void MultipartReader::require(std::size_t bytes) {
    while (end_ - begin_ < bytes) fill();
}

void MultipartReader::readPartHeader() {
    contentType_.clear();
    bool disposed = false;
    for (std::size_t used = 0;;) {
        auto lineEnd = window().find("\r\n");
        for (; lineEnd == std::string_view::npos && window().size() <= maxPartHeaderBytes;
             lineEnd = window().find("\r\n"))
            fill();
        used += std::min(lineEnd, window().size());
        if (used > maxPartHeaderBytes) refuse("A part's header is too long.");
        const std::string line(window().substr(0, lineEnd));
        // The line end of the empty line may belong to the delimiter of a part without a body.
        if (line.empty()) break;
        consume(lineEnd + 2);
        const auto colon = line.find(':');
        const std::string_view name = std::string_view(line).substr(0, colon);
        if (colon == std::string::npos || !isToken(name) || !isFieldValue(line))
            refuse("A part's header is not \"Name: value\".");
        const std::string_view value = trim(std::string_view(line).substr(colon + 1));
        if (equalsIgnoringCase(name, "Content-Type")) contentType_ = value;
        if (!equalsIgnoringCase(name, "Content-Disposition")) continue;
        if (disposed) refuse("A part of the form has two Content-Dispositions.");
        parseDisposition(value);
        disposed = true;
    }
    if (!disposed) refuse("A part of the form has no Content-Disposition.");
    require(delimiter_.size());
    if (!window().starts_with(delimiter_)) consume(2);
}

void MultipartReader::parseDisposition(std::string_view value) {
    const auto semicolon = std::min(value.find(';'), value.size());
    if (!equalsIgnoringCase(trim(value.substr(0, semicolon)), "form-data"))
        refuse("A part of the form is not form-data.");
    std::string key, text;
    std::optional<std::string> name, plain, extended;
    for (Parameters parameters{value.substr(semicolon)}; parameters.next(key, text);) {
        if (key == "name") setOnce(name, undoBrowserEscapes(text));
        if (key == "filename") setOnce(plain, undoBrowserEscapes(text));
        if (key == "filename*") setOnce(extended, decodeExtended(text));
    }
    if (!name) refuse("A part of the form has no name.");
    name_ = *std::move(name);
    filename_ = extended ? std::move(extended) : std::move(plain);
}

}  // namespace chunkvault::http
