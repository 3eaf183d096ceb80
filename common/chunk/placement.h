// Which stores a new chunk goes to: rendezvous hashing, so that every store gets its share, a store that comes or goes
// moves only its own share, and copies lie in different zones. Only a choice for new copies; where a chunk is, the
// catalog says. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/chunk/chunk_id.h"

namespace chunkvault {

struct PlacementCandidate {
    std::int64_t store;  // distinct
    std::string zone;    // stores of one zone may fail together; empty: a zone of its own
    double weight;       // above 0; a store of twice the weight gets twice the chunks
};

// The candidates' indices, best first: all of the first zones' before a second copy in any zone. A caller takes the
// first few, and goes on down the list where one refuses.
[[nodiscard]] std::vector<std::size_t> placementOrder(const ChunkId& chunk,
                                                      std::span<const PlacementCandidate> candidates);

}  // namespace chunkvault
