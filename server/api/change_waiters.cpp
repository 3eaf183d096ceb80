#include "server/api/change_waiters.h"

#include "common/error/error.h"

namespace chunkvault::server {

namespace {

constexpr int retryAfterS = 5;

[[noreturn]] void refuse(const char* who) {
    throw Error(ErrorCode::tooManyRequests,
                std::string("As many calls wait for changes as ") + who + " may have. Ask without \"wait\", or later.")
        .retryAfter(retryAfterS);
}

}  // namespace

ChangeWaiters::ChangeWaiters(Poll poll, WaitLimits limits) : poll_(std::move(poll)), limits_(limits) {
    poller_ = std::thread([this] { pollAll(); });
}

ChangeWaiters::~ChangeWaiters() {
    stop();
    poller_.join();
}

void ChangeWaiters::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    polled_.notify_all();
    wanted_.notify_all();
}

std::size_t ChangeWaiters::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
}

void ChangeWaiters::enter(catalog::UserId owner) {
    if (waiting_ >= limits_.perServer) refuse("this server");
    const auto known = watched_.find(owner);
    if (known != watched_.end() && known->second.waiting >= limits_.perAccount) refuse("one account");
    ++watched_[owner].waiting;
    if (waiting_++ == 0) wanted_.notify_all();
}

void ChangeWaiters::leave(catalog::UserId owner) {
    --waiting_;
    if (--watched_.at(owner).waiting == 0) watched_.erase(owner);
}

bool ChangeWaiters::wait(catalog::UserId owner, const catalog::Revision& seen, SteadyTime until,
                         const std::function<bool()>& clientGone) {
    std::unique_lock lock(mutex_);
    enter(owner);
    bool changed = false, ended = false;
    for (std::uint64_t looked = polls_; !changed && !ended;) {
        ended =
            !polled_.wait_until(lock, until, [&] { return stopped_ || polls_ != looked; }) || stopped_ || clientGone();
        looked = polls_;
        const Watched& watched = watched_.at(owner);
        const bool known = watched.polledAt == looked;
        changed = !ended && known && (!watched.state || watched.state->downloads || !(watched.state->revision == seen));
    }
    leave(owner);
    return changed;
}

void ChangeWaiters::pollAll() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        wanted_.wait(lock, [this] { return stopped_ || waiting_ > 0; });
        (void)wanted_.wait_for(lock, limits_.pollEvery, [this] { return stopped_; });
        if (stopped_) return;
        std::vector<catalog::UserId> owners;
        for (const auto& watched : watched_) owners.push_back(watched.first);
        lock.unlock();
        std::optional<std::vector<catalog::Changes::State>> states;
        try {
            if (!owners.empty()) states = poll_(owners);
        } catch (const Error&) {  // the caller of the next request is told
        }
        lock.lock();
        ++polls_;
        if (states) {
            for (const catalog::UserId owner : owners)
                if (const auto watched = watched_.find(owner); watched != watched_.end())
                    watched->second = {watched->second.waiting, polls_, std::nullopt};
            for (const catalog::Changes::State& state : *states)
                if (const auto watched = watched_.find(state.owner); watched != watched_.end())
                    watched->second.state = state;
        }
        polled_.notify_all();
    }
}

}  // namespace chunkvault::server
