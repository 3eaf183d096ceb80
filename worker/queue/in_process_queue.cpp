#include "worker/queue/in_process_queue.h"

#include <algorithm>
#include <exception>

#include "common/wire/utf8.h"

namespace chunkvault::worker {

InProcessQueue::InProcessQueue(const InProcessLimits& limits, std::function<void(const Job&)> run,
                               std::function<void(const Job&, const char*, bool)> onFailure)
    : limits_(limits), run_(std::move(run)), onFailure_(std::move(onFailure)) {
    for (int i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { work(); });
}

InProcessQueue::~InProcessQueue() { stop(); }

void InProcessQueue::post(const Job& job) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        if (stopping_ || known_.size() >= limits_.queued) return;
        add(job);
    } catch (const std::exception&) {  // out of memory: as if the queue were full
        return;
    }
    changed_.notify_all();
}

void InProcessQueue::add(const Job& job) {
    if (known_.insert(job).second) {
        enqueue(std::chrono::steady_clock::now(), {job, 0});
    } else {
        again_.insert(job);
    }
}

void InProcessQueue::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

std::size_t InProcessQueue::length() const {
    const std::lock_guard lock(mutex_);
    return known_.size();
}

std::vector<DeadJob> InProcessQueue::dead(int limit) const {
    const std::lock_guard lock(mutex_);
    const auto count = std::min<std::ptrdiff_t>(std::max(limit, 0), std::ssize(dead_));
    return {dead_.begin(), dead_.begin() + count};
}

int InProcessQueue::retryDead(const std::optional<Job>& job) {
    int posted = 0;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(dead_, [&](const DeadJob& dead) {
            if (job && dead.job != *job) return false;
            add(dead.job);
            ++posted;
            return true;
        });
    }
    changed_.notify_all();
    return posted;
}

bool InProcessQueue::waitIdle(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return known_.empty(); });
}

void InProcessQueue::enqueue(Time begin, const Waiting& job) {
    (isUrgent(job.job.kind) ? urgent_ : others_).emplace(begin, job);
}

std::optional<InProcessQueue::Waiting> InProcessQueue::takeDue(std::optional<Time>& next) {
    next.reset();
    for (auto* waiting : {&urgent_, &others_}) {
        const auto first = waiting->begin();
        if (first == waiting->end()) continue;
        if (first->first <= std::chrono::steady_clock::now()) {
            const Waiting due = first->second;
            waiting->erase(first);
            return due;
        }
        next = next ? std::min(*next, first->first) : first->first;
    }
    return std::nullopt;
}

void InProcessQueue::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        std::optional<Time> due;
        const auto taken = takeDue(due);
        if (!taken) {
            if (due) changed_.wait_until(lock, *due);
            else changed_.wait(lock);
            continue;
        }
        const Waiting& next = *taken;
        again_.erase(next.job);
        lock.unlock();
        try {
            run_(next.job);
            lock.lock();
            finish(next, nullptr);
        } catch (const JobStopped&) {
            lock.lock();
            enqueue(std::chrono::steady_clock::now() + limits_.firstBackoff, next);
        } catch (const std::exception& error) {
            const bool givenUp = next.failures + 1 >= limits_.tries;
            onFailure_(next.job, error.what(), givenUp);
            lock.lock();
            finish(next, error.what());
        }
    }
}

void InProcessQueue::finish(const Waiting& done, const char* failure) {
    const auto now = std::chrono::steady_clock::now();
    if (failure != nullptr && done.failures + 1 < limits_.tries) {
        enqueue(now + limits_.firstBackoff * (1 << done.failures), {done.job, done.failures + 1});
    } else {
        forgetDead(done.job);
        if (failure != nullptr) {
            dead_.push_front({done.job, done.failures + 1, wire::validUtf8(failure), limits_.clock()});
            if (dead_.size() > limits_.dead) dead_.pop_back();
        }
        if (again_.erase(done.job) > 0) {
            enqueue(now, {done.job, 0});
        } else {
            known_.erase(done.job);
        }
    }
    changed_.notify_all();
}

void InProcessQueue::forgetDead(const Job& job) {
    std::erase_if(dead_, [&](const DeadJob& dead) { return dead.job == job; });
}

}  // namespace chunkvault::worker
