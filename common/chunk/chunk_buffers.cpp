#include "common/chunk/chunk_buffers.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/error/error.h"

namespace chunkvault {

ChunkBuffer::ChunkBuffer(ChunkBuffers* home, std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged,
                         BufferAccount account)
    : home_(home), data_(std::move(data)), capacity_(capacity), charged_(charged), account_(account) {}

ChunkBuffer::ChunkBuffer(ChunkBuffer&& other) noexcept
    : home_(std::exchange(other.home_, nullptr)),
      data_(std::move(other.data_)),
      capacity_(other.capacity_),
      charged_(other.charged_),
      account_(other.account_) {}

ChunkBuffer& ChunkBuffer::operator=(ChunkBuffer&& other) noexcept {
    if (this != &other) {
        release();
        home_ = std::exchange(other.home_, nullptr);
        data_ = std::move(other.data_);
        capacity_ = other.capacity_;
        charged_ = other.charged_;
        account_ = other.account_;
    }
    return *this;
}

ChunkBuffer::~ChunkBuffer() { release(); }

void ChunkBuffer::release() noexcept {
    if (home_ != nullptr) home_->giveBack(std::move(data_), capacity_, charged_, account_);
    home_ = nullptr;
}

void ChunkBuffer::shrinkTo(std::size_t bytes) noexcept {
    if (home_ == nullptr || bytes >= charged_) return;
    home_->giveBackRoom(account_, charged_ - bytes);
    charged_ = bytes;
}

ChunkBuffers::ChunkBuffers(std::size_t count, std::size_t chunkSize)
    : chunkSize_(chunkSize), budget_(count * chunkSize) {
    free_.reserve(count);
}

ChunkBuffers::~ChunkBuffers() = default;

ChunkBuffer ChunkBuffers::acquire(std::size_t capacity, std::chrono::milliseconds timeout) {
    return acquireFor(BufferAccount::nobody, capacity, timeout);
}

ChunkBuffer ChunkBuffers::acquireFor(BufferAccount account, std::size_t capacity, std::chrono::milliseconds timeout) {
    const std::size_t charged = std::min(capacity, budget_);
    std::unique_lock lock(mutex_);
    awaitRoom(account, charged, timeout, lock);
    return lend(capacity, charged, account, lock);
}

ChunkBuffer ChunkBuffers::acquireRoomFor(BufferAccount account, std::size_t bytes, std::chrono::milliseconds timeout) {
    const std::size_t charged = std::min(bytes, budget_);
    std::unique_lock lock(mutex_);
    awaitRoom(account, charged, timeout, lock);
    return {this, nullptr, 0, charged, account};
}

std::vector<ChunkBuffer> ChunkBuffers::acquireAll(std::span<const std::size_t> capacities,
                                                  std::chrono::milliseconds timeout) {
    return acquireAllFor(BufferAccount::nobody, capacities, timeout);
}

std::vector<ChunkBuffer> ChunkBuffers::acquireAllFor(BufferAccount account, std::span<const std::size_t> capacities,
                                                     std::chrono::milliseconds timeout) {
    std::size_t left = std::min(std::accumulate(capacities.begin(), capacities.end(), std::size_t{0}), budget_);
    std::vector<ChunkBuffer> buffers;
    buffers.reserve(capacities.size());
    std::unique_lock lock(mutex_);
    awaitRoom(account, left, timeout, lock);
    for (const std::size_t capacity : capacities) {
        const std::size_t charged = std::min(capacity, left);
        if (!lock.owns_lock()) lock.lock();
        buffers.push_back(lend(capacity, charged, account, lock));
        left -= charged;
    }
    return buffers;
}

std::optional<ChunkBuffer> ChunkBuffers::tryAcquire(std::size_t capacity) {
    return tryAcquireFor(BufferAccount::nobody, capacity);
}

std::optional<ChunkBuffer> ChunkBuffers::tryAcquireFor(BufferAccount account, std::size_t capacity) {
    const std::size_t charged = std::min(capacity, budget_);
    std::unique_lock lock(mutex_);
    if (!available(account, charged)) return std::nullopt;
    charge(account, charged);
    return lend(capacity, charged, account, lock);
}

bool ChunkBuffers::wanted(BufferAccount holder) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiter& waiter) {
        const bool ownAccount = holder != BufferAccount::nobody && waiter.account == holder;
        return !waiter.served && (ownAccount || withinShare(waiter.account, waiter.charged));
    });
}

