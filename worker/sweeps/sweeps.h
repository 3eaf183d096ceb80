// What keeps truth and disks in step: each sweep looks at a bounded part of the catalog or of the stores and mends or
// posts what it finds. Run by one thread; safe if another process runs them too.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "database/catalog/catalog.h"
#include "worker/jobs/stores.h"
#include "worker/queue/job_queue.h"

namespace chunkvault::worker {

struct SweepReport {
    std::int64_t examined = 0;
    std::int64_t changed = 0;
    std::string note;  // why it stopped early, if it did
};

struct SweepSettings {
    int replicationFactor = 3;
    int scrubDays = 30;
    std::int64_t gcGraceUs = 7 * dayUs;    // how long removed files stay in a store's trash
    std::int64_t unreferencedUs = hourUs;  // how old a chunk that nothing refers to must be
    int trashDays = 30;
    double collectAtMost = 0.05;        // of all chunks in one pass; more stops the pass and alarms
    std::int64_t collectAlways = 1000;  // a pass may take this many whatever the share
    std::int64_t batch = 1000;          // rows looked at in one query
};

class Sweeps {
  public:
    Sweeps(catalog::Catalog& catalog, Stores stores, JobQueue& queue, const SweepSettings& settings, Clock clock);

    SweepReport underReplicated();  // chunks short of copies, or with bad ones: posts repairs
    SweepReport unreferenced();     // chunks that nothing refers to: removes them
    SweepReport orphans();          // files on the stores that the catalog does not know: to the store's trash
    SweepReport scrub();            // replicas not verified within scrubDays: reads them; a day's share at a time
    SweepReport contents();         // whole hashes only claimed: posts verifications
    SweepReport expired();          // uploads, sessions, tickets, attempts, trash, purged rows, deleted users
    SweepReport storeTrash();       // removed files beyond their grace

    // By its name, as in the API.
    [[nodiscard]] std::optional<SweepReport> run(std::string_view name);
    [[nodiscard]] static std::string names();

  private:
    void remove(const catalog::ChunkAudit& chunk, const std::vector<LiveStore>& stores, SweepReport& report);

    catalog::Catalog& catalog_;
    Stores stores_;
    JobQueue& queue_;
    const SweepSettings settings_;
    const Clock clock_;
};

// Runs each sweep at its interval on a thread of its own.
class SweepSchedule {
  public:
    struct Entry {
        std::string name;
        std::chrono::milliseconds interval;
    };
    // onRun is told of every run; error is empty when it went well.
    SweepSchedule(Sweeps& sweeps, std::vector<Entry> entries,
                  std::function<void(const std::string& name, const SweepReport&, const std::string& error)> onRun);
    ~SweepSchedule();  // waits for the sweep that runs

    // Runs one now on the caller's thread, after the one that runs.
    [[nodiscard]] std::optional<SweepReport> runNow(std::string_view name);

  private:
    void work();

    Sweeps& sweeps_;
    const std::vector<Entry> entries_;
    const std::function<void(const std::string&, const SweepReport&, const std::string&)> onRun_;
    std::mutex running_;  // one sweep at a time
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace chunkvault::worker
