// One connection from its first byte to its last: request after request on its own thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>

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
    const Router& router;
    const ServerOptions options;
    const TrustedProxies trustedProxies;
    const std::function<void(const Exchange&)> onExchange;
    std::atomic<bool> stopping = false;
};

class Connection {
  public:
    // refused: the server is full, the first request is answered with 503.
    Connection(const ServerContext& context, Poco::Net::StreamSocket socket, SSL_CTX* tls, bool refused);

    // Serves until the connection ends.
    void run() noexcept;

    // From any thread: ends the connection now if it waits for a request, else with the answer it is at.
    void stopWhenIdle() noexcept;
    // From any thread: ends all reads and writes.
    void cut() noexcept { socket_.interrupt(); }

  private:
    [[nodiscard]] bool awaitRequest();
    // False: the client has gone without having begun a request.
    [[nodiscard]] bool readHead(Patience& patience, HeadScanner& scanner, std::size_t& headBytes);
    // False: the connection ends.
    [[nodiscard]] bool serveOne();
    [[nodiscard]] std::string nextRequestId();
    [[nodiscard]] std::string_view date();

    const ServerContext& context_;
    ClientSocket socket_;
    InputBuffer input_;
    IpAddress peer_;
    std::array<std::uint64_t, 2> idState_;
    std::time_t dateOf_ = 0;
    std::array<char, 32> date_{};
    const bool refused_;
    std::atomic<bool> idle_ = true;
};

}  // namespace chunkvault::http
