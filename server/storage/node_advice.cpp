#include "server/storage/node_advice.h"

#include <algorithm>

namespace chunkvault::server {

namespace {

using catalog::Store;
using catalog::StoreState;
using enum Advice::Answer;

std::string counted(std::int64_t count, const char* what) {
    return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

struct Others {
    std::size_t up = 0;          // they answer, and are not being drained
    std::size_t taking = 0;      // of these, those with room
    std::int64_t freeBytes = 0;  // on these
};

Others othersOf(const Store& node, std::span<const Store> all) {
    Others others;
    for (const Store& store : all) {
        if (store.row == node.row || store.state != StoreState::up) continue;
        ++others.up;
        others.taking += store.freeBytes > 0;
        others.freeBytes += std::max<std::int64_t>(store.freeBytes, 0);
    }
    return others;
}

bool isServing(const Store& node) {
    return node.state == StoreState::up || node.state == StoreState::suspect || node.state == StoreState::draining;
}

std::string nowhereToCopyTo(const Others& others, const NodeRules& rules) {
    return std::to_string(rules.replicationFactor) + " copies of each chunk are wanted, and only " +
           counted(static_cast<std::int64_t>(others.up), "other node") + " can have them. Add a node first.";
}

std::string noRoomFor(std::int64_t placeless, const NodeRules& rules) {
    return counted(placeless, "chunk") + " cannot have " + std::to_string(rules.replicationFactor) +
           " copies on the other nodes: too many of them are full. Add a node or a disk first.";
}

}  // namespace

Advice mayStop(const Store& node, const catalog::StoreRole& role, std::span<const Store> all, const NodeRules& rules) {
    if (!isServing(node)) return {yes, "Nothing is read from it or written to it now."};
    const Others others = othersOf(node, all);
    if (others.taking < rules.writeQuorum)
        return {no, "Uploads would stop: an upload needs " + std::to_string(rules.writeQuorum) + " nodes, and only " +
                        counted(static_cast<std::int64_t>(others.taking), "other node") + " can take chunks now. " +
                        (others.up < rules.writeQuorum ? "Start the others first."
                                                       : "Others are full: add a node or a disk first.")};
    if (role.notReadable > 0)
        return {later,
                counted(role.notReadable, "chunk") +
                    " would not be readable: no other node that answers has a copy. They are being copied.",
                role.notReadable};
    return {yes,
            "Every chunk on it can be read from another node. If it stays away for longer than DOWN_AFTER, its "
            "copies are made again elsewhere."};
}

Advice mayRemove(const Store& node, const catalog::StoreRole& role, std::span<const Store> all,
                 const NodeRules& rules) {
    if (node.state == StoreState::removed) return {yes, "It was removed already."};
    if (role.replicas == 0) return {yes, "No copy of anything is on it."};
    if (role.shortCopies == 0)
        return {yes, "Every chunk on it has " + std::to_string(rules.replicationFactor) + " copies on other nodes."};
    const Others others = othersOf(node, all);
    if (others.up < rules.replicationFactor) return {no, nowhereToCopyTo(others, rules)};
    const bool serving = isServing(node);
    if (!serving && role.onlyCopies > 0)
        return {no,
                counted(role.onlyCopies, "chunk") +
                    " are known to be on no other node. Bring it back if you can; whoever removes it by force loses "
                    "them."};
    if (role.placeless > 0) return {no, noRoomFor(role.placeless, rules)};
    const std::string left = counted(role.shortCopies, "chunk") + " still " +
                             (role.shortCopies == 1 ? "needs" : "need") + " a copy elsewhere";
    if (node.drain) return {later, left + ". It is being drained.", role.shortCopies};
    if (!serving) return {later, left + ". They are being made from the other copies.", role.shortCopies};
    return {no, left + ". Drain it first."};
}

Advice mayDrain(const Store& node, const catalog::StoreRole& role, std::span<const Store> all, const NodeRules& rules) {
    if (node.state == StoreState::removed) return {no, "It was removed already."};
    const Others others = othersOf(node, all);
    if (others.up < rules.replicationFactor) return {no, nowhereToCopyTo(others, rules)};
    if (others.freeBytes < role.bytes)
        return {no, "The other nodes have room for " + std::to_string(others.freeBytes) + " bytes, and " +
                        std::to_string(role.bytes) + " are on this one. Add a node or a disk first."};
    if (role.placeless > 0) return {no, noRoomFor(role.placeless, rules)};
    return {yes, "Its copies are made on the other nodes before they are deleted here."};
}

std::int64_t countsKeptUs(std::int64_t chunksAtMost) {
    constexpr std::int64_t chunksPerSecond = 10'000, mostUs = minuteUs;
    return std::min(chunksAtMost / chunksPerSecond * secondUs, mostUs);
}

std::optional<Timestamp> drainedAt(const Store& node, Timestamp now) {
    if (!node.drain || !node.drainStartedAt) return std::nullopt;
    const std::int64_t done = node.drainReplicas - node.replicas;
    const Timestamp elapsed = now - *node.drainStartedAt;
    if (node.replicas == 0) return now;
    if (done <= 0 || elapsed <= 0) return std::nullopt;
    return now + static_cast<Timestamp>(static_cast<double>(elapsed) / static_cast<double>(done) *
                                        static_cast<double>(node.replicas));
}

CopyPace::CopyPace(std::int64_t bytesPerS) : bytesPerS_(bytesPerS) {}

Timestamp CopyPace::doneAt(const std::string& what, std::int64_t copies, std::int64_t bytes, Timestamp now) {
    constexpr std::int64_t unlimitedBytesPerS = 100'000'000;  // what a line of a gigabit and a disk may do
    constexpr Timestamp forgottenUs = 10 * minuteUs;          // another pace may hold since
    const std::lock_guard lock(mutex_);
    const Seen anew{now, copies, now, copies};
    Seen& seen = seen_.try_emplace(what, anew).first->second;
    // More than before: something else has begun.
    if (copies > seen.left || now < seen.askedAt || now - seen.askedAt > forgottenUs) seen = anew;
    seen.askedAt = now;
    seen.left = copies;
    const Timestamp elapsed = now - seen.since;
    const std::int64_t done = seen.copies - copies;
    if (done > 0 && elapsed > 0)
        return now + static_cast<Timestamp>(static_cast<double>(elapsed) / static_cast<double>(done) *
                                            static_cast<double>(copies));
    const std::int64_t rate = bytesPerS_ > 0 ? bytesPerS_ : unlimitedBytesPerS;
    const auto byRate =
        static_cast<Timestamp>(static_cast<double>(bytes) / static_cast<double>(rate) * static_cast<double>(secondUs));
    // Nothing was done for as long as it has been asked for.
    return now + std::max(byRate, elapsed);
}

}  // namespace chunkvault::server
