#include "common/chunk/placement.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

namespace chunkvault {

namespace {

// The finalizer of SplitMix64: every input bit changes every output bit.
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

// Weighted rendezvous: with u uniform in (0, 1), the store with the highest -weight / ln(u) wins in proportion to
// weight.
double score(const ChunkId& chunk, const PlacementCandidate& candidate) {
    std::uint64_t seed = 0;
    std::memcpy(&seed, chunk.raw().data(), sizeof seed);
    const std::uint64_t hash = mix(seed ^ mix(static_cast<std::uint64_t>(candidate.store)));
    const double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;
    return -candidate.weight / std::log(uniform);
}

}  // namespace

std::vector<std::size_t> placementOrder(const ChunkId& chunk, std::span<const PlacementCandidate> candidates) {
    std::vector<double> scores;
    scores.reserve(candidates.size());
    for (const PlacementCandidate& candidate : candidates) scores.push_back(score(chunk, candidate));
    std::vector<std::size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });

    std::map<std::string, std::size_t> seenInZone;
    std::vector<std::size_t> round(candidates.size());  // how many of its zone come before it
    for (const std::size_t i : order) round[i] = candidates[i].zone.empty() ? 0 : seenInZone[candidates[i].zone]++;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return round[a] < round[b]; });
    return order;
}

}  // namespace chunkvault
