// Chunks for tests, from a budget that no test exhausts.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "common/chunk/chunk.h"
#include "common/error/error.h"

namespace chunkvault::test {

inline ChunkBuffers& testBuffers() {
    static ChunkBuffers buffers(64, 1 << 20);
    return buffers;
}

inline Chunk chunkOf(std::string_view bytes) {
    ChunkBuffer buffer = testBuffers().acquire(bytes.size());
    std::memcpy(buffer.data(), bytes.data(), bytes.size());
    return Chunk::hash(std::move(buffer), bytes.size());
}

inline std::string textOf(const Chunk& chunk) { return {chunk.bytes().data(), chunk.size()}; }

// The code of the Error that call throws; nullopt when it throws none.
template <typename Call>
std::optional<ErrorCode> codeOf(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    return std::nullopt;
}

}  // namespace chunkvault::test
