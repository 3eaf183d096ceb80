// Works that arrive while others commit wait, and the first of them runs all of them in one transaction: one sync of
// the log for many. Private to database/catalog. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "database/catalog/session.h"

namespace chunkvault::catalog {

class SharedCommits {
  public:
    struct Work {
        const std::function<void(Session&)>& run;
        std::exception_ptr error;  // what became of it
    };
    // runBatch runs works, at least one and in order, and sets the error of those that did not happen. It is called by
    // one thread at a time, and does not throw.
    using RunBatch = std::function<void(std::vector<Work*> works)>;

    // waitTimeout: for the batch that runs when a work arrives.
    SharedCommits(std::chrono::milliseconds waitTimeout, RunBatch runBatch)
        : waitTimeout_(waitTimeout), runBatch_(std::move(runBatch)) {}
    SharedCommits(const SharedCommits&) = delete;
    SharedCommits& operator=(const SharedCommits&) = delete;

    // Returns when work is committed, by this thread or another; throws its error.
    void run(const std::function<void(Session&)>& work);

  private:
    // Lives on the stack of the thread that wants its work done.
    struct Pending {
        enum class State {
            queued,
            taken,    // in the batch that runs now
            leading,  // its thread runs the batches
            done,
        };
        Work work;
        State state;
        std::condition_variable wake;
    };

    void lead(std::unique_lock<std::mutex>& lock, Pending& mine);

    const std::chrono::milliseconds waitTimeout_;
    const RunBatch runBatch_;
    std::mutex mutex_;
    std::deque<Pending*> queue_;
    bool leading_ = false;  // a thread runs a batch, or has been told to
};

}  // namespace chunkvault::catalog
