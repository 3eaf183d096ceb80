#include "common/chunk/chunk_buffers.h"

#include <algorithm>
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
    return take(capacity, lock);
}

std::optional<ChunkBuffer> ChunkBuffers::tryAcquire(std::size_t capacity) {
    std::unique_lock lock(mutex_);
    skipAbandoned();
    if (servedTicket_ != nextTicket_ || !fits(std::min(capacity, budget_))) return std::nullopt;
    return take(capacity, lock);
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

ChunkBuffer ChunkBuffers::take(std::size_t capacity, std::unique_lock<std::mutex>& lock) {
    const std::size_t charged = std::min(capacity, budget_);
    inUse_ += charged;
    skipAbandoned();
    // A loan of more than half a chunk gets a whole block: those are kept and used again.
    const bool whole = capacity <= chunkSize_ && capacity > chunkSize_ / 2;
    const std::size_t allocated = whole ? chunkSize_ : capacity;
    std::unique_ptr<char[]> data;
    if (whole && !free_.empty()) {
        data = std::move(free_.back());
        free_.pop_back();
    }
    lock.unlock();
    freed_.notify_all();
    if (data == nullptr) data = std::make_unique_for_overwrite<char[]>(allocated);
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
