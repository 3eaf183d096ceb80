#include "common/http/connection.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "common/error/error.h"
#include "common/http/patience.h"
#include "common/http/percent.h"
#include "common/http/small_thread.h"

namespace chunkvault::http {

namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

// Between requests that follow each other closely the buffers stay; who is idle for longer costs only its socket.
constexpr std::chrono::milliseconds settleTime = 1s;
constexpr std::chrono::milliseconds lingerTime = 2s;

// The generator of Steele, Lea and Flood (SplitMix64): request ids must be unlike each other, not secret.
std::uint64_t nextRandom(std::uint64_t& state) {
    std::uint64_t mixed = (state += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

const Error& serverFull() {
    static const Error error =
        Error(ErrorCode::unavailable, "The server has as many connections as it can take.").retryAfter(1);
    return error;
}

}  // namespace

Connection::Connection(const ServerContext& context, const Poco::Net::StreamSocket& socket, const IpAddress& peer,
                       SSL_CTX* tls, bool refused)
    : context_(context), socket_(socket, tls), peer_(peer), refused_(refused) {
    if (::getrandom(&idState_, sizeof idState_, 0) != sizeof idState_)
        throw Error(ErrorCode::internal, "An internal error occurred.", "no random bytes from the system");
}

void Connection::run() noexcept try {
    serve();
} catch (...) {  // Out of memory outside of any request: this connection ends, the others go on.
}

void Connection::stopWhenIdle() noexcept {
    if (idle_) socket_.endInput();
}

void Connection::serve() {
    Allowance handshakePatience(context_.options.headerTimeout);
    if (!socket_.handshake(handshakePatience)) return;
    Next next = Next::request;
    while (next == Next::request && awaitRequest()) next = serveRequest();
    if (next == Next::abandon) return;
    idle_ = true;
    socket_.close(next == Next::closeUnread || !input_.empty() ? lingerTime : 0ms);
}

bool Connection::awaitRequest() {
    idle_ = true;
    if (context_.stopping) return false;
    if (input_.empty()) {
        const auto timeout = refused_ ? lingerTime : context_.options.idleTimeout;
        const auto settle = std::min(settleTime, timeout);
        if (!socket_.awaitInput(settle)) {
            input_.release();
            releaseUnusedStack();
            if (!socket_.awaitInput(timeout - settle)) return false;
        }
    }
    idle_ = false;
    return true;
}

std::optional<std::size_t> Connection::readHead() {
    const ServerOptions& options = context_.options;
    Allowance patience(options.headerTimeout);
    HeadScanner scanner;
    for (bool emptyLineSkipped = false;;) {
        if (!emptyLineSkipped && input_.view().starts_with("\r\n")) {
            // RFC 9112 section 2.2: some clients send one after a body.
            input_.consume(2);
            scanner = {};
            emptyLineSkipped = true;
        }
        const std::string_view view = input_.view();
        const auto length = scanner.find(view);
        if (!scanner.requestLineSeen() && view.size() > options.maxTargetBytes + 64)
            throw Error(ErrorCode::uriTooLong, "The request target is too long: at most " +
                                                   std::to_string(options.maxTargetBytes) + " bytes.");
        if (length.value_or(view.size()) > options.maxHeaderBytes)
            throw Error(ErrorCode::headersTooLarge, "The request header is too large: at most " +
                                                        std::to_string(options.maxHeaderBytes) + " bytes.");
        if (length) return length;
        const std::size_t count = socket_.read(input_.room(), patience);
        if (count == 0) {
            if (view.empty() || context_.stopping) return std::nullopt;
            throw Error(ErrorCode::badRequest, "The request header ended early.");
        }
        input_.filled(count);
    }
}

Connection::Next Connection::serveRequest() {
    const ServerOptions& options = context_.options;
    RequestHead head;
    std::optional<Error> refusal;
    try {
        const auto length = readHead();
        if (!length) return Next::abandon;
        head = parseRequestHead(input_.view().substr(0, *length), options.maxTargetBytes);
        input_.consume(*length);
        if (refused_) refusal = serverFull();
    } catch (const Error& error) {
        refusal = error;
    }
    const auto begin = SteadyClock::now();
    const bool wantsKeepAlive = head.keepAlive && !refusal;
    RequestBody body(head, socket_, input_);
    Request request = makeRequest(head, body);
    TransferPace pace(options.stallTimeout, options.minBytesPerS);
    ResponseWriter response(socket_, pace,
                            {.requestId = request.requestId,
                             .date = date(),
                             .head = request.method == Method::head,
                             .http11 = head.http11,
                             .keepAliveNamed = !head.http11,
                             .mayKeepAlive = [&] {
                                 return wantsKeepAlive && !context_.stopping && body.drainable(options.maxDrainBytes);
                             }});
    const Route* route = nullptr;
    std::string detail;
    const auto fail = [&](const Error& error) {
        detail = error.what();
        if (response.onWire()) return;
        try {
            const bool wrongMethod = error.code() == ErrorCode::methodNotAllowed;
            response.sendProblem(error, wrongMethod ? context_.router.allowed(request.path) : "");
        } catch (const std::exception& again) {
            detail.append("; ").append(again.what());
        }
    };
    const auto failInternally = [&](const char* what) {
        fail(Error(ErrorCode::internal, "An internal error occurred.", what));
    };
    try {
        if (refusal) throw *refusal;
        dispatch(request, body, response, route);
        if (!response.finish()) failInternally("the handler's answer is missing or shorter than announced");
    } catch (const Error& error) {
        fail(error);
    } catch (const std::exception& error) {
        failInternally(error.what());
    } catch (...) {
        failInternally("an exception of unknown type");
    }
    if (context_.onExchange)
        context_.onExchange({.method = request.method,
                             .route = route == nullptr ? std::string_view() : route->pattern,
                             .status = response.onWire() ? response.status() : 0,
                             .bytesIn = body.bytesRead(),
                             .bytesOut = response.bodyBytes(),
                             .time = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begin),
                             .requestId = request.requestId,
                             .clientAddress = request.clientAddress,
                             .truncated = response.onWire() && !response.complete(),
                             .error = detail});
    if (!response.complete()) {
        if (response.endsWithConnection()) socket_.resetOnEnd();
        return Next::abandon;
    }
    Allowance drainPatience(options.bodyTimeout);
    if (response.keepAlive() && body.drain(options.maxDrainBytes, drainPatience)) return Next::request;
    return !refusal && body.ended() && input_.empty() ? Next::close : Next::closeUnread;
}

Request Connection::makeRequest(RequestHead& head, RequestBody& body) {
    Origin origin = context_.trustedProxies.origin(peer_, socket_.secure(), head.headers);
    Request request;
    request.method = head.method;
    request.target = std::move(head.target);
    request.path = std::move(head.path);
    request.clientAddress = std::move(origin.address);
    request.secure = origin.secure;
    request.requestId = origin.requestId.empty() ? newRequestId() : std::move(origin.requestId);
    request.headers = std::move(head.headers);
    request.body = &body;
    return request;
}

void Connection::dispatch(Request& request, RequestBody& body, Response& response, const Route*& route) const {
    if (request.path == "*") {
        response.setHeader("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        response.sendEmpty(204);
        return;
    }
    route = &context_.router.match(request);
    if (const std::size_t question = request.target.find('?'); question != std::string::npos)
        request.query = parseQuery(std::string_view(request.target).substr(question + 1));
    if (body.length().value_or(0) > route->maxBodyBytes)
        throw Error(ErrorCode::payloadTooLarge,
                    "The request body is too large here: at most " + std::to_string(route->maxBodyBytes) + " bytes.");
    const ServerOptions& options = context_.options;
    Allowance shortBody(options.bodyTimeout);
    TransferPace transfer(options.stallTimeout, options.minBytesPerS);
    body.allow(route->maxBodyBytes, route->transfer ? static_cast<Patience&>(transfer) : shortBody);
    route->handler(request, response);
}

std::string Connection::newRequestId() {
    std::array<char, 33> text;
    std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(nextRandom(idState_)),
                  static_cast<unsigned long long>(nextRandom(idState_)));
    return text.data();
}

std::string_view Connection::date() {
    static constexpr std::array days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (const std::time_t now = std::time(nullptr); now != dateTime_) {
        dateTime_ = now;
        std::tm utc{};
        ::gmtime_r(&now, &utc);
        std::snprintf(dateText_.data(), dateText_.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                      days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                      months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                      utc.tm_sec);
    }
    return dateText_.data();
}

}  // namespace chunkvault::http
