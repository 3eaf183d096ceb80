// How a file becomes chunks, and a range of it slices of them. Pure: bytes come from the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/chunk/chunk.h"

namespace chunkvault {

// The chunks of a file of known size that is cut every chunkSizeBytes; the last may be shorter, an empty file has none.
// For new uploads only: where a stored content's chunks begin is read from the catalog, as CHUNK_SIZE may have changed.
struct ChunkLayout {
    std::uint64_t sizeBytes;
    std::uint64_t chunkSizeBytes;  // at least 1

    [[nodiscard]] std::uint64_t count() const {
        return sizeBytes / chunkSizeBytes + (sizeBytes % chunkSizeBytes > 0 ? 1 : 0);
    }
    // index < count()
    [[nodiscard]] std::uint64_t offset(std::uint64_t index) const { return index * chunkSizeBytes; }
    [[nodiscard]] std::uint64_t length(std::uint64_t index) const;
};

// Where a chunk lies in its file.
struct ChunkExtent {
    std::uint64_t offset;
    std::uint64_t length;
};

// A part of one chunk: bytes [begin, begin + length) of the chunk at this index.
struct ChunkSlice {
    std::size_t index;
    std::uint64_t begin;
    std::uint64_t length;
    friend bool operator==(const ChunkSlice&, const ChunkSlice&) = default;
};

// The slices that make up bytes [offset, offset + length) of a file, as far as the extents cover it. The extents are
// in order, without gaps, and may begin anywhere in the file; index counts from the first of them.
[[nodiscard]] std::vector<ChunkSlice> slicesOf(std::span<const ChunkExtent> extents, std::uint64_t offset,
                                               std::uint64_t length);

// Cuts a stream into chunks without copying: write into room(), say how much with filled(). For one thread at a time.
class FileChunker {
  public:
    // buffers must outlive this. chunkSizeBytes is at least 1. When the size of the stream is announced, its last chunk
    // draws no more memory than it needs; more bytes than announced are cut like any others.
    FileChunker(ChunkBuffers& buffers, std::size_t chunkSizeBytes, std::optional<std::uint64_t> announcedBytes);

    // Where the next bytes belong; never empty. The first call for each chunk draws its buffer, and throws as
    // ChunkBuffers::acquire.
    [[nodiscard]] std::span<char> room();
    // Takes the first n bytes of room(); gives the chunk that they complete. A caller passes it on before it asks for
    // room again, so as not to hold two buffers.
    [[nodiscard]] std::optional<Chunk> filled(std::size_t n);
    // At the end of the stream: the chunk that is not full; nullopt when there is none.
    [[nodiscard]] std::optional<Chunk> finish();

    [[nodiscard]] std::uint64_t totalBytes() const { return totalBytes_; }

  private:
    [[nodiscard]] Chunk take();

    ChunkBuffers& buffers_;
    const std::size_t chunkSizeBytes_;
    const std::optional<std::uint64_t> announcedBytes_;
    std::optional<ChunkBuffer> buffer_;
    std::size_t capacity_ = 0;  // bytes of the chunk in the making when it is full
    std::size_t size_ = 0;      // bytes of it so far
    std::uint64_t totalBytes_ = 0;
};

}  // namespace chunkvault
