#include "database/catalog/shared_commits.h"

namespace chunkvault::catalog {

namespace {

constexpr std::size_t maxBatch = 64;

}  // namespace

void SharedCommits::run(const std::function<void(Session&)>& work) {
    Pending mine{{work, nullptr}, Pending::State::queued, {}};
    std::unique_lock lock(mutex_);
    queue_.push_back(&mine);
    if (leading_) {
        const auto moved = [&] { return mine.state != Pending::State::queued; };
        if (!mine.wake.wait_for(lock, waitTimeout_, moved)) {
            std::erase(queue_, &mine);
            throw SqlError(SqlFailure::busy, "the works that came before were not done in time");
        }
        mine.wake.wait(lock, [&] { return mine.state != Pending::State::taken; });
    }
    if (mine.state != Pending::State::done) lead(lock, mine);
    lock.unlock();
    if (mine.work.error) std::rethrow_exception(mine.work.error);
}

// Runs the batch that mine is in, and hands the lead to the first work that came meanwhile.
void SharedCommits::lead(std::unique_lock<std::mutex>& lock, Pending& mine) {
    leading_ = true;
    std::erase(queue_, &mine);
    std::vector<Pending*> batch{&mine};
    while (!queue_.empty() && batch.size() < maxBatch) {
        batch.push_back(queue_.front());
        batch.back()->state = Pending::State::taken;
        queue_.pop_front();
    }
    std::vector<Work*> works;
    for (Pending* pending : batch) works.push_back(&pending->work);
    lock.unlock();
    runBatch_(std::move(works));
    lock.lock();
    for (Pending* pending : batch) {
        pending->state = Pending::State::done;
        pending->wake.notify_one();
    }
    leading_ = !queue_.empty();
    if (leading_) {
        queue_.front()->state = Pending::State::leading;
        queue_.front()->wake.notify_one();
    }
}

}  // namespace chunkvault::catalog
