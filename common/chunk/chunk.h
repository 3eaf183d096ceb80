// A chunk: at most CHUNK_SIZE bytes, named by their SHA-256. It is made by hashing or by checking, so bytes that nobody
// verified have no type.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "common/chunk/chunk_buffers.h"
#include "common/chunk/chunk_id.h"

namespace chunkvault {

// A value; copies share the bytes, which never change. Thread-safe to read.
class Chunk {
  public:
    // Takes the first size bytes of buffer and names them by their hash. size <= buffer.capacity().
    [[nodiscard]] static Chunk hash(ChunkBuffer buffer, std::size_t size);
    // The same, but nullopt unless the bytes have this name.
    [[nodiscard]] static std::optional<Chunk> verify(const ChunkId& expected, ChunkBuffer buffer, std::size_t size);

    [[nodiscard]] const ChunkId& id() const { return id_; }
    [[nodiscard]] std::span<const char> bytes() const { return {buffer_->data(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    Chunk(const ChunkId& id, ChunkBuffer buffer, std::size_t size)
        : id_(id), buffer_(std::make_shared<const ChunkBuffer>(std::move(buffer))), size_(size) {}

    ChunkId id_;
    std::shared_ptr<const ChunkBuffer> buffer_;
    std::size_t size_;
};

}  // namespace chunkvault
