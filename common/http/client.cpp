#include "common/http/client.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/client_socket.h"
#include "common/http/input_buffer.h"
#include "common/http/patience.h"
#include "common/http/request_body.h"
#include "common/http/request_head.h"
#include "common/http/response_head.h"

namespace chunkvault::http {

namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;
using std::chrono::nanoseconds;

// What is sent at once, so that an answer that comes early is seen in time.
constexpr std::size_t sendStepBytes = 256 << 10;
// Smaller pieces of a body are gathered before they are sent.
constexpr std::size_t gatherBytes = 64 << 10;

// Until a moment, and with something moving within every so long.
class Deadline final : public Patience {
  public:
    Deadline(TimePoint end, nanoseconds stallTimeout)
        : end_(end), stallTimeout_(stallTimeout), movedAt_(SteadyClock::now()) {}

    [[nodiscard]] nanoseconds left() const override {
        const TimePoint now = SteadyClock::now();
        return std::max(std::min(end_ - now, movedAt_ + stallTimeout_ - now), nanoseconds(0));
    }
    [[nodiscard]] bool waited(nanoseconds) override { return left().count() > 0; }
    void moved(std::size_t) override { movedAt_ = SteadyClock::now(); }

  private:
    TimePoint end_;
    nanoseconds stallTimeout_;
    TimePoint movedAt_;
};

Error unavailable(const ServerAddress& address, const std::string& what) {
    return Error(ErrorCode::unavailable, "Another part of the system cannot be reached now. Try again later.",
                 address.authority() + ": " + what);
}

[[noreturn]] void refuseUrl(std::string_view url, const char* why) {
    throw Error(ErrorCode::invalidValue, "\"" + std::string(url) + "\" " + why);
}

}  // namespace

ServerAddress ServerAddress::parse(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    if (url.starts_with("https://"))
        refuseUrl(url, "is an https address: the programs of a cluster speak plain http to each other. Use http://.");
    if (!url.starts_with(scheme)) refuseUrl(url, "is not an address like http://host:8000.");
    std::string_view rest = url.substr(scheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    ServerAddress address{.host = {}, .port = 80};
    std::size_t hostEnd = rest.find(':');
    if (rest.starts_with('[')) {
        hostEnd = rest.find(']');
        if (hostEnd == std::string_view::npos) refuseUrl(url, "has a '[' without its ']'.");
        address.host = rest.substr(1, hostEnd - 1);
        rest.remove_prefix(hostEnd + 1);
    } else {
        address.host = rest.substr(0, hostEnd);
        rest.remove_prefix(address.host.size());
    }
    if (address.host.empty() || !std::ranges::all_of(address.host, [](char c) {
            return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == ':';
        }))
        refuseUrl(url, "is not an address like http://host:8000: only a host and a port belong there.");
    if (rest.empty()) return address;
    rest.remove_prefix(1);
    const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), address.port);
    if (failure != std::errc() || end != rest.data() + rest.size() || address.port == 0)
        refuseUrl(url, "has no port from 1 to 65535 after its host.");
    return address;
}

std::string ServerAddress::authority() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::optional<std::string_view> ClientAnswer::header(std::string_view name) const {
    for (const Header& h : headers)
        if (equalsIgnoringCase(h.name, name)) return h.value;
    return std::nullopt;
}

class Client::Connection {
  public:
    Connection(const ServerAddress& address, const ClientOptions& options, TimePoint end)
        : address_(address), options_(options), socket_(connect(end), nullptr) {}

    struct Outcome {
        std::optional<ClientAnswer> answer;  // nullopt: the connection had been closed before anything of one came
        bool reusable = false;
    };
    [[nodiscard]] Outcome exchange(const ClientRequest& request, TimePoint end);

    // Nothing may come while nothing was asked: it is the server's end of the connection.
    [[nodiscard]] bool quiet() { return input_.empty() && !socket_.awaitInput(nanoseconds(0)); }
    void park() {
        input_.release();
        idleSince_ = SteadyClock::now();
    }
    [[nodiscard]] bool fresh() const { return SteadyClock::now() - idleSince_ < options_.idleTimeout; }

