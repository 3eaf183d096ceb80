// The process-wide budget of memory for chunk bytes. Uploads, read-ahead, batch bodies, repair and replication all draw
// from it, so that memory does not grow with file size or users. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace chunkvault {

class ChunkBuffers;

// Memory on loan from ChunkBuffers; gives it back when destroyed. Movable; must not outlive its ChunkBuffers.
class ChunkBuffer {
  public:
    ChunkBuffer(ChunkBuffer&& other) noexcept;
    ChunkBuffer& operator=(ChunkBuffer&& other) noexcept;
    ChunkBuffer(const ChunkBuffer&) = delete;
    ChunkBuffer& operator=(const ChunkBuffer&) = delete;
    ~ChunkBuffer();

    [[nodiscard]] char* data() const { return data_.get(); }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::span<char> span() const { return {data_.get(), capacity_}; }

  private:
    friend class ChunkBuffers;
    ChunkBuffer(ChunkBuffers* home, std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged);
    void release() noexcept;

    ChunkBuffers* home_;
    std::unique_ptr<char[]> data_;
    std::size_t capacity_;  // bytes usable
    std::size_t charged_;   // bytes counted against the budget
};

// The rule that keeps transfers from waiting for each other in a circle: who holds a buffer does not wait for another;
// what is wanted besides the first (read-ahead) is taken with tryAcquire.
class ChunkBuffers {
  public:
    // count buffers of chunkSize bytes; the budget is their product. Smaller loans are charged by their own size.
    ChunkBuffers(std::size_t count, std::size_t chunkSize);
    ~ChunkBuffers();
    ChunkBuffers(const ChunkBuffers&) = delete;
    ChunkBuffers& operator=(const ChunkBuffers&) = delete;

    // Waits, first come first served, for room for capacity bytes. Throws Error unavailable (Retry-After) when timeout
    // passes. A capacity above the whole budget (a chunk of an earlier, larger CHUNK_SIZE) waits to be alone.
    [[nodiscard]] ChunkBuffer acquire(std::size_t capacity,
                                      std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // Several at once, for who needs all of them before any can be given back. Their sum is waited for as one.
    [[nodiscard]] std::vector<ChunkBuffer> acquireAll(std::span<const std::size_t> capacities,
                                                      std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // A buffer if there is room now and nobody waits.
    [[nodiscard]] std::optional<ChunkBuffer> tryAcquire(std::size_t capacity);

    [[nodiscard]] std::size_t chunkSize() const { return chunkSize_; }
    [[nodiscard]] std::size_t budgetBytes() const { return budget_; }
    [[nodiscard]] std::size_t bytesInUse() const;
    [[nodiscard]] std::uint64_t waits() const;  // how many acquire calls had to wait, since the start

  private:
    friend class ChunkBuffer;
    void skipAbandoned();
    [[nodiscard]] bool fits(std::size_t charged) const;
    // Returns when it is this call's turn and charged bytes fit.
    void awaitRoom(std::size_t charged, std::chrono::milliseconds timeout, std::unique_lock<std::mutex>& lock);
    // With the lock held.
    [[nodiscard]] ChunkBuffer take(std::size_t capacity, std::size_t charged);
    void giveBack(std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged) noexcept;

    const std::size_t chunkSize_;
    const std::size_t budget_;
    mutable std::mutex mutex_;
    std::condition_variable freed_;
    std::size_t inUse_ = 0;
    std::uint64_t waits_ = 0;
    std::uint64_t nextTicket_ = 0;
    std::uint64_t servedTicket_ = 0;
    std::vector<std::uint64_t> abandoned_;       // tickets whose owners gave up before their turn
    std::vector<std::unique_ptr<char[]>> free_;  // whole chunk-size blocks, kept so that their pages stay mapped
};

}  // namespace chunkvault
