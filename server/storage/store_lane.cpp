#include "server/storage/store_lane.h"

#include <algorithm>
#include <utility>

namespace chunkvault::server {

// Every member belongs to the lane's mutex.
class StoreLane::Task {
  public:
    Task(std::size_t bytesHeld, std::function<void()> toDo) : bytes(bytesHeld), work(std::move(toDo)) {}

    const std::size_t bytes;
    std::function<void()> work;
    enum { queued, running, done } state = queued;
    bool overdue = false;
};

StoreLane::StoreLane(std::size_t maxThreads, std::size_t maxBytes) : maxThreads_(maxThreads), maxBytes_(maxBytes) {}

StoreLane::~StoreLane() {
    std::deque<std::shared_ptr<Task>> dropped;
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        dropped.swap(queue_);
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

std::shared_ptr<StoreLane::Task> StoreLane::run(std::size_t bytes, std::function<void()> work) {
    auto task = std::make_shared<Task>(bytes, std::move(work));
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(task);
        ++load_;
        if (idle_ < queue_.size() && threads_.size() < maxThreads_) threads_.emplace_back([this] { this->work(); });
    }
    changed_.notify_one();
    return task;
}

void StoreLane::abandon(const std::shared_ptr<Task>& task) {
    std::function<void()> dropped;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    if (task->state == Task::queued && std::erase(queue_, task) > 0) {
        dropped = std::move(task->work);
        task->state = Task::done;
        --load_;
        changed_.notify_one();  // it may have been too large to begin, and the next one is not
    } else if (task->state == Task::running && !task->overdue) {
        task->overdue = true;
        ++overdue_;
    }
}

void StoreLane::work() {
    std::unique_lock lock(mutex_);
    const auto mayBegin = [&] {
        return !queue_.empty() && (running_ == 0 || runningBytes_ + queue_.front()->bytes <= maxBytes_);
    };
    for (;;) {
        ++idle_;
        changed_.wait(lock, [&] { return ending_ || mayBegin(); });
        --idle_;
        if (ending_) return;
        const std::shared_ptr<Task> task = std::move(queue_.front());
        queue_.pop_front();
        task->state = Task::running;
        ++running_;
        runningBytes_ += task->bytes;
        if (idle_ > 0 && mayBegin()) changed_.notify_one();
        lock.unlock();
        task->work();
        task->work = nullptr;
        lock.lock();
        task->state = Task::done;
        --running_;
        --load_;
        runningBytes_ -= task->bytes;
        if (task->overdue) --overdue_;
    }
}

}  // namespace chunkvault::server
