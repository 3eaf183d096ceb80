#include "common/chunk/manifest.h"

#include <array>

namespace chunkvault {

void RootHash::add(std::uint64_t length, const ChunkId& chunk) {
    std::array<char, 8> bigEndian{};
    for (std::size_t i = 0; i < 8; ++i) bigEndian[i] = static_cast<char>((length >> (8 * (7 - i))) & 0xff);
    stream_.update(bigEndian);
    stream_.update(chunk.raw());
}

Sha256Digest rootOf(const std::vector<ManifestEntry>& entries) {
    RootHash root;
    for (const ManifestEntry& entry : entries) root.add(entry.length, entry.chunk);
    return root.finish();
}

}  // namespace chunkvault
