// The queue of a cluster: two Redis Streams, of what is urgent and of the rest, with a consumer group each, shared by
// all processes with the same prefix. Redis may be emptied or stopped at any moment: what waited is lost then and
// posted again by the sweeps.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "worker/queue/job_queue.h"
#include "worker/queue/redis_connection.h"

namespace chunkvault::worker {

struct RedisQueueSettings {
    RedisAddress address;
    // Of all keys. The braces keep them together in a Redis Cluster; what is within them is the vault's.
    std::string prefix = "chunkvault:{}";
    int consumers = 2;                            // threads that run jobs; 0: this process only posts
    std::size_t queued = 100'000;                 // in all processes together; more are dropped
    int tries = 5;                                // of one job; a worker that dies of it counts as one
    std::chrono::milliseconds firstBackoff{500};  // doubles with each try
    std::chrono::milliseconds lease{30'000};  // a job of this process is given to another when it is silent for so long
    std::size_t dead = 1'000;                 // more: the oldest are forgotten
    std::chrono::milliseconds block{250};     // of one wait for jobs: so long does stop() wait for an idle consumer
    RedisTimes times;                         // of the consumers
    RedisPoolLimits posting;                  // of post() and of what is asked about the queue
};

// "chunkvault:{<16 hex>}": the same for all programs of a cluster, and unlike that of any other cluster on the same
// Redis.
[[nodiscard]] std::string redisPrefix(std::string_view clusterSecret);

class RedisQueue final : public JobQueue {
  public:
    // run does one job; a throw is a failed try, unless it is JobStopped. It is called on the queue's threads. The same
    // job runs twice at once only when Redis lost it meanwhile, or its worker was silent for longer than its lease.
    // onTrouble is called when Redis cannot be used any more, with what is wrong, and with an empty text when it can
    // again; never from two threads at once, and never from post(). It must neither throw nor call the queue.
    RedisQueue(const RedisQueueSettings& settings, std::function<void(const Job&)> run,
               std::function<void(const Job&, const char* what, bool givenUp)> onFailure,
               std::function<void(const std::string& what)> onTrouble);
    ~RedisQueue() override;  // waits for the jobs that run

    void post(const Job& job) noexcept override;
    // The last number that was heard while Redis does not answer.
    [[nodiscard]] std::size_t length() const override;
    [[nodiscard]] std::vector<DeadJob> dead(int limit) const override;
    int retryDead(const std::optional<Job>& job) override;
    // Begins no more jobs, and waits for those that run.
    void stop();

    // Posts that were not kept, because Redis did not answer or too many jobs waited.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    // Why Redis cannot be used now, for the log; empty when it can.
    [[nodiscard]] std::string trouble() const;

  private:
    struct Taken {
        std::string entry;  // "1 <id>" of the urgent ones' stream, "2 <id>" of the others'
        std::string text;   // the job as it is in Redis
        int failures;
    };
    using Words = std::vector<std::string>;

    [[nodiscard]] Words script(const char* body, const Words& arguments) const;
    void consume(int number);
    void keep();
    void tend(RedisConnection& redis, bool renew);
    [[nodiscard]] std::optional<Taken> take(RedisConnection& redis);
    // At most one of each stream.
    [[nodiscard]] std::vector<Taken> read(RedisConnection& redis, const Words& what, std::chrono::milliseconds wait);
    void work(RedisConnection& redis, const Taken& taken);
    void finish(RedisConnection& redis, const char* body, const Words& arguments);
    // What thread number thinks of Redis; an empty text: all is well.
    void note(int number, const std::string& what);
    // Waits for less when flag is set meanwhile.
    void pause(std::chrono::milliseconds time, const bool& flag);
    [[nodiscard]] bool isSet(const bool& flag);

    const RedisQueueSettings settings_;
    const std::function<void(const Job&)> run_;
    const std::function<void(const Job&, const char*, bool)> onFailure_;
    const std::function<void(const std::string&)> onTrouble_;
    const std::string consumer_;  // this process's name in the group
    const Words keys_;
    mutable RedisPool pool_;
    mutable std::atomic<std::size_t> length_ = 0;
    std::atomic<std::uint64_t> dropped_ = 0;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;                       // no more jobs
    bool ending_ = false;                         // no more leases
    std::map<std::string, std::string> running_;  // entry -> job, whose leases are renewed
    mutable std::mutex troubleMutex_;
    std::map<int, std::string> troubles_;  // by the thread's number
    std::vector<std::thread> consumers_;
    std::thread keeper_;
};

}  // namespace chunkvault::worker
