// The process-wide budget of memory for chunk bytes. Uploads, read-ahead, batch bodies, repair and replication all draw
// from it, so that memory does not grow with file size or users. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace chunkvault {

class ChunkBuffers;

// On whose behalf memory is borrowed: together the loans of one account are at most half of the budget.
enum class BufferAccount : std::int64_t { nobody = 0 };  // nobody: no such limit

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
    // Of room: gives back what is more than bytes.
    void shrinkTo(std::size_t bytes) noexcept;

  private:
    friend class ChunkBuffers;
    ChunkBuffer(ChunkBuffers* home, std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged,
                BufferAccount account);
    void release() noexcept;

    ChunkBuffers* home_;
    std::unique_ptr<char[]> data_;
    std::size_t capacity_;  // bytes usable
    std::size_t charged_;   // bytes counted against the budget
    BufferAccount account_;
};

// The rule that keeps transfers from waiting for each other in a circle: who holds a buffer does not wait for another;
// what is wanted besides the first (read-ahead) is taken with tryAcquire. Who holds one while a client is slow asks
// wanted() and gives it back, or ends the client.
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
    // The same on behalf of an account. While that has its half, it waits without holding up those behind it.
    [[nodiscard]] ChunkBuffer acquireFor(BufferAccount account, std::size_t capacity,
                                         std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // Several at once, for who needs all of them before any can be given back. Their sum is waited for as one.
    [[nodiscard]] std::vector<ChunkBuffer> acquireAll(std::span<const std::size_t> capacities,
                                                      std::chrono::milliseconds timeout = std::chrono::seconds(30));
    [[nodiscard]] std::vector<ChunkBuffer> acquireAllFor(BufferAccount account, std::span<const std::size_t> capacities,
                                                         std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // Room for bytes that the borrower has in memory of its own: data() is null. Waits and throws as acquireFor.
    [[nodiscard]] ChunkBuffer acquireRoomFor(BufferAccount account, std::size_t bytes,
                                             std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // A buffer if there is room now and nobody waits for it.
    [[nodiscard]] std::optional<ChunkBuffer> tryAcquire(std::size_t capacity);
    [[nodiscard]] std::optional<ChunkBuffer> tryAcquireFor(BufferAccount account, std::size_t capacity);
    // Whether somebody waits for what holder has: not one who waits for an end of its own account's loans, unless that
    // account is the holder's.
    [[nodiscard]] bool wanted(BufferAccount holder = BufferAccount::nobody) const;

    [[nodiscard]] std::size_t chunkSize() const { return chunkSize_; }
    [[nodiscard]] std::size_t budgetBytes() const { return budget_; }
    [[nodiscard]] std::size_t bytesInUse() const;
    [[nodiscard]] std::uint64_t waits() const;  // how many acquire calls had to wait, since the start

  private:
    friend class ChunkBuffer;
    struct Waiter {
        BufferAccount account;
        std::size_t charged;
        bool served = false;
    };

    [[nodiscard]] bool withinShare(BufferAccount account, std::size_t charged) const;
    // Whether a loan can be had now, behind those who wait already.
    [[nodiscard]] bool available(BufferAccount account, std::size_t charged) const;
    // Waits for a loan and charges it.
    void awaitRoom(BufferAccount account, std::size_t charged, std::chrono::milliseconds timeout,
                   std::unique_lock<std::mutex>& lock);
    void charge(BufferAccount account, std::size_t charged);
    void uncharge(BufferAccount account, std::size_t charged) noexcept;
    void forgetIfIdle(BufferAccount account) noexcept;
    void serveWaiting();
    [[nodiscard]] ChunkBuffer lend(std::size_t capacity, std::size_t charged, BufferAccount account,
                                   std::unique_lock<std::mutex>& lock);
    void giveBack(std::unique_ptr<char[]> data, std::size_t capacity, std::size_t charged,
                  BufferAccount account) noexcept;
    void giveBackRoom(BufferAccount account, std::size_t charged) noexcept;

    const std::size_t chunkSize_;
    const std::size_t budget_;
    mutable std::mutex mutex_;
    std::condition_variable served_;
    std::size_t inUse_ = 0;
    std::map<BufferAccount, std::size_t> inUseFor_;  // accounts with loans, or waiting for one
    std::uint64_t waits_ = 0;
    std::list<Waiter> waiting_;                  // in the order in which they came
    std::vector<std::unique_ptr<char[]>> free_;  // whole chunk-size blocks, kept so that their pages stay mapped
};

}  // namespace chunkvault
