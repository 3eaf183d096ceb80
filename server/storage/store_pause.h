// For how long a store that could not be reached is passed over.
#pragma once

#include <chrono>
#include <mutex>

namespace chunkvault::server {

// Thread-safe. A store fails with the first call that does not reach it, for longer and longer each time that somebody
// tries it again in vain, and is well with the first that does.
class StorePause {
  public:
    using Time = std::chrono::steady_clock::time_point;

    StorePause(std::chrono::milliseconds first, std::chrono::milliseconds longest) : first_(first), longest_(longest) {}

    [[nodiscard]] bool lasts(Time now) const;
    // Somebody begins a call. Where a pause has ended, he is the one who tries: the others wait for what he finds.
    void trying(Time now);
    void reached();
    void failed(Time now);

  private:
    const std::chrono::milliseconds first_, longest_;
    mutable std::mutex mutex_;
    std::chrono::milliseconds pause_{0};  // 0: it is well
    Time until_;
};

}  // namespace chunkvault::server
