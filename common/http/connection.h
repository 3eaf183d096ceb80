// One connection from its first byte to its last: request after request on its own thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/http/client_socket.h"
#include "common/http/input_buffer.h"
#include "common/http/request_body.h"
#include "common/http/request_head.h"
#include "common/http/response_writer.h"
#include "common/http/server.h"
#include "common/http/trusted_proxies.h"

namespace chunkvault::http {

// What all connections of a server share; outlives them.
struct ServerContext {
    ServerContext(const Router& table, ServerOptions serverOptions, std::function<void(const Exchange&)> observer)
        : router(table),
          options(std::move(serverOptions)),
          trustedProxies(options.trustedProxies),
          onExchange(std::move(observer)) {}

    const Router& router;
    const ServerOptions options;
    const TrustedProxies trustedProxies;
    const std::function<void(const Exchange&)> onExchange;
    std::atomic<bool> stopping = false;
};

class Connection {
  public:
    // tls: null for plain connections. refused: the server is full, the first request is answered with 503.
    Connection(const ServerContext& context, const Poco::Net::StreamSocket& socket, const IpAddress& peer, SSL_CTX* tls,
               bool refused);

    // Serves until the connection ends.
    void run() noexcept;

    // From any thread, after context.stopping was set: the connection ends now if it waits for a request, else with the
    // answer it is at.
    void stopWhenIdle() noexcept;
    // From any thread: ends all reads and writes.
    void cut() noexcept { socket_.interrupt(); }

    [[nodiscard]] bool refused() const { return refused_; }

  private:
    enum class Next { request, close, closeUnread, abandon };

    void serve();
    [[nodiscard]] bool awaitRequest();
    // The length of a header block at the front of input_; nullopt when the client left without having begun one.
    [[nodiscard]] std::optional<std::size_t> readHead();
    [[nodiscard]] Next serveRequest();
    [[nodiscard]] Request makeRequest(RequestHead& head, RequestBody& body);
    // Matches and runs the handler. Sets route as soon as it is known.
    void dispatch(Request& request, RequestBody& body, Response& response, const Route*& route) const;
    [[nodiscard]] std::string newRequestId();
    [[nodiscard]] std::string_view date();

    const ServerContext& context_;
    ClientSocket socket_;
    InputBuffer input_;
    const IpAddress peer_;
    const bool refused_;
    std::atomic<bool> idle_ = true;
    std::uint64_t idState_ = 0;
    std::time_t dateTime_ = 0;
    std::array<char, 32> dateText_{};
};

}  // namespace chunkvault::http
