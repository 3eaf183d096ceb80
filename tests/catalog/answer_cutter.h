// A line to PostgreSQL that loses the answer to a COMMIT that was carried out.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace chunkvault::catalog {

// Must outlive the connections that are made through it. Thread-safe.
class AnswerCutter {
  public:
    // In front of the server of url: "postgresql://user@127.0.0.1:port/name". Throws std::runtime_error.
    explicit AnswerCutter(const std::string& url);
    ~AnswerCutter();
    AnswerCutter(const AnswerCutter&) = delete;
    AnswerCutter& operator=(const AnswerCutter&) = delete;

    [[nodiscard]] const std::string& url() const { return url_; }
    // When the server has answered the next COMMIT, the connection is cut instead.
    void cutNextCommit() { armed_ = true; }
    [[nodiscard]] bool isArmed() const { return armed_; }

  private:
    void accept(std::uint16_t serverPort);
    void pass(int client, int server);

    std::string url_;
    int listener_;
    std::atomic<bool> armed_ = false;
    std::vector<std::jthread> connections_;  // the accepting thread's
    std::jthread accepting_;
};

}  // namespace chunkvault::catalog
