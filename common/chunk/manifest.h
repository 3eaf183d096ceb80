// What a content consists of: the ordered (length, chunk hash) pairs, and the root hash that identifies it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/chunk/chunk_id.h"

namespace chunkvault {

struct ManifestEntry {
    std::uint64_t length;  // bytes, at least 1
    ChunkId chunk;
    friend bool operator==(const ManifestEntry&, const ManifestEntry&) = default;
};

// The identity of content and its ETag. SHA-256 over, for each chunk in order, its length as 8 bytes big-endian
// followed by the 32 bytes of its hash. The empty content has no entries; its root is the SHA-256 of nothing.
class RootHash {
  public:
    void add(std::uint64_t length, const ChunkId& chunk);
    [[nodiscard]] Sha256Digest finish() { return stream_.finish(); }

  private:
    Sha256Stream stream_;
};

[[nodiscard]] Sha256Digest rootOf(const std::vector<ManifestEntry>& entries);

}  // namespace chunkvault
