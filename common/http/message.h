// A request as a handler sees it and the answer it gives. The connection loop makes both; a handler uses them on the
// connection's own thread and must not keep them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chunkvault::http {

enum class Method { get, head, post, put, patch, del, options };

[[nodiscard]] std::string_view toString(Method method) noexcept;

// The body of a request, read as it arrives. The connection loop's deadlines apply; a body that stops early is an
// error, never an end.
class BodyReader {
  public:
    virtual ~BodyReader() = default;

    // Content-Length; nullopt with chunked transfer coding. 0 when there is no body.
    [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
    // Fills as much of buffer as is there, at least one byte; 0 only at the real end.
    // Throws Error badRequest (ended early, bad chunked coding), requestTimeout, payloadTooLarge (above the route's
    // limit).
    virtual std::size_t read(std::span<char> buffer) = 0;
    // Waits until something can be read without waiting; false at the end. Throws as read.
    [[nodiscard]] virtual bool awaitData() = 0;
    // From now on, while wanted() says that others wait for what the reader of this body holds, a body that has fallen
    // two seconds behind 32 KiB/s makes read throw requestTimeout. Asked a few times a second, on this thread.
    virtual void hurryWhile(std::function<bool()> wanted) = 0;

    // Reads until buffer is full or the body ends; how many bytes were read.
    std::size_t readFull(std::span<char> buffer);
    // The whole body; throws payloadTooLarge above limit bytes. Takes memory as the bytes come.
    [[nodiscard]] std::string readAll(std::size_t limit);
};

struct Header {
    std::string name;
    std::string value;
};

class Request {
  public:
    Method method = Method::get;
    std::string target;         // as sent: "/files?limit=3"; may hold secrets, never logged
    std::string path;           // the part before '?', still percent-encoded
    std::string clientAddress;  // numeric; the real one when the peer is in TRUSTED_PROXIES
    bool secure = false;        // TLS here, or at a trusted proxy
    std::string requestId;
    std::vector<Header> headers;                              // in order; names as sent
    std::vector<std::pair<std::string, std::string>> query;   // decoded
    std::vector<std::pair<std::string, std::string>> params;  // the route's {names}, decoded
    BodyReader* body = nullptr;                               // never null in a handler

    // The first value; nullopt when absent. Names are compared without case.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    [[nodiscard]] std::optional<std::string_view> queryValue(std::string_view name) const;
    // A {name} of the route's pattern; it must be one.
    [[nodiscard]] std::string_view param(std::string_view name) const;
    // From the Cookie header (RFC 6265 section 4.2); nullopt when absent.
    [[nodiscard]] std::optional<std::string> cookie(std::string_view name) const;
};

// Where a streamed answer goes. Large writes reach the socket directly.
class BodyWriter {
  public:
    virtual ~BodyWriter() = default;
    // Throws Error unavailable when the client is gone, too slow, or the server stops.
    virtual void write(std::span<const char> data) = 0;
    // Writes until all of data is on its way or the client was waited for as long as maxWait; how many bytes are on
    // their way. The rest must follow unchanged. Throws as write.
    virtual std::size_t writeSome(std::span<const char> data, std::chrono::nanoseconds maxWait) = 0;
    // Waits until the client takes something again. Throws as write.
    virtual void awaitWritable() = 0;
};

// Exactly one of send, sendEmpty and begin is called once. For HEAD the loop sends the header alone.
class Response {
  public:
    virtual ~Response() = default;

    // Before the answer is started. Replaces an earlier header of that name, except Set-Cookie, which adds.
    // Control characters in value are an internal error.
    virtual void setHeader(std::string_view name, std::string_view value) = 0;

    virtual void send(int status, std::string_view contentType, std::string_view body) = 0;
    // No body: 204, 304, 201 with Location and so on.
    virtual void sendEmpty(int status) = 0;
    // A streamed body of exactly length bytes, or of unknown length (chunked coding) when nullopt. Fewer bytes written
    // than announced, or an exception, make the loop cut the connection, so that the client sees the truncation.
    // The header leaves with the first bytes: an exception before them still becomes a problem answer, without the
    // headers that were set (but for Content-Range). The writer lives as long as the Response.
    virtual BodyWriter& begin(int status, std::string_view contentType, std::optional<std::uint64_t> length) = 0;

    // Whether the client has closed the connection, asked without waiting: for a handler that waits for something else.
    [[nodiscard]] virtual bool clientGone() const = 0;

    [[nodiscard]] virtual bool started() const = 0;
    [[nodiscard]] virtual int status() const = 0;  // 0 before start
};

}  // namespace chunkvault::http
