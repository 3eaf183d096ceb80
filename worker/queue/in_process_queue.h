// The queue of the embedded server: threads of this process.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "worker/queue/job_queue.h"

namespace chunkvault::worker {

struct InProcessLimits {
    int threads = 2;
    std::size_t queued = 10'000;                  // more are dropped; the sweeps find them again
    int tries = 5;                                // of one job
    std::chrono::milliseconds firstBackoff{500};  // doubles with each try
    std::size_t dead = 1'000;                     // more: the oldest are forgotten
    Clock clock = systemNow;                      // for DeadJob::since
};

class InProcessQueue final : public JobQueue {
  public:
    // run does one job; a throw is a failed try, unless it is JobStopped. It is called on the queue's threads, never
    // for the same job at once.
    InProcessQueue(const InProcessLimits& limits, std::function<void(const Job&)> run,
                   std::function<void(const Job&, const char* what, bool givenUp)> onFailure);
    ~InProcessQueue() override;  // waits for the jobs that run

    void post(const Job& job) noexcept override;
    [[nodiscard]] std::size_t length() const override;
    [[nodiscard]] std::vector<DeadJob> dead(int limit) const override;
    int retryDead(const std::optional<Job>& job) override;
    // Begins no more jobs, and waits for those that run.
    void stop();

    // Returns when nothing waits or runs, or timeout has passed: false then.
    [[nodiscard]] bool waitIdle(std::chrono::milliseconds timeout);

  private:
    using Time = std::chrono::steady_clock::time_point;
    struct Waiting {
        Job job;
        int failures;
    };
    void add(const Job& job);
    void work();
    void enqueue(Time begin, const Waiting& job);
    // The job to do now; nullopt when none may begin yet, and then when the next one may.
    [[nodiscard]] std::optional<Waiting> takeDue(std::optional<Time>& next);
    void finish(const Waiting& done, const char* failure);
    void forgetDead(const Job& job);

    const InProcessLimits limits_;
    const std::function<void(const Job&)> run_;
    const std::function<void(const Job&, const char*, bool)> onFailure_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::multimap<Time, Waiting> urgent_, others_;  // that wait, by when they may begin
    std::set<Job> known_;                           // waiting or running
    std::set<Job> again_;                           // posted while they ran
    std::deque<DeadJob> dead_;                      // newest first
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace chunkvault::worker
