#include "common/chunk/file_chunker.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace chunkvault {

std::uint64_t ChunkLayout::length(std::uint64_t index) const {
    assert(index < count());
    return std::min(chunkSizeBytes, sizeBytes - offset(index));
}

std::vector<ChunkSlice> slicesOf(std::span<const ChunkExtent> extents, std::uint64_t offset, std::uint64_t length) {
    std::vector<ChunkSlice> slices;
    auto extent = std::partition_point(extents.begin(), extents.end(),
                                       [&](const ChunkExtent& e) { return e.offset + e.length <= offset; });
    for (; extent != extents.end() && length > 0; ++extent) {
        if (extent->offset > offset) {
            const std::uint64_t before = std::min(length, extent->offset - offset);
            offset += before;
            length -= before;
            if (length == 0) break;
        }
        const std::uint64_t begin = offset - extent->offset;
        const std::uint64_t taken = std::min(length, extent->length - begin);
        if (taken == 0) continue;
        slices.push_back({static_cast<std::size_t>(extent - extents.begin()), begin, taken});
        offset += taken;
        length -= taken;
    }
    return slices;
}

FileChunker::FileChunker(ChunkBuffers& buffers, std::size_t chunkSizeBytes, std::optional<std::uint64_t> announcedBytes)
    : buffers_(buffers), chunkSizeBytes_(chunkSizeBytes), announcedBytes_(announcedBytes) {
    assert(chunkSizeBytes > 0);
}

std::span<char> FileChunker::room() {
    if (!buffer_) {
        capacity_ = chunkSizeBytes_;
        if (announcedBytes_ && *announcedBytes_ > totalBytes_)
            capacity_ = static_cast<std::size_t>(std::min<std::uint64_t>(capacity_, *announcedBytes_ - totalBytes_));
        buffer_.emplace(buffers_.acquire(capacity_));
        size_ = 0;
    }
    return buffer_->span().subspan(size_, capacity_ - size_);
}

std::optional<Chunk> FileChunker::filled(std::size_t n) {
    assert(buffer_ ? n <= capacity_ - size_ : n == 0);
    size_ += n;
    totalBytes_ += n;
    if (!buffer_ || size_ < capacity_) return std::nullopt;
    return take();
}

std::optional<Chunk> FileChunker::finish() {
    if (!buffer_ || size_ == 0) {
        buffer_.reset();
        return std::nullopt;
    }
    return take();
}

Chunk FileChunker::take() {
    Chunk chunk = Chunk::hash(std::move(*buffer_), size_);
    buffer_.reset();
    return chunk;
}

}  // namespace chunkvault