  private:
    [[nodiscard]] Poco::Net::StreamSocket connect(TimePoint end) const;
    // False: the connection cannot take more; an answer may have come all the same.
    [[nodiscard]] bool send(const ClientRequest& request, Deadline& patience);
    [[nodiscard]] bool write(std::string_view head, std::string_view body, Deadline& patience);
    // nullopt: the connection ended before the first byte.
    [[nodiscard]] std::optional<ResponseHead> readHead(const ClientRequest& request, TimePoint end);
    [[nodiscard]] std::size_t read(std::span<char> buffer, Patience& patience);
    void readBody(const ClientRequest& request, ResponseHead& head, TimePoint end, ClientAnswer& answer);

    const ServerAddress& address_;
    const ClientOptions& options_;
    ClientSocket socket_;
    InputBuffer input_;
    TimePoint idleSince_;
};

Poco::Net::StreamSocket Client::Connection::connect(TimePoint end) const try {
    const nanoseconds left = std::min<nanoseconds>(options_.connectTimeout, end - SteadyClock::now());
    const auto us = std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(left).count(), 1);
    Poco::Net::StreamSocket socket;
    socket.connect(Poco::Net::SocketAddress(address_.host, address_.port), Poco::Timespan(us));
    socket.setNoDelay(true);
    return socket;
} catch (const Poco::Exception& error) {
    throw unavailable(address_, "cannot connect: " + error.displayText());
}

Client::Connection::Outcome Client::Connection::exchange(const ClientRequest& request, TimePoint end) {
    Deadline patience(end, request.timeouts.stall);
    const bool sent = send(request, patience);
    auto head = readHead(request, end);
    if (!head) return {};
    ClientAnswer answer;
    answer.status = head->status;
    const bool keepAlive = head->keepAlive;
    readBody(request, *head, end, answer);
    answer.headers = std::move(head->headers);
    return {std::move(answer), sent && keepAlive && input_.empty()};
}

bool Client::Connection::send(const ClientRequest& request, Deadline& patience) {
    std::size_t bodyBytes = 0;
    for (const std::string_view piece : request.body) bodyBytes += piece.size();
    std::string pending;
    pending.reserve(1024);
    pending.append(toString(request.method)).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
    pending.append(address_.authority()).append("\r\n");
    for (const Header& header : request.headers)
        pending.append(header.name).append(": ").append(header.value).append("\r\n");
    if (bodyBytes > 0 || request.method == Method::post || request.method == Method::put)
        pending.append("Content-Length: ").append(std::to_string(bodyBytes)).append("\r\n");
    pending += "\r\n";

    for (std::string_view piece : request.body) {
        if (pending.size() + piece.size() <= gatherBytes) {
            pending += piece;
            continue;
        }
        while (!piece.empty()) {
            const std::string_view step = piece.substr(0, sendStepBytes);
            if (!write(pending, step, patience)) return false;
            pending.clear();
            piece.remove_prefix(step.size());
            if (socket_.awaitInput(nanoseconds(0))) return false;
        }
    }
    return pending.empty() || write(pending, {}, patience);
}

bool Client::Connection::write(std::string_view head, std::string_view body, Deadline& patience) {
    try {
        socket_.write(head, body, patience);
        return true;
    } catch (const Error&) {
        if (patience.left().count() == 0) throw unavailable(address_, "it took the request too slowly");
        return false;
    }
}

std::optional<ResponseHead> Client::Connection::readHead(const ClientRequest& request, TimePoint end) {
    Deadline patience(std::min(end, SteadyClock::now() + request.timeouts.answer), request.timeouts.answer);
    HeadScanner scanner;
    try {
        for (;;) {
            const auto length = scanner.find(input_.view());
            if (length.value_or(input_.view().size()) > options_.maxHeaderBytes)
                throw unavailable(address_, "the header of its answer is too large");
            if (length) {
                ResponseHead head = parseResponseHead(input_.view().substr(0, *length));
                input_.consume(*length);
                return head;
            }
            const std::size_t count = read(input_.room(), patience);
            if (count == 0 && input_.empty()) return std::nullopt;
            if (count == 0) throw unavailable(address_, "its answer ended in the header");
            input_.filled(count);
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::badRequest) throw;
        throw unavailable(address_, "what it sent is no answer: " + error.publicMessage());
    }
}

