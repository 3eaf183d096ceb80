// Reading as much as is wanted from what gives as much as it has.
#pragma once

#include <cstddef>
#include <span>

namespace chunkvault::http {

// Calls source.read(span) until buffer is full or the source ends, which is when it gives nothing; how many bytes were
// read. Throws what read throws.
template <typename Source>
std::size_t readUntilFull(Source& source, std::span<char> buffer) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
        const std::size_t count = source.read(buffer.subspan(filled));
        if (count == 0) break;
        filled += count;
    }
    return filled;
}

}  // namespace chunkvault::http
