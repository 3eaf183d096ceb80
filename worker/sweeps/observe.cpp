#include "worker/sweeps/observe.h"

namespace chunkvault::worker {

using process::Level;

void observeSweep(process::Metrics& metrics, process::Log& log, const SweepRun& run) {
    const std::map<std::string, std::string> labels{{"sweep", std::string(run.name)}};
    metrics.counter("chunkvault_sweep_runs_total", "Sweeps that ended", labels).Increment();
    metrics.counter("chunkvault_sweep_failures_total", "Sweeps that failed", labels)
        .Increment(run.error.empty() ? 0 : 1);
    metrics.counter("chunkvault_sweep_examined_total", "What sweeps looked at", labels)
        .Increment(static_cast<double>(run.report.examined));
    metrics.counter("chunkvault_sweep_changed_total", "What sweeps mended or posted", labels)
        .Increment(static_cast<double>(run.report.changed));
    metrics.counter("chunkvault_sweep_seconds_total", "Time spent in sweeps", labels)
        .Increment(static_cast<double>(run.time.count()) / 1e6);
    const bool alarming = !run.error.empty() || !run.report.note.empty();
    if (!alarming && run.report.changed == 0) return;
    log.write(alarming ? Level::warning : Level::info, "sweep",
              {{"name", run.name},
               {"examined", run.report.examined},
               {"changed", run.report.changed},
               {"note", std::string(run.error) + run.report.note},
               {"ms", static_cast<double>(run.time.count()) / 1000}});
}

void observeFailedJob(process::Log& log, const Job& job, const char* what, bool givenUp) {
    log.write(givenUp ? Level::error : Level::warning, "job_failed",
              {{"job", toString(job)}, {"what", what}, {"given_up", givenUp}});
}

void observeNodeTimes(process::Log& log, const std::string& difference) {
    if (!difference.empty()) log.write(Level::warning, "node_times_differ", {{"what", difference}});
}

void observeWrongAnswer(process::Metrics& metrics, process::Log& log, const std::string& nodeId,
                        const WrongAnswer& answer) {
    metrics
        .counter("chunkvault_wrong_answers_total", "Answers unlike the copy that the node itself finds good",
                 {{"node", nodeId}})
        .Increment();
    log.write(Level::error, "wrong_answer",
              {{"node", nodeId},
               {"chunk", answer.chunk.toHex()},
               {"what", "the node finds its copy good, and gives something else: " + answer.what}});
}

void observeShortage(process::Metrics& metrics, const Sweeps& sweeps) {
    metrics.gauge("chunkvault_chunks_under_replicated",
                  "Chunks with fewer good copies than wanted, as the last whole look for them here has found",
                  [&] { return static_cast<double>(sweeps.shortage().underReplicated); });
    metrics.gauge("chunkvault_chunks_missing", "The same, chunks without a good copy on a store that can be asked",
                  [&] { return static_cast<double>(sweeps.shortage().missing); });
}

void observeJobs(process::Metrics& metrics, const Jobs& jobs) {
    metrics.counter("chunkvault_chunks_repaired_total", "Chunks brought back to their number of copies",
                    [&] { return static_cast<double>(jobs.repaired()); });
    metrics.counter("chunkvault_chunks_rebalanced_total", "Chunks that got a copy where placement wants it",
                    [&] { return static_cast<double>(jobs.rebalanced()); });
    metrics.counter("chunkvault_copies_trimmed_total", "Copies that were too many",
                    [&] { return static_cast<double>(jobs.trimmed()); });
    metrics.counter("chunkvault_chunks_removed_total", "Chunks that were collected",
                    [&] { return static_cast<double>(jobs.removed()); });
}

}  // namespace chunkvault::worker
