#include "worker/jobs/throttle.h"

#include <algorithm>

namespace chunkvault::worker {

Throttle::Throttle(std::int64_t bytesPerS) : bytesPerS_(bytesPerS), available_(static_cast<double>(bytesPerS)) {}

void Throttle::take(std::int64_t bytes) {
    if (bytesPerS_ <= 0) return;
    const Time now = std::chrono::steady_clock::now();
    const auto wait = reserve(bytes, now);
    if (wait.count() <= 0) return;
    std::unique_lock lock(mutex_);
    stopped_.wait_until(lock, now + wait, [&] { return stopping_; });
}

void Throttle::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stopped_.notify_all();
}

std::chrono::nanoseconds Throttle::reserve(std::int64_t bytes, Time now) {
    if (bytesPerS_ <= 0) return {};
    const std::lock_guard lock(mutex_);
    const auto rate = static_cast<double>(bytesPerS_);
    if (filledAt_ != Time{}) {
        const double seconds = std::chrono::duration<double>(now - filledAt_).count();
        available_ = std::min(rate, available_ + std::max(seconds, 0.0) * rate);
    }
    filledAt_ = std::max(now, filledAt_);
    available_ -= static_cast<double>(bytes);
    if (available_ >= 0) return {};
    return std::chrono::nanoseconds(static_cast<std::int64_t>(-available_ / rate * 1e9));
}

}  // namespace chunkvault::worker
