// Bytes that neither a compressing disk nor deduplication makes smaller.
#pragma once

#include <cstring>
#include <random>
#include <string>

namespace chunkvault::bench {

// The same bytes for the same seed.
inline std::string randomBytes(std::size_t size, std::uint64_t seed = 1) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(seed);
    for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random();
        std::memcpy(&bytes[at], &word, std::min(sizeof word, size - at));
    }
    return bytes;
}

}  // namespace chunkvault::bench
