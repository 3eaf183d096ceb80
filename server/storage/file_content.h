// Content and range -> bytes, for every door: downloads, shares, later ZIP. Thread-safe; a Reader belongs to one
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <future>
#include <optional>
#include <span>
#include <vector>

#include "common/chunk/chunk.h"
#include "database/catalog/chunks.h"

namespace chunkvault::server {

class ReplicatedChunkStore;

class FileContent {
  public:
    // All must outlive this and every Reader.
    FileContent(catalog::Chunks& chunks, ReplicatedChunkStore& stores, ChunkBuffers& buffers)
        : chunks_(chunks), stores_(stores), buffers_(buffers) {}

    // A verified part of a content.
    struct Slice {
        Chunk chunk;
        std::size_t begin, size;  // within chunk.bytes()
        [[nodiscard]] std::span<const char> bytes() const { return chunk.bytes().subspan(begin, size); }
    };

    // Gives the bytes [offset, offset + length) of a content in order, reading and verifying a chunk ahead while memory
    // for it is free and the receiver is not slower than the stores.
    class Reader {
      public:
        Reader(FileContent& home, catalog::ContentId content, std::int64_t offset, std::int64_t length);
        // Waits for a read under way: its buffer and its stores are in use.
        ~Reader() = default;

        // nullopt at the end. The slice given before must be gone by then: its memory may be needed for this one.
        // lastTook: how long the receiver was busy with that one.
        // Throws Error chunkMissing or chunkCorrupt when no replica is good, unavailable when memory is short for long.
        [[nodiscard]] std::optional<Slice> next(std::chrono::nanoseconds lastTook = {});
        // Gives back what was read ahead; the next slice begins at offset, which is at most the end of the last one.
        void goBackTo(std::int64_t offset);

      private:
        [[nodiscard]] const catalog::ContentChunk* upcoming();
        // Asks the catalog anew where the chunks are: since the window was read, they may have been moved. Whether the
        // copies of the next one are elsewhere now.
        [[nodiscard]] bool lookAgain();
        [[nodiscard]] Slice cut(const catalog::ContentChunk& part, Chunk chunk) const;
        void readAhead();
        struct Read {
            Chunk chunk;
            std::chrono::nanoseconds took;
        };
        [[nodiscard]] Read readFrom(const catalog::ContentChunk& part, std::optional<ChunkBuffer> buffer) const;

        FileContent& home_;
        catalog::ContentId content_;
        std::int64_t at_;  // where the next slice begins
        std::int64_t end_;
        std::deque<catalog::ContentChunk> window_;  // of the layout, from at_ on
        std::future<Read> ahead_;                   // of window_.front()
    };

  private:
    catalog::Chunks& chunks_;
    ReplicatedChunkStore& stores_;
    ChunkBuffers& buffers_;
};

}  // namespace chunkvault::server
