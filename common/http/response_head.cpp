#include "common/http/response_head.h"

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/head_fields.h"
#include "common/http/request_head.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void refuse(const char* sentence) { throw Error(ErrorCode::badRequest, sentence); }

// "HTTP/1.1 200 OK"; the reason may be empty, but for old servers the space before it may be missing, too.
int parseStatusLine(std::string_view line, bool& http11) {
    constexpr std::size_t versionBytes = 9, statusEnd = 12;
    http11 = line.starts_with("HTTP/1.1 ");
    if (!http11 && !line.starts_with("HTTP/1.0 ")) refuse("The answer does not begin with its HTTP version.");
    const std::string_view digits = line.substr(versionBytes, statusEnd - versionBytes);
    if (digits.size() != 3 || !isDigit(digits[0]) || !isDigit(digits[1]) || !isDigit(digits[2]) ||
        (line.size() > statusEnd && line[statusEnd] != ' ') || !isFieldValue(line))
        refuse("The answer's first line has no status.");
    const int status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (status < 200 || status > 599) refuse("The answer's status is out of range.");
    return status;
}

}  // namespace

ResponseHead parseResponseHead(std::string_view block) {
    ResponseHead head;
    bool http11 = true, close = false, keepAlive = false;
    head.status = parseStatusLine(takeLine(block), http11);
    for (std::string_view line = takeLine(block); !line.empty(); line = takeLine(block)) {
        if (head.headers.size() == maxHeaderCount) refuse("The answer has too many headers.");
        const auto& [name, value] = head.headers.emplace_back(parseHeader(line));
        if (equalsIgnoringCase(name, "Content-Length")) {
            if (head.contentLength) refuse("The answer has more than one Content-Length.");
            head.contentLength = parseContentLength(value);
        } else if (equalsIgnoringCase(name, "Transfer-Encoding")) {
            if (head.chunked || !equalsIgnoringCase(value, "chunked"))
                refuse("The answer has a transfer coding besides chunked.");
            head.chunked = true;
        } else if (equalsIgnoringCase(name, "Connection")) {
            for (std::string_view list = value, option = nextListElement(list); !option.empty();
                 option = nextListElement(list)) {
                close = close || equalsIgnoringCase(option, "close");
                keepAlive = keepAlive || equalsIgnoringCase(option, "keep-alive");
            }
        }
    }
    if (head.chunked && (head.contentLength || !http11)) refuse("The answer's body has two lengths.");
    if (!head.chunked && !head.contentLength && head.status != 204 && head.status != 304)
        refuse("The answer does not say how long its body is.");
    head.keepAlive = !close && (http11 || keepAlive);
    return head;
}

}  // namespace chunkvault::http