std::size_t Client::Connection::read(std::span<char> buffer, Patience& patience) {
    try {
        return socket_.read(buffer, patience);
    } catch (const Error&) {
        throw unavailable(address_, "no answer came in time");
    }
}

void Client::Connection::readBody(const ClientRequest& request, ResponseHead& head, TimePoint end,
                                  ClientAnswer& answer) {
    if (request.method == Method::head || head.status == 204 || head.status == 304) return;
    const bool direct = head.status == 200 && !request.into.empty();
    const std::size_t limit = direct ? request.into.size() : request.maxBodyBytes;
    const auto throwTooLarge = [&] {
        throw Error(ErrorCode::payloadTooLarge, "Another part of the system gave a wrong answer.",
                    address_.authority() + ": its answer is longer than " + std::to_string(limit) + " bytes");
    };
    if (head.contentLength.value_or(0) > limit) throwTooLarge();
    // The framing of bodies is the same in both directions.
    RequestHead framing;
    framing.contentLength = head.contentLength;
    framing.chunked = head.chunked;
    Deadline patience(end, request.timeouts.stall);
    RequestBody body(framing, socket_, input_);
    body.allow(limit, patience);
    try {
        if (direct) {
            answer.intoBytes = body.readFull(request.into);
            char none = 0;
            if (!body.ended() && body.read({&none, 1}) > 0) throwTooLarge();
        } else {
            answer.body = body.readAll(limit);
        }
    } catch (const Error& error) {
        if (error.code() == ErrorCode::payloadTooLarge) throwTooLarge();
        throw unavailable(address_, error.code() == ErrorCode::requestTimeout
                                        ? "its answer came too slowly"
                                        : "its answer ended early or is malformed");
    }
}

Client::Client(ServerAddress address, ClientOptions options)
    : address_(std::move(address)), options_(std::move(options)) {}

Client::~Client() = default;

ClientAnswer Client::ask(const ClientRequest& request) {
    const TimePoint end = SteadyClock::now() + request.timeouts.whole;
    std::unique_ptr<Connection> connection = takeIdle();
    const bool kept = connection != nullptr;
    if (!kept) connection = std::make_unique<Connection>(address_, options_, end);
    auto outcome = connection->exchange(request, end);
    if (!outcome.answer && kept) {
        connection = std::make_unique<Connection>(address_, options_, end);
        outcome = connection->exchange(request, end);
    }
    if (!outcome.answer) throw unavailable(address_, "it closed the connection without an answer");
    if (outcome.reusable) keep(std::move(connection));
    return std::move(*outcome.answer);
}

std::size_t Client::idle() const {
    const std::lock_guard lock(mutex_);
    return idle_.size();
}

std::unique_ptr<Client::Connection> Client::takeIdle() {
    for (;;) {
        std::unique_ptr<Connection> connection;
        {
            const std::lock_guard lock(mutex_);
            if (idle_.empty()) return nullptr;
            connection = std::move(idle_.back());
            idle_.pop_back();
        }
        if (connection->fresh() && connection->quiet()) return connection;
    }
}

void Client::keep(std::unique_ptr<Connection> connection) {
    connection->park();
    std::vector<std::unique_ptr<Connection>> ended;
    const std::lock_guard lock(mutex_);
    const auto stale = std::ranges::find_if(idle_, [](const auto& one) { return one->fresh(); });
    std::move(idle_.begin(), stale, std::back_inserter(ended));
    idle_.erase(idle_.begin(), stale);
    if (idle_.size() < options_.maxIdle) idle_.push_back(std::move(connection));
}

}  // namespace chunkvault::http
