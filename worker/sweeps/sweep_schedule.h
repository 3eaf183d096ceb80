// Runs sweeps at their intervals, at one place at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "worker/sweeps/sweeps.h"

namespace chunkvault::worker {

struct SweepRun {
    std::string_view name;
    SweepReport report;
    std::string_view error;  // empty when it went well
    std::chrono::microseconds time;
};
// Is told of every run in this process, on the thread that ran it.
using OnSweepRun = std::function<void(const SweepRun&)>;

// Who runs which sweep, for several processes on one catalog. Thread-safe.
class SweepLeases {
  public:
    // nodes must outlive this. holder: of this process, unlike any other's.
    SweepLeases(catalog::Nodes& nodes, std::string holder, std::chrono::milliseconds lease = std::chrono::seconds(30));

    // False while it runs already, here or in another process, or when it began anywhere less than ifDue ago. A lease
    // of this process that could not be ended is taken anew at once.
    [[nodiscard]] bool begin(std::string_view name, std::optional<std::chrono::milliseconds> ifDue);
    // Runs a sweep that was begun, on the caller's thread, and renews its lease meanwhile; records and ends it.
    [[nodiscard]] SweepReport run(Sweeps& sweeps, std::string_view name);

  private:
    void end(catalog::SweepRun run) noexcept;

    catalog::Nodes& nodes_;
    const std::string holder_;
    const std::chrono::milliseconds lease_;
    std::mutex mutex_;
    std::set<std::string, std::less<>> running_;  // here
};

// Runs one sweep now on the caller's thread; nullopt when there is none of this name. Waits up to patience for whoever
// runs it already, then throws Error conflict.
[[nodiscard]] std::optional<SweepReport> runLeased(Sweeps& sweeps, SweepLeases& leases, std::string_view name,
                                                   std::chrono::milliseconds patience, const OnSweepRun& onRun);

// A thread that runs a few sweeps, one after the other.
class SweepSchedule {
  public:
    struct Entry {
        std::string name;
        std::chrono::milliseconds interval;
    };
    // leases: nullptr when this process is the only one.
    SweepSchedule(Sweeps& sweeps, std::vector<Entry> entries, SweepLeases* leases, OnSweepRun onRun);
    ~SweepSchedule();  // waits for the sweep that runs

    // Runs one of any name now on the caller's thread, after the one that runs here; without leases only.
    [[nodiscard]] std::optional<SweepReport> runNow(std::string_view name);

  private:
    void work();
    // Whether it should go on soon. atOnce: also when it ran a moment ago.
    bool runDue(const Entry& entry, bool atOnce);
    [[nodiscard]] const Entry* wanted() const;

    Sweeps& sweeps_;
    const std::vector<Entry> entries_;
    SweepLeases* const leases_;
    const OnSweepRun onRun_;
    std::map<const Entry*, bool> more_;  // what the last run here said; of thread_ alone
    std::mutex running_;                 // one sweep at a time
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace chunkvault::worker
