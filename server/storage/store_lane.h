// The threads that work on one store, so that a store that hangs holds its own threads only, and little memory.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace chunkvault::server {

// Thread-safe. Threads are made when first needed and kept.
class StoreLane {
  public:
    class Task;

    // Runs at most maxThreads tasks at once, and begins none that would bring the bytes of the running ones above
    // maxBytes, unless it runs alone.
    StoreLane(std::size_t maxThreads, std::size_t maxBytes);
    // Drops what has not begun and waits for what has.
    ~StoreLane();
    StoreLane(const StoreLane&) = delete;
    StoreLane& operator=(const StoreLane&) = delete;

    // Queues work, first come first served. It must not throw, and is destroyed as soon as it has run or been dropped.
    std::shared_ptr<Task> run(std::size_t bytes, std::function<void()> work);
    // Nobody waits for task any more: it is dropped if it has not begun, else the lane is stuck until it ends.
    void abandon(const std::shared_ptr<Task>& task);
    // A task that was given up still runs: the store hangs, or is too slow to be waited for.
    [[nodiscard]] bool stuck() const { return overdue_ > 0; }
    // Tasks running and waiting.
    [[nodiscard]] std::size_t load() const { return load_; }

  private:
    void work();

    const std::size_t maxThreads_;
    const std::size_t maxBytes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Task>> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    std::size_t running_ = 0;
    std::size_t runningBytes_ = 0;
    bool ending_ = false;
    // Changed under mutex_, but read without it: every read of a chunk asks each store.
    std::atomic<std::size_t> load_ = 0;
    std::atomic<std::size_t> overdue_ = 0;
};

}  // namespace chunkvault::server
