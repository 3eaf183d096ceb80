// A clock that stands still until a test moves it.
#pragma once

#include <atomic>

#include "common/wire/timestamp.h"

namespace chunkvault::test {

// Thread-safe. Must outlive every Clock that it gave out.
class ManualClock {
  public:
    explicit ManualClock(Timestamp start = 1'800'000'000 * secondUs) : now_(start) {}  // in January 2027
    ManualClock(const ManualClock&) = delete;
    ManualClock& operator=(const ManualClock&) = delete;

    [[nodiscard]] Timestamp now() const { return now_; }
    void set(Timestamp time) { now_ = time; }
    void advance(Timestamp durationUs) { now_ += durationUs; }

    [[nodiscard]] Clock clock() {
        return [this] { return now(); };
    }

  private:
    std::atomic<Timestamp> now_;
};

}  // namespace chunkvault::test