std::size_t ChunkBuffers::bytesInUse() const {
    const std::lock_guard lock(mutex_);
    return inUse_;
}

std::uint64_t ChunkBuffers::waits() const {
    const std::lock_guard lock(mutex_);
    return waits_;
}

// An account may always have one loan, however large.
bool ChunkBuffers::withinShare(BufferAccount account, std::size_t charged) const {
    if (account == BufferAccount::nobody) return true;
    const auto held = inUseFor_.find(account);
    return held == inUseFor_.end() || held->second == 0 || held->second + charged <= budget_ / 2;
}

bool ChunkBuffers::available(BufferAccount account, std::size_t charged) const {
    if (inUse_ + charged > budget_ || !withinShare(account, charged)) return false;
    return std::none_of(waiting_.begin(), waiting_.end(), [&](const Waiter& waiter) {
        return !waiter.served && (waiter.account == account || withinShare(waiter.account, waiter.charged));
    });
}

void ChunkBuffers::awaitRoom(BufferAccount account, std::size_t charged, std::chrono::milliseconds timeout,
                             std::unique_lock<std::mutex>& lock) {
    if (available(account, charged)) return charge(account, charged);
    ++waits_;
    const auto waiter = waiting_.insert(waiting_.end(), {account, charged});
    inUseFor_.try_emplace(account, 0);  // now, because who gives back must not fail
    const bool served = served_.wait_for(lock, timeout, [&] { return waiter->served; });
    waiting_.erase(waiter);
    if (served) return;
    forgetIfIdle(account);
    serveWaiting();  // a smaller one may have waited behind this
    throw Error(ErrorCode::unavailable, "The server is busy with other transfers. Try again in a few seconds.")
        .retryAfter(5);
}

void ChunkBuffers::charge(BufferAccount account, std::size_t charged) {
    inUse_ += charged;
    inUseFor_[account] += charged;
}

void ChunkBuffers::uncharge(BufferAccount account, std::size_t charged) noexcept {
    inUse_ -= charged;
    // A loan of nothing may end after its account was forgotten.
    if (const auto held = inUseFor_.find(account); held != inUseFor_.end()) held->second -= charged;
}

void ChunkBuffers::forgetIfIdle(BufferAccount account) noexcept {
    const auto held = inUseFor_.find(account);
    const bool waits =
        std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiter& waiter) { return waiter.account == account; });
    if (held != inUseFor_.end() && held->second == 0 && !waits) inUseFor_.erase(held);
}

void ChunkBuffers::serveWaiting() {
    bool any = false;
    for (Waiter& waiter : waiting_) {
        if (waiter.served || !withinShare(waiter.account, waiter.charged)) continue;
        if (inUse_ + waiter.charged > budget_) break;
        charge(waiter.account, waiter.charged);
        waiter.served = any = true;
    }
    if (any) served_.notify_all();
}

ChunkBuffer ChunkBuffers::lend(std::size_t capacity, std::size_t charged, BufferAccount account,
                               std::unique_lock<std::mutex>& lock) {
    // A loan of more than half a chunk gets a whole block: those are kept and used again.
    const bool whole = capacity <= chunkSize_ && capacity > chunkSize_ / 2;
    const std::size_t allocated = whole ? chunkSize_ : capacity;
    std::unique_ptr<char[]> data;
    if (whole && !free_.empty()) {
        data = std::move(free_.back());
        free_.pop_back();
    }
    lock.unlock();
    if (data == nullptr) data = std::make_unique_for_overwrite<char[]>(allocated);
    return {this, std::move(data), allocated, charged, account};
}

void ChunkBuffers::giveBack(std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged,
                            BufferAccount account) noexcept {
    const std::lock_guard lock(mutex_);
    uncharge(account, charged);
    forgetIfIdle(account);
    if (capacity == chunkSize_ && free_.size() < free_.capacity()) free_.push_back(std::move(data));
    serveWaiting();
}

void ChunkBuffers::giveBackRoom(BufferAccount account, std::size_t charged) noexcept {
    const std::lock_guard lock(mutex_);
    uncharge(account, charged);
    serveWaiting();
}

}  // namespace chunkvault
