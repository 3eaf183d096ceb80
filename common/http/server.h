// The connection loop: one thread a connection on Poco's public classes, with strict framing, deadlines and a bounded
// graceful stop. Knows nothing of what it serves.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/router.h"

namespace chunkvault::http {

struct ServerOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8000;  // 0: any free one, see Server::port()
    std::string tlsCert = {};   // PEM files, re-read when they change; both empty: plain HTTP
    std::string tlsKey = {};
    std::vector<std::string> trustedProxies =
        {};  // addresses or CIDR blocks whose X-Forwarded-For and -Proto are believed

    std::size_t maxConnections = 5000;  // above: 503 and close
    std::size_t maxHeaderBytes = 32 << 10;
    std::size_t maxTargetBytes = 8 << 10;
    std::chrono::milliseconds headerTimeout{10'000};  // from a request's first byte to the end of its header
    std::chrono::milliseconds idleTimeout{75'000};    // between requests
    std::chrono::milliseconds bodyTimeout{30'000};    // whole body of a route that is not a transfer
    std::chrono::milliseconds stallTimeout{30'000};   // a transfer that moves nothing for this long, either direction
    std::uint64_t minBytesPerS = 1024;                // a transfer slower than this, averaged over stallTimeout, ends
    std::size_t maxDrainBytes = 256 << 10;            // an unread body up to this is read away; a longer one closes
    std::chrono::milliseconds stopTimeout{30'000};    // running requests may finish up to this long after stop()
    std::function<void(std::string_view)> warn = {};  // what an operator should know, from any thread; null: on stderr
};

// What the loop tells about each request when it is over, for the log line and the metrics.
struct Exchange {
    Method method;
    std::string_view route;           // the pattern, or "" when none matched; never the raw path
    int status;                       // 0: the client went away before an answer was started
    std::uint64_t bytesIn, bytesOut;  // bodies
    std::chrono::microseconds time;
    std::string_view requestId, clientAddress;
    bool truncated;          // the answer could not be sent whole
    std::string_view error;  // private detail of what went wrong; empty when nothing did
};

class Server {
  public:
    // Binds at once; throws Error unavailable with a clear message when it cannot, or when certificate and key are of
    // no use, and invalidValue for a bad entry of trustedProxies. router must outlive the server. onExchange is called
    // on the connection's thread.
    Server(const Router& router, ServerOptions options, std::function<void(const Exchange&)> onExchange);
    ~Server();  // stops
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    void start();
    // Accepts no more, closes idle connections, lets running requests finish up to stopTimeout, then cuts them. Returns
    // when all threads have ended. Idempotent.
    void stop();

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] std::size_t connections() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace chunkvault::http
