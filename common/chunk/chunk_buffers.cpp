#include "common/chunk/chunk_buffers.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/error/error.h"

namespace chunkvault {

ChunkBuffer::ChunkBuffer(ChunkBuffers* home, std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged)
    : home_(home), data_(std::move(data)), capacity_(capacity), charged_(charged) {}

ChunkBuffer::ChunkBuffer(ChunkBuffer&& other) noexcept
    : home_(std::exchange(other.home_, nullptr)),
      data_(std::move(other.data_)),
      capacity_(other.capacity_),
      charged_(other.charged_) {}

ChunkBuffer& ChunkBuffer::operator=(ChunkBuffer&& other) noexcept {
    if (this != &other) {
        release();
        home_ = std::exchange(other.home_, nullptr);
        data_ = std::move(other.data_);
        capacity_ = other.capacity_;
        charged_ = other.charged_;
    }
    return *this;
}

ChunkBuffer::~ChunkBuffer() { release(); }

void ChunkBuffer::release() noexcept {
    if (home_ != nullptr) home_->giveBack(std::move(data_), capacity_, charged_);
    home_ = nullptr;
}

ChunkBuffers::ChunkBuffers(std::size_t count, std::size_t chunkSize)
    : chunkSize_(chunkSize), budget_(count * chunkSize) {
    free_.reserve(count);
}

ChunkBuffers::~ChunkBuffers() = default;

ChunkBuffer ChunkBuffers::acquire(std::size_t capacity, std::chrono::milliseconds timeout) {
    const std::size_t charged = std::min(capacity, budget_);
    std::unique_lock lock(mutex_);
    awaitRoom(charged, timeout, lock);
    return take(capacity, charged);
}

std::vector<ChunkBuffer> ChunkBuffers::acquireAll(std::span<const std::size_t> capacities,
                                                  std::chrono::milliseconds timeout) {
    std::size_t left = std::min(std::accumulate(capacities.begin(), capacities.end(), std::size_t{0}), budget_);
    std::vector<ChunkBuffer> buffers;
    buffers.reserve(capacities.size());
    std::unique_lock lock(mutex_);
    awaitRoom(left, timeout, lock);
    for (const std::size_t capacity : capacities) {
        const std::size_t charged = std::min(capacity, left);
        buffers.push_back(take(capacity, charged));
        left -= charged;
    }
    return buffers;
}

std::optional<ChunkBuffer> ChunkBuffers::tryAcquire(std::size_t capacity) {
    const std::size_t charged = std::min(capacity, budget_);
    const std::lock_guard lock(mutex_);
    skipAbandoned();
    if (servedTicket_ != nextTicket_ || !fits(charged)) return std::nullopt;
    return take(capacity, charged);
}

std::size_t ChunkBuffers::bytesInUse() const {
    const std::lock_guard lock(mutex_);
    return inUse_;
}

std::uint64_t ChunkBuffers::waits() const {
    const std::lock_guard lock(mutex_);
    return waits_;
}

void ChunkBuffers::skipAbandoned() {
    while (std::erase(abandoned_, servedTicket_) > 0) ++servedTicket_;
}

bool ChunkBuffers::fits(std::size_t charged) const { return inUse_ + charged <= budget_; }

void ChunkBuffers::awaitRoom(std::size_t charged, std::chrono::milliseconds timeout,
                             std::unique_lock<std::mutex>& lock) {
    const std::uint64_t ticket = nextTicket_++;
    const auto myTurn = [&] { return servedTicket_ == ticket && fits(charged); };
    if (!myTurn()) {
        ++waits_;
        if (!freed_.wait_for(lock, timeout, myTurn)) {
            abandoned_.push_back(ticket);
            skipAbandoned();
            freed_.notify_all();
            throw Error(ErrorCode::unavailable, "The server is busy with other transfers. Try again in a few seconds.")
                .retryAfter(5);
        }
    }
    ++servedTicket_;
    skipAbandoned();
    freed_.notify_all();
}

ChunkBuffer ChunkBuffers::take(std::size_t capacity, std::size_t charged) {
    // A loan of more than half a chunk gets a whole block: those are kept and used again.
    const bool whole = capacity <= chunkSize_ && capacity > chunkSize_ / 2;
    const std::size_t allocated = whole ? chunkSize_ : capacity;
    std::unique_ptr<char[]> data;
    if (whole && !free_.empty()) {
        data = std::move(free_.back());
        free_.pop_back();
    } else {
        data = std::make_unique_for_overwrite<char[]>(allocated);
    }
    inUse_ += charged;
    return {this, std::move(data), allocated, charged};
}

void ChunkBuffers::giveBack(std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged) noexcept {
    {
        const std::lock_guard lock(mutex_);
        inUse_ -= charged;
        if (capacity == chunkSize_ && free_.size() < free_.capacity()) free_.push_back(std::move(data));
        skipAbandoned();
    }
    freed_.notify_all();
}

}  // namespace chunkvault
