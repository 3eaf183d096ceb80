// A server that does what a test wants of each connection: silence, garbage, lies.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace chunkvault::test {

class FakeServer {
  public:
    // One accepted connection, used by its thread.
    class Peer {
      public:
        Peer(int descriptor, std::size_t count) : number(count), descriptor_(descriptor) {}

        // The next request, head and body; empty at the end of the connection.
        [[nodiscard]] std::string readRequest();
        // False: the other side has closed.
        bool send(std::string_view bytes) const;
        // Until the other side, or the test, ends the connection.
        void awaitEnd();

        const std::size_t number;  // of the connection, from 0 on

      private:
        int descriptor_;
        std::string arrived_;
    };

    // serve is called on a thread of each connection's own, which is closed when it returns.
    explicit FakeServer(std::function<void(Peer&)> serve);
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] std::size_t connections() const { return accepted_; }

  private:
    void accept();

    std::function<void(Peer&)> serve_;
    int listener_;
    std::uint16_t port_ = 0;
    std::atomic<std::size_t> accepted_ = 0;
    std::mutex mutex_;
    bool ending_ = false;
    std::vector<int> open_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace chunkvault::test
