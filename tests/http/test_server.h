// A server on a free port with routes that show one behaviour each, and what it told about its requests.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/http/server.h"

namespace chunkvault::http::test {

struct Told {
    Method method;
    std::string route;
    int status;
    std::uint64_t bytesIn, bytesOut;
    std::string requestId, clientAddress;
    bool truncated;
    std::string error;
};

// Something a test opens when it likes, and a handler waits for.
class Gate {
  public:
    void open();
    void wait();

  private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
};

class TestServer {
  public:
    explicit TestServer(ServerOptions options = {}, std::vector<Route> more = {});
    ~TestServer();

    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    [[nodiscard]] Server& server() { return server_; }
    // The next request that was told about; throws when none is for long.
    [[nodiscard]] Told nextTold();
    // Waits until the server has that many connections; throws when it has not for long.
    void awaitConnections(std::size_t count);

    Gate entered;  // opened by GET /gate, which then waits for leave
    Gate leave;

  private:
    [[nodiscard]] std::vector<Route> routes(std::vector<Route> more);

    Router router_;
    std::mutex mutex_;
    std::condition_variable toldOne_;
    std::deque<Told> told_;
    Server server_;
};

// What GET /bytes/{count} answers with.
[[nodiscard]] std::string pattern(std::size_t count);

}  // namespace chunkvault::http::test
