#include "worker/sweeps/maintenance.h"

#include <algorithm>

#include "common/error/error.h"

namespace chunkvault::worker {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr process::Setting known[] = {
    {"REPLICATION_FACTOR", "3", "Copies of each chunk; the same for all programs of a cluster"},
    {"TRASH_DAYS", "30", "Days until the trash is emptied"},
    {"SCRUB_DAYS", "30", "Every copy is read and verified within so many days"},
    {"SCRUB_RATE", "50M", "Bytes a second that each store reads for that; 0: no limit"},
    {"REPAIR_RATE", "100M",
     "Bytes a second of missing copies that each worker makes (API servers of a cluster make none); 0: no limit"},
    {"REBALANCE_RATE", "20M", "Bytes a second that each worker moves to new stores; 0: no limit"},
    {"GC_AGE", "1h", "How old a chunk that nothing refers to must be to be removed"},
    {"GC_GRACE", "7d", "How long removed chunks stay in a store's trash"},
    {"SHARE_DAYS", "30", "Days until links that are revoked, expired or used up are forgotten"},
    {"SWEEP_INTERVAL", "10min",
     "How often the vault, or the workers of a cluster, look after it; see the list of sweeps"},
    {"SWEEP_INTERVALS", "", "Intervals of single sweeps instead, where they are run: scrub=1h,trash=10min"},
    {"SUSPECT_AFTER", "10s", "A storage node that was silent for so long gets no new chunks"},
    {"DOWN_AFTER", "10min", "The copies of a node that was silent for so long are made again elsewhere"},
    {"JOB_THREADS", "2", "Jobs that each worker does at once"},
};

std::int64_t microseconds(milliseconds time) { return time.count() * 1000; }

}  // namespace

std::span<const process::Setting> Maintenance::table() { return known; }

Maintenance::Maintenance(const process::Config& config)
    : sweepInterval(config.duration("SWEEP_INTERVAL", 100ms, 24h)),
      repairBytesPerS(config.bytes("REPAIR_RATE", 0, INT64_MAX)),
      rebalanceBytesPerS(config.bytes("REBALANCE_RATE", 0, INT64_MAX)),
      jobThreads(static_cast<int>(config.integer("JOB_THREADS", 1, 64))) {
    sweeps.replicationFactor = static_cast<int>(config.integer("REPLICATION_FACTOR", 1, 10));
    sweeps.trashDays = static_cast<int>(config.integer("TRASH_DAYS", 1, 3650));
    sweeps.shareDays = static_cast<int>(config.integer("SHARE_DAYS", 1, 3650));
    sweeps.scrubDays = static_cast<int>(config.integer("SCRUB_DAYS", 1, 3650));
    sweeps.scrubBytesPerS = config.bytes("SCRUB_RATE", 0, INT64_MAX);
    sweeps.unreferencedUs = microseconds(config.duration("GC_AGE", 0ms, 24h * 365));
    sweeps.gcGraceUs = microseconds(config.duration("GC_GRACE", 0ms, 24h * 365));
    sweeps.nodes.suspectAfterUs = microseconds(config.duration("SUSPECT_AFTER", 500ms, 24h));
    sweeps.nodes.downAfterUs = microseconds(config.duration("DOWN_AFTER", 500ms, 24h * 365));
    if (sweeps.nodes.downAfterUs < sweeps.nodes.suspectAfterUs)
        throw Error(ErrorCode::invalidValue, "DOWN_AFTER cannot be shorter than SUSPECT_AFTER.");
    const auto names = Sweeps::names();
    ownIntervals = config.durations("SWEEP_INTERVALS", names, 100ms, 24h * 365);
}

std::vector<std::vector<SweepSchedule::Entry>> Maintenance::schedule() const {
    const auto suspicion = milliseconds(sweeps.nodes.suspectAfterUs / 1000);
    const auto nodesInterval = std::clamp(suspicion / 4, milliseconds(200), milliseconds(2000));
    std::vector<std::vector<SweepSchedule::Entry>> groups = {{{"nodes", nodesInterval}},
                                                             {{"under_replicated", sweepInterval}},
                                                             {{"drain", std::min(sweepInterval, milliseconds(10'000))},
                                                              {"surplus", sweepInterval},
                                                              {"rebalance", sweepInterval},
                                                              {"uploads", sweepInterval},
                                                              {"trash", sweepInterval},
                                                              {"sessions", sweepInterval},
                                                              {"shares", sweepInterval * 6},
                                                              {"versions", sweepInterval * 6},
                                                              {"changes", sweepInterval * 6},
                                                              {"contents", sweepInterval}},
                                                             {{"scrub", sweepInterval},
                                                              {"unreferenced", sweepInterval * 6},
                                                              {"orphans", sweepInterval * 36},
                                                              {"store_trash", sweepInterval * 36}}};
    for (auto& group : groups)
        for (SweepSchedule::Entry& entry : group)
            if (const auto own = ownIntervals.find(entry.name); own != ownIntervals.end()) entry.interval = own->second;
    return groups;
}

std::vector<SweepSchedule::Entry> Maintenance::localSchedule() const {
    std::vector<SweepSchedule::Entry> entries;
    for (const auto& group : schedule()) entries.insert(entries.end(), group.begin(), group.end());
    std::erase_if(entries, [](const SweepSchedule::Entry& entry) { return entry.name == "nodes"; });
    return entries;
}

}  // namespace chunkvault::worker
