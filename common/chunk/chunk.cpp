#include "common/chunk/chunk.h"

#include <cassert>

namespace chunkvault {

Chunk Chunk::hash(ChunkBuffer buffer, std::size_t size) {
    assert(size <= buffer.capacity());
    const ChunkId id = ChunkId::of({buffer.data(), size});
    return {id, std::move(buffer), size};
}

std::optional<Chunk> Chunk::verify(const ChunkId& expected, ChunkBuffer buffer, std::size_t size) {
    Chunk chunk = hash(std::move(buffer), size);
    if (chunk.id() != expected) return std::nullopt;
    return chunk;
}

}  // namespace chunkvault
