// What an operator asks about a storage node, answered from what the catalog knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "database/catalog/nodes.h"

namespace chunkvault::server {

struct Advice {
    enum class Answer {
        yes,
        later,  // by itself, once copies were made: ask again
        no,     // not before an operator does what the reason says
    };
    Answer answer;
    std::string reason;             // a sentence or two, for people
    std::int64_t copiesToMake = 0;  // until yes, when later
};

struct NodeRules {
    std::size_t replicationFactor;
    std::size_t writeQuorum;
};

// node is one of all; role is what would be missing without it.

// May it be stopped for a while, with every file readable and uploads going on?
[[nodiscard]] Advice mayStop(const catalog::Store& node, const catalog::StoreRole& role,
                             std::span<const catalog::Store> all, const NodeRules& rules);
// May it be taken away for good, with every chunk on as many other nodes as are wanted?
[[nodiscard]] Advice mayRemove(const catalog::Store& node, const catalog::StoreRole& role,
                               std::span<const catalog::Store> all, const NodeRules& rules);
// May a drain begin: is there somewhere to copy to?
[[nodiscard]] Advice mayDrain(const catalog::Store& node, const catalog::StoreRole& role,
                              std::span<const catalog::Store> all, const NodeRules& rules);

// How long the numbers of copies that an overview shows may be kept, in a vault of so many chunks at most; 0: they cost
// next to nothing. Advice is never given by kept ones.
[[nodiscard]] std::int64_t countsKeptUs(std::int64_t chunksAtMost);

// When a drain will be done at the pace so far; nullopt while there is no pace to go by.
[[nodiscard]] std::optional<Timestamp> drainedAt(const catalog::Store& node, Timestamp now);

// When copies that are being made will be there: at the pace that was seen here from one question to the next, and
// before there is one, at that of a worker. Thread-safe.
class CopyPace {
  public:
    // bytesPerS: REPAIR_RATE, which a worker makes copies at; 0: no limit.
    explicit CopyPace(std::int64_t bytesPerS);

    // what: the name of what is asked about. copies are left to be made, of so many bytes together.
    [[nodiscard]] Timestamp doneAt(const std::string& what, std::int64_t copies, std::int64_t bytes, Timestamp now);

  private:
    struct Seen {
        Timestamp since;
        std::int64_t copies;  // that were left then
        Timestamp askedAt;    // last
        std::int64_t left;    // then
    };
    const std::int64_t bytesPerS_;
    std::mutex mutex_;
    std::map<std::string, Seen> seen_;  // no more than there are nodes and questions
};

}  // namespace chunkvault::server
