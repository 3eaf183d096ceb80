#include "common/http/connection.h"

#include <exception>

#include <openssl/rand.h>

#include "common/error/error.h"
#include "common/http/percent.h"

namespace chunkvault::http {

namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds lingerTime{1};

IpAddress addressOf(const Poco::Net::StreamSocket& socket) {
    return IpAddress::parse(socket.peerAddress().host().toString()).value_or(IpAddress());
}

}  // namespace

Connection::Connection(const ServerContext& context, Poco::Net::StreamSocket socket, SSL_CTX* tls, bool refused)
    : context_(context), socket_(socket, tls), peer_(addressOf(socket)), refused_(refused) {
    RAND_bytes(reinterpret_cast<unsigned char*>(idState_.data()), static_cast<int>(sizeof idState_));
}

void Connection::run() noexcept {
    try {
        Allowance patience(context_.options.headerTimeout);
        if (!socket_.handshake(patience)) return;
        if (refused_) {
            const std::string id = nextRequestId();
            ResponseWriter response(socket_, patience, {.requestId = id, .date = date(), .mayKeepAlive = [] { return false; }});
            response.sendProblem(Error(ErrorCode::unavailable, "The server has as many connections as it can take. Try again in a moment.").retryAfter(5), {});
        } else {
            while (awaitRequest() && serveOne()) {}
        }
        socket_.close(lingerTime);
    } catch (const std::exception&) {  // the client is gone, or memory is: either way the connection ends
        socket_.resetOnEnd();
    }
}

void Connection::stopWhenIdle() noexcept {
    if (idle_) socket_.endInput();
}

bool Connection::awaitRequest() {
    if (!input_.empty()) return !context_.stopping;
    input_.release();
    idle_ = true;
    const bool arrived = !context_.stopping && socket_.awaitInput(context_.options.idleTimeout);
    idle_ = false;
    return arrived;
}

bool Connection::readHead(Patience& patience, HeadScanner& scanner, std::size_t& headBytes) {
    for (;;) {
        const std::string_view arrived = input_.view();
        if (const auto found = scanner.find(arrived)) headBytes = *found;
        if (headBytes > context_.options.maxHeaderBytes || (headBytes == 0 && arrived.size() > context_.options.maxHeaderBytes)) {
            if (!scanner.requestLineSeen()) throw Error(ErrorCode::uriTooLong, "The request line is too long.");
            throw Error(ErrorCode::headersTooLarge, "The request's header is too large: at most " +
                                                        std::to_string(context_.options.maxHeaderBytes) + " bytes.");
        }
        if (headBytes > 0) return true;
        const std::size_t count = socket_.read(input_.room(), patience);
        if (count == 0) {
            if (input_.empty()) return false;
            throw Error(ErrorCode::badRequest, "The request's header ended early.");
        }
        input_.filled(count);
    }
}

bool Connection::serveOne() {
    const auto began = steady_clock::now();
    Allowance headPatience(context_.options.headerTimeout);
    TransferPace answerPace(context_.options.stallTimeout, context_.options.minBytesPerS);
    HeadScanner scanner;
    std::size_t headBytes = 0;
    RequestHead head;
    Request request;
    std::optional<Error> headError;
    try {
        if (!readHead(headPatience, scanner, headBytes)) return false;
        head = parseRequestHead(input_.view().substr(0, headBytes), context_.options.maxTargetBytes);
        input_.consume(headBytes);
    } catch (const Error& error) {
        headError = error;
        head = RequestHead{};
    }

    Origin origin = context_.trustedProxies.origin(peer_, socket_.secure(), head.headers);
    request.method = head.method;
    request.target = std::move(head.target);
    request.path = std::move(head.path);
    request.headers = std::move(head.headers);
    request.clientAddress = std::move(origin.address);
    request.secure = origin.secure;
    request.requestId = origin.requestId.empty() ? nextRequestId() : std::move(origin.requestId);

    RequestBody body(head, socket_, input_);
    ResponseWriter response(socket_, answerPace,
                            {.requestId = request.requestId,
                             .date = date(),
                             .head = request.method == Method::head,
                             .http11 = head.http11,
                             .keepAliveNamed = !head.http11,
                             .mayKeepAlive = [&] {
                                 return !headError && head.keepAlive && !context_.stopping &&
                                        body.drainable(context_.options.maxDrainBytes);
                             }});
    const Route* route = nullptr;
    Allowance bodyAllowance(context_.options.bodyTimeout);
    TransferPace bodyPace(context_.options.stallTimeout, context_.options.minBytesPerS);
    std::optional<Error> failure = headError;
    std::string detail;
    try {
        if (!failure) {
            request.query = parseQuery(head.query);
            request.body = &body;
            route = &context_.router.match(request);
            if (body.length().value_or(0) > route->maxBodyBytes)
                throw Error(ErrorCode::payloadTooLarge,
                            "The request body is too large here: at most " + std::to_string(route->maxBodyBytes) + " bytes.");
            body.allow(route->maxBodyBytes, route->transfer ? static_cast<Patience&>(bodyPace) : bodyAllowance);
            route->handler(request, response);
            if (!response.finish()) throw Error(ErrorCode::internal, "An internal error occurred.", "the answer is shorter than announced");
        }
    } catch (const Error& error) {
        failure = error;
    } catch (const std::exception& error) {
        failure = Error(ErrorCode::internal, "An internal error occurred.", error.what());
    }
    if (failure) {
        detail = failure->privateDetail();
        try {
            if (!response.onWire()) {
                const std::string allow = failure->code() == ErrorCode::methodNotAllowed ? context_.router.allowed(request.path) : "";
                response.sendProblem(*failure, allow);
            }
        } catch (const Error& error) {
            if (detail.empty()) detail = error.privateDetail();
        }
    }
    const bool whole = response.complete();
    if (context_.onExchange)
        context_.onExchange({.method = request.method,
                             .route = route == nullptr ? std::string_view() : std::string_view(route->pattern),
                             .status = response.onWire() ? response.status() : 0,
                             .bytesIn = body.bytesRead(),
                             .bytesOut = response.bodyBytes(),
                             .time = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began),
                             .requestId = request.requestId,
                             .clientAddress = request.clientAddress,
                             .truncated = !whole,
                             .error = detail});
    if (!whole) {
        socket_.resetOnEnd();
        throw Error(ErrorCode::unavailable, "The answer could not be sent whole.");
    }
    if (!response.keepAlive()) return false;
    Allowance drainAllowance(context_.options.bodyTimeout);
    return body.drain(context_.options.maxDrainBytes, drainAllowance);
}

std::string Connection::nextRequestId() {
    // xorshift128+ seeded from the system's generator: ids need to be distinct, not secret.
    static constexpr char digits[] = "0123456789abcdef";
    std::string id(32, '0');
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint64_t x = idState_[0];
        const std::uint64_t y = idState_[1];
        idState_[0] = y;
        x ^= x << 23;
        idState_[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
        std::uint64_t value = idState_[1] + y;
        for (std::size_t i = 0; i < 16; ++i, value >>= 4) id[half * 16 + i] = digits[value & 15];
    }
    return id;
}

std::string_view Connection::date() {
    const std::time_t now = std::time(nullptr);
    if (now != dateOf_) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        std::strftime(date_.data(), date_.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        dateOf_ = now;
    }
    return date_.data();
}

}  // namespace chunkvault::http
