// Calls that wait for a change: each on the thread of its connection, and one thread that asks the catalog for all of
// them, so that a change made by another server is seen too. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "database/catalog/changes.h"

namespace chunkvault::server {

struct WaitLimits {
    std::size_t perServer = 2500;
    std::size_t perAccount = 16;
    std::chrono::milliseconds pollEvery{500};  // while anybody waits
};

class ChangeWaiters {
  public:
    using Poll = std::function<std::vector<catalog::Changes::State>(std::span<const catalog::UserId>)>;

    using SteadyTime = std::chrono::steady_clock::time_point;

    // poll is called on a thread of its own, and may throw Error: then nothing is known until the next time.
    ChangeWaiters(Poll poll, WaitLimits limits);
    ~ChangeWaiters();
    ChangeWaiters(const ChangeWaiters&) = delete;
    ChangeWaiters& operator=(const ChangeWaiters&) = delete;

    // True: the owner's revision was not seen any more, or there were downloads to tell; look again. False: it is time,
    // stop was called, or clientGone says so, which is asked at each poll and must not wait. Throws Error
    // tooManyRequests when too many wait already.
    [[nodiscard]] bool wait(catalog::UserId owner, const catalog::Revision& seen, SteadyTime until,
                            const std::function<bool()>& clientGone);
    // Ends all waiting, also what comes later.
    void stop();

    [[nodiscard]] std::size_t waiting() const;

  private:
    struct Watched {
        std::size_t waiting = 0;
        std::uint64_t polledAt = 0;                    // the number of the poll that state is of
        std::optional<catalog::Changes::State> state;  // nullopt: there is no such user any more
    };

    void pollAll();
    void enter(catalog::UserId owner);
    void leave(catalog::UserId owner);

    const Poll poll_;
    const WaitLimits limits_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable polled_, wanted_;
    std::map<catalog::UserId, Watched> watched_;
    std::size_t waiting_ = 0;
    std::uint64_t polls_ = 0;
    bool stopped_ = false;
    std::thread poller_;  // last: it uses all the others
};

}  // namespace chunkvault::server
