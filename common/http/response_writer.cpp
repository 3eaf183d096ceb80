#include "common/http/response_writer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/http/ascii.h"
#include "common/wire/error_table.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void throwMisuse(std::string detail) {
    throw Error(ErrorCode::internal, "An internal error occurred.", std::move(detail));
}

std::string_view reasonPhrase(int status) {
    switch (status) {
        case 200: return "OK";
        case 201: return "Created";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 206: return "Partial Content";
        case 301: return "Moved Permanently";
        case 302: return "Found";
        case 303: return "See Other";
        case 304: return "Not Modified";
        case 307: return "Temporary Redirect";
        case 308: return "Permanent Redirect";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 410: return "Gone";
        case 411: return "Length Required";
        case 412: return "Precondition Failed";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 415: return "Unsupported Media Type";
        case 416: return "Range Not Satisfiable";
        case 417: return "Expectation Failed";
        case 422: return "Unprocessable Content";
        case 423: return "Locked";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        case 507: return "Insufficient Storage";
        default: return "";  // allowed by RFC 9112 section 4
    }
}

void appendNumber(std::string& text, std::uint64_t number, int base = 10) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
    text.append(digits.data(), end);
}

void appendHeader(std::string& text, std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
}

bool neverHasBody(int status) { return status == 204 || status == 304; }

}  // namespace

ResponseWriter::ResponseWriter(ClientSocket& socket, Patience& patience, Terms terms)
    : socket_(socket), patience_(patience), terms_(std::move(terms)) {}

void ResponseWriter::setHeader(std::string_view name, std::string_view value) {
    if (started()) throwMisuse("header " + std::string(name) + " is set after the answer was started");
    if (!isToken(name) || !isFieldValue(value))
        throwMisuse("header " + std::string(name) + " holds characters that are not allowed");
    if (!equalsIgnoringCase(name, "Set-Cookie")) {
        const auto same = std::find_if(headers_.begin(), headers_.end(),
                                       [&](const Header& header) { return equalsIgnoringCase(header.name, name); });
        if (same != headers_.end()) {
            same->value = value;
            return;
        }
    }
    headers_.push_back({std::string(name), std::string(value)});
}

void ResponseWriter::send(int status, std::string_view contentType, std::string_view body) {
    start(status, contentType, Framing::counted, body.size());
    if (terms_.head || neverHasBody(status)) body = {};
    bodyBytes_ = body.size();
    put(body);
    complete_ = true;
}

void ResponseWriter::sendEmpty(int status) {
    start(status, {}, neverHasBody(status) ? Framing::none : Framing::counted, 0);
    put({});
    complete_ = true;
}

BodyWriter& ResponseWriter::begin(int status, std::string_view contentType, std::optional<std::uint64_t> length) {
    start(status, contentType,
          length          ? Framing::counted
          : terms_.http11 ? Framing::chunked
                          : Framing::connection,
          length);
    return *this;
}

void ResponseWriter::sendProblem(const Error& error, std::string_view allow) {
    // How long the content is goes with the refusal of a range (RFC 9110 section 15.5.17), and which tus is spoken with
    // every answer to it.
    std::erase_if(headers_, [](const Header& header) {
        return !equalsIgnoringCase(header.name, "Content-Range") && !equalsIgnoringCase(header.name, "Tus-Resumable") &&
               !equalsIgnoringCase(header.name, "Tus-Version");
    });
    pending_.clear();
    status_ = 0;
    bodyBytes_ = 0;
    if (error.retryAfterS()) setHeader("Retry-After", std::to_string(*error.retryAfterS()));
    if (!allow.empty()) setHeader("Allow", allow);
    const int status = wire::errorRow(error.code()).status;
    if (status == 401) setHeader("WWW-Authenticate", "Bearer");
    send(status, "application/problem+json", wire::problemJson(error, terms_.requestId));
}

