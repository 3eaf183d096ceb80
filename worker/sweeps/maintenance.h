// What of the configuration is about looking after a vault: the same variables for a worker and for a server that is
// its own worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/process/config.h"
#include "worker/sweeps/sweep_schedule.h"
#include "worker/sweeps/sweeps.h"

namespace chunkvault::worker {

struct Maintenance {
    // Throws Error invalidValue with one line that names the variable.
    explicit Maintenance(const process::Config& config);

    [[nodiscard]] static std::span<const process::Setting> table();

    // The sweeps with their intervals, in groups: those of a group follow each other, so that a long one never keeps
    // those of another waiting.
    [[nodiscard]] std::vector<std::vector<SweepSchedule::Entry>> schedule() const;
    // Of a server that is its own worker, whose stores are its own folders.
    [[nodiscard]] std::vector<SweepSchedule::Entry> localSchedule() const;

    SweepSettings sweeps;
    std::chrono::milliseconds sweepInterval;
    std::map<std::string, std::chrono::milliseconds, std::less<>> ownIntervals;  // of sweeps that have one, by name
    std::int64_t repairBytesPerS;     // of copies that are missing; 0: no limit
    std::int64_t rebalanceBytesPerS;  // of copies that lie in the wrong place; 0: no limit
    int jobThreads;
};

}  // namespace chunkvault::worker
