// A ChunkStore in memory that fails or hangs when a test says so.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "common/chunk/chunk_store.h"
#include "tests/storage/chunks.h"

namespace chunkvault::test {

// Thread-safe.
class FakeChunkStore final : public ChunkStore {
  public:
    // From now on every call throws this; nullopt: none does.
    void fail(std::optional<ErrorCode> code) {
        const std::lock_guard lock(mutex_);
        failure_ = code;
    }
    // From now on every call waits, before it does anything, until hang(false).
    void hang(bool hanging) {
        {
            const std::lock_guard lock(mutex_);
            hanging_ = hanging;
        }
        changed_.notify_all();
    }
    // Returns once this many calls are waiting in a hang.
    void awaitHanging(int count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return inside_ >= count; });
    }
    void set(const ChunkId& id, const std::string& bytes) {
        const std::lock_guard lock(mutex_);
        copies_[id] = {bytes, 1};
    }
    [[nodiscard]] int calls() {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    [[nodiscard]] int mostAtOnce() {
        const std::lock_guard lock(mutex_);
        return mostAtOnce_;
    }

    void put(const Chunk& chunk, Generation generation) override {
        const Call call(*this);
        Copy& copy = copies_[chunk.id()];
        copy = {textOf(chunk), std::max(copy.generation, generation)};
    }
    void putAll(std::span<const PutItem> items) override {
        for (const PutItem& item : items) put(item.chunk, item.generation);
    }
    Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override {
        const Call call(*this);
        const auto found = copies_.find(id);
        if (found == copies_.end()) throw Error(ErrorCode::chunkMissing, "missing");
        const std::string& bytes = found->second.bytes;
        if (bytes.size() != size) throw Error(ErrorCode::chunkCorrupt, "size");
        std::copy(bytes.begin(), bytes.end(), buffer.data());
        auto chunk = Chunk::verify(id, std::move(buffer), size);
        if (!chunk) throw Error(ErrorCode::chunkCorrupt, "hash");
        return *chunk;
    }
    bool has(const ChunkId& id) override {
        const std::lock_guard lock(mutex_);
        return copies_.contains(id);
    }
    bool remove(const ChunkId& id, Generation generation) override {
        const Call call(*this);
        const auto found = copies_.find(id);
        if (found != copies_.end() && found->second.generation > generation) return false;
        copies_.erase(id);
        return true;
    }

  private:
    struct Copy {
        std::string bytes;
        Generation generation = 0;
    };
    class Call {
      public:
        explicit Call(FakeChunkStore& store) : store_(store), lock_(store.mutex_) {
            ++store_.calls_;
            store_.mostAtOnce_ = std::max(store_.mostAtOnce_, ++store_.inside_);
            store_.changed_.notify_all();
            store_.changed_.wait(lock_, [&] { return !store_.hanging_; });
            --store_.inside_;
            if (store_.failure_) throw Error(*store_.failure_, "as the test wants it");
        }

      private:
        FakeChunkStore& store_;
        std::unique_lock<std::mutex> lock_;
    };

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<ChunkId, Copy> copies_;
    std::optional<ErrorCode> failure_;
    bool hanging_ = false;
    int inside_ = 0;
    int mostAtOnce_ = 0;
    int calls_ = 0;
};

}  // namespace chunkvault::test
