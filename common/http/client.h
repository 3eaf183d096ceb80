// An HTTP/1.1 client for one server, over connections that are kept: what programs of the house ask each other with.
// Plain connections only. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.h"

namespace chunkvault::http {

// Where a server is: "http://host:port".
struct ServerAddress {
    std::string host;  // without the brackets of an IPv6 address
    std::uint16_t port;

    // Throws Error invalidValue, naming what is wrong: https, a path, a user, no host, a bad port. Without a port: 80.
    [[nodiscard]] static ServerAddress parse(std::string_view url);
    [[nodiscard]] std::string authority() const;  // "host:port", as in the Host header
};

struct ClientOptions {
    std::chrono::milliseconds connectTimeout{2'000};  // a name's look-up comes on top
    // A connection that was not used for so long is not used again. Shorter than the server's own idle timeout, so that
    // it is seldom used while the server closes it.
    std::chrono::milliseconds idleTimeout{30'000};
    std::size_t maxIdle = 32;  // connections kept; more may be in use
    std::size_t maxHeaderBytes = 16 << 10;
};

struct ClientTimeouts {
    std::chrono::milliseconds answer{5'000};   // from the request's last byte to the answer's first
    std::chrono::milliseconds stall{10'000};   // nothing moves, in either direction
    std::chrono::milliseconds whole{120'000};  // everything, connecting included
};

struct ClientRequest {
    Method method = Method::get;
    std::string_view target;                      // "/chunks?prefix=ab"
    std::vector<Header> headers = {};             // without Host and Content-Length
    std::span<const std::string_view> body = {};  // pieces, sent one after another
    ClientTimeouts timeouts = {};
    std::span<char> into = {};            // gets the body of an answer with status 200, if not empty
    std::size_t maxBodyBytes = 64 << 10;  // of every other body
};

struct ClientAnswer {
    int status = 0;
    std::vector<Header> headers;
    std::string body;           // unless it went to ClientRequest::into
    std::size_t intoBytes = 0;  // how much went there

    // The first value; nullopt when absent.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

class Client {
  public:
    explicit Client(ServerAddress address, ClientOptions options = {});
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Whatever the status is, the answer is given as a value. Asks once more when a kept connection turns out to be
    // closed before anything of an answer came. An answer that comes before all of the request was sent counts.
    // Throws Error unavailable: cannot connect, too slow, the connection broke, or what came is no answer; and
    // payloadTooLarge: the answer's body is longer than into or maxBodyBytes. What happened is the private detail.
    [[nodiscard]] ClientAnswer ask(const ClientRequest& request);

    [[nodiscard]] const ServerAddress& address() const { return address_; }
    // Connections kept now.
    [[nodiscard]] std::size_t idle() const;

  private:
    class Connection;

    [[nodiscard]] std::unique_ptr<Connection> takeIdle();
    void keep(std::unique_ptr<Connection> connection);

    const ServerAddress address_;
    const ClientOptions options_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Connection>> idle_;  // the one used last is the last
};

}  // namespace chunkvault::http