bool ResponseWriter::finish() {
    if (!started() || complete_) return complete_;
    if (!terms_.head && framing_ == Framing::counted && bodyBytes_ != announced_) return false;
    if (chunkLeft_ != 0) return false;
    if (!terms_.head && framing_ == Framing::chunked) pending_ += bodyBytes_ == 0 ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
    put({});
    complete_ = true;
    return true;
}

void ResponseWriter::checkRoom(std::span<const char> data) const {
    if (complete_) throwMisuse("bytes are written after the answer was finished");
    if (framing_ == Framing::counted && data.size() > announced_ - bodyBytes_)
        throwMisuse("more bytes are written than were announced");
}

void ResponseWriter::write(std::span<const char> data) {
    checkRoom(data);
    if (data.empty()) return;
    if (!terms_.head) beginChunk(data.size());
    countBody(data.size());
    if (!terms_.head) put(data);
}

std::size_t ResponseWriter::writeSome(std::span<const char> data, std::chrono::nanoseconds maxWait) {
    if (terms_.head || data.empty()) {
        write(data);
        return data.size();
    }
    checkRoom(data);
    beginChunk(data.size());
    onWire_ = true;
    const std::size_t done = socket_.writeSome(pending_, data, maxWait, patience_);
    const std::size_t ofHeader = std::min(done, pending_.size());
    pending_.erase(0, ofHeader);
    countBody(done - ofHeader);
    return done - ofHeader;
}

void ResponseWriter::beginChunk(std::size_t size) {
    if (framing_ != Framing::chunked) return;
    if (chunkLeft_ == 0) {
        // A chunk's last CR LF travels with the next chunk's size, so that each write is one system call.
        if (bodyBytes_ != 0) pending_ += "\r\n";
        appendNumber(pending_, size, 16);
        pending_ += "\r\n";
        chunkLeft_ = size;
    } else if (size > chunkLeft_) {
        throwMisuse("something else follows than the rest of what was written in part");
    }
}

void ResponseWriter::countBody(std::size_t size) {
    bodyBytes_ += size;
    if (framing_ == Framing::chunked && !terms_.head) chunkLeft_ -= size;
}

void ResponseWriter::awaitWritable() { socket_.awaitWritable(patience_); }

void ResponseWriter::start(int status, std::string_view contentType, Framing framing,
                           std::optional<std::uint64_t> length) {
    if (started()) throwMisuse("the answer is started twice");
    status_ = status;
    framing_ = framing;
    announced_ = length.value_or(0);
    keepAlive_ = framing != Framing::connection && terms_.mayKeepAlive();

    pending_.reserve(512);
    pending_ += "HTTP/1.1 ";
    appendNumber(pending_, static_cast<std::uint64_t>(status));
    pending_.append(" ").append(reasonPhrase(status)).append("\r\n");
    appendHeader(pending_, "Date", terms_.date);
    appendHeader(pending_, "X-Request-Id", terms_.requestId);
    if (!contentType.empty()) {
        if (!isFieldValue(contentType)) throwMisuse("the content type holds characters that are not allowed");
        appendHeader(pending_, "Content-Type", contentType);
    }
    if (framing == Framing::counted && !neverHasBody(status)) {
        pending_ += "Content-Length: ";
        appendNumber(pending_, announced_);
        pending_ += "\r\n";
    } else if (framing == Framing::chunked) {
        pending_ += "Transfer-Encoding: chunked\r\n";
    }
    if (!keepAlive_) pending_ += "Connection: close\r\n";
    else if (terms_.keepAliveNamed) pending_ += "Connection: keep-alive\r\n";
    for (const auto& [name, value] : headers_) appendHeader(pending_, name, value);
    pending_ += "\r\n";
}

void ResponseWriter::put(std::span<const char> body) {
    if (pending_.empty() && body.empty()) return;
    onWire_ = true;
    socket_.write(pending_, body, patience_);
    pending_.clear();
}

}  // namespace chunkvault::http
