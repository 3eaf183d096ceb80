// What operators see of sweeps and jobs: log lines and metrics, the same in a worker and in a server that is its own.
#pragma once

#include "common/process/log.h"
#include "common/process/metrics.h"
#include "worker/jobs/jobs.h"
#include "worker/sweeps/sweep_schedule.h"

namespace chunkvault::worker {

// A line when something changed or went wrong; counters by the sweep's name.
void observeSweep(process::Metrics& metrics, process::Log& log, const SweepRun& run);

void observeFailedJob(process::Log& log, const Job& job, const char* what, bool givenUp);

// difference: as NodeTimesCheck gives it. A line unless it is empty.
void observeNodeTimes(process::Log& log, const std::string& difference);

// A line, and a counter by the node.
void observeWrongAnswer(process::Metrics& metrics, process::Log& log, const std::string& nodeId,
                        const WrongAnswer& answer);

// sweeps must outlive metrics' last scrape.
void observeShortage(process::Metrics& metrics, const Sweeps& sweeps);

// jobs must outlive metrics' last scrape.
void observeJobs(process::Metrics& metrics, const Jobs& jobs);

}  // namespace chunkvault::worker
