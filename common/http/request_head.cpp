#include "common/http/request_head.h"

#include <algorithm>
#include <charconv>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/head_fields.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void refuse(const char* sentence) { throw Error(ErrorCode::badRequest, sentence); }

Method parseMethod(std::string_view name) {
    for (const Method method :
         {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::del, Method::options})
        if (name == toString(method)) return method;
    if (!isToken(name)) refuse("The request line does not begin with a method.");
    throw Error(ErrorCode::notImplemented,
                "This method is not known here. Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.");
}

bool isHttp11(std::string_view version) {
    if (version == "HTTP/1.1") return true;
    if (version == "HTTP/1.0") return false;
    if (version.size() == 8 && version.starts_with("HTTP/") && isDigit(version[5]) && version[6] == '.' &&
        isDigit(version[7]))
        throw Error(ErrorCode::httpVersionNotSupported, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    refuse("The request line does not end with an HTTP version.");
}

// host[:port] of a URI, by its characters; nothing here is taken from it.
bool isAuthority(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return isAlphanumeric(c) || std::string_view("-._~!$&'()*+,;=:[]%").find(c) != std::string_view::npos;
    });
}

void parseTarget(RequestHead& head) {
    std::string_view rest = head.target;
    if (rest.empty() || std::any_of(rest.begin(), rest.end(), [](char c) { return c <= ' ' || c >= 0x7f || c == '#'; }))
        refuse("The request target is not a valid URI. Percent-encode what is not plain ASCII.");
    if (rest == "*" && head.method == Method::options) {
        head.path = rest;
        return;
    }
    if (rest.front() != '/') {
        const std::size_t scheme = rest.find("://");
        if (scheme == std::string_view::npos || (!equalsIgnoringCase(rest.substr(0, scheme), "http") &&
                                                 !equalsIgnoringCase(rest.substr(0, scheme), "https")))
            refuse("The request target is neither a path nor an http URI.");
        rest.remove_prefix(scheme + 3);
        const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
        if (authority.empty() || !isAuthority(authority)) refuse("The request target names no valid host.");
        rest.remove_prefix(authority.size());
    }
    head.path = rest.substr(0, rest.find('?'));
    if (head.path.empty()) head.path = "/";
}

void parseRequestLine(RequestHead& head, std::string_view line, std::size_t maxTargetBytes) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) refuse("The request line is not METHOD TARGET VERSION.");
    head.http11 = isHttp11(line.substr(last + 1));
    head.method = parseMethod(line.substr(0, first));
    head.target = line.substr(first + 1, last - first - 1);
    if (head.target.size() > maxTargetBytes)
        throw Error(ErrorCode::uriTooLong,
                    "The request target is too long: at most " + std::to_string(maxTargetBytes) + " bytes.");
    parseTarget(head);
}

// Everything that decides where this request ends and how the connection goes on.
void applyFraming(RequestHead& head) {
    std::size_t hosts = 0, transferCodings = 0;
    bool close = false, keepAlive = false;
    for (const auto& [name, value] : head.headers) {
        if (equalsIgnoringCase(name, "Host")) {
            if (++hosts > 1) refuse("There is more than one Host header.");
            if (!isAuthority(value)) refuse("The Host header is not a host.");
        } else if (equalsIgnoringCase(name, "Content-Length")) {
            if (head.contentLength) refuse("There is more than one Content-Length header.");
            head.contentLength = parseContentLength(value);
        } else if (equalsIgnoringCase(name, "Transfer-Encoding")) {
            if (++transferCodings > 1) refuse("There is more than one Transfer-Encoding header.");
            if (!equalsIgnoringCase(value, "chunked"))
                throw Error(ErrorCode::notImplemented, "The only transfer coding known here is chunked.");
            head.chunked = true;
        } else if (equalsIgnoringCase(name, "Connection")) {
            for (std::string_view list = value, option = nextListElement(list); !option.empty();
                 option = nextListElement(list)) {
                close = close || equalsIgnoringCase(option, "close");
                keepAlive = keepAlive || equalsIgnoringCase(option, "keep-alive");
            }
        } else if (equalsIgnoringCase(name, "Expect") && head.http11) {
            if (!equalsIgnoringCase(value, "100-continue"))
                throw Error(ErrorCode::expectationFailed, "The only expectation known here is 100-continue.");
            head.expectsContinue = true;
        }
    }
    if (head.http11 && hosts == 0) refuse("The Host header is missing.");
    if (head.chunked && head.contentLength) refuse("Content-Length and Transfer-Encoding exclude each other.");
    if (head.chunked && !head.http11) refuse("HTTP/1.0 has no transfer codings. Send Content-Length.");
    head.keepAlive = !close && (head.http11 || keepAlive);
}

}  // namespace

std::optional<std::size_t> HeadScanner::find(std::string_view data) {
    for (;;) {
        const std::size_t lineFeed = data.find('\n', scanned_);
        if (lineFeed == std::string_view::npos) {
            scanned_ = data.size();
            return std::nullopt;
        }
        if (lineFeed == 0 || data[lineFeed - 1] != '\r') refuse("A line of the header ends without CR LF.");
        const bool empty = lineFeed - lineStart_ == 1;
        scanned_ = lineStart_ = lineFeed + 1;
        if (empty) return lineStart_;
    }
}

RequestHead parseRequestHead(std::string_view block, std::size_t maxTargetBytes) {
    RequestHead head;
    parseRequestLine(head, takeLine(block), maxTargetBytes);
    head.headers.reserve(16);
    for (std::string_view line = takeLine(block); !line.empty(); line = takeLine(block)) {
        if (head.headers.size() == maxHeaderCount)
            throw Error(ErrorCode::headersTooLarge,
                        "There are too many headers: at most " + std::to_string(maxHeaderCount) + '.');
        head.headers.push_back(parseHeader(line));
    }
    applyFraming(head);
    return head;
}

std::optional<std::uint64_t> parseChunkSize(std::string_view line) {
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
    if (error != std::errc() || size > maxBodyLength) return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    if (line.empty()) return size;
    const bool extension = trim(line).starts_with(';') && isFieldValue(line);
    return extension ? std::optional(size) : std::nullopt;
}

}  // namespace chunkvault::http
