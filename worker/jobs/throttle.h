// How many bytes a second background copies may move, so that people's own transfers stay quick.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace chunkvault::worker {

// A token bucket (RFC 2697 section 3 with one colour) that holds a second's worth. Thread-safe.
class Throttle {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // bytesPerS 0: no limit.
    explicit Throttle(std::int64_t bytesPerS);

    // Waits until bytes may be moved; returns at once after stop().
    void take(std::int64_t bytes);
    void stop();
    [[nodiscard]] std::int64_t bytesPerS() const { return bytesPerS_; }

    // Takes bytes at the given time, whatever is there: how long the taker has to wait before it moves them.
    [[nodiscard]] std::chrono::nanoseconds reserve(std::int64_t bytes, Time now);

  private:
    const std::int64_t bytesPerS_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    double available_;  // bytes; below zero: promised to takers that wait
    Time filledAt_{};
};

}  // namespace chunkvault::worker
