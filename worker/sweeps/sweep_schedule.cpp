#include "worker/sweeps/sweep_schedule.h"

#include <algorithm>
#include <map>

#include "common/error/error.h"

namespace chunkvault::worker {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds firstRunAfter{5000};
constexpr std::chrono::milliseconds askAgainAfter{100};
constexpr std::chrono::milliseconds askForWantedAfter{500};
constexpr std::chrono::milliseconds goOnAfter{10'000};  // when one pass was not enough

std::int64_t microseconds(std::chrono::milliseconds time) { return time.count() * 1000; }

// Keeps a lease while a sweep runs.
class LeaseKeeper {
  public:
    LeaseKeeper(const SweepLeases& leases, std::string_view name)
        : thread_([&leases, name = std::string(name)](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any wake;
              std::unique_lock lock(mutex);
              while (!wake.wait_for(lock, stop, leases.lease / 3, [] { return false; }) && !stop.stop_requested()) {
                  try {
                      leases.nodes.renewSweep(name, leases.holder, microseconds(leases.lease));
                  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the next renewal may come in time
                  }
              }
          }) {}

  private:
    std::jthread thread_;
};

SweepReport runAndRecord(Sweeps& sweeps, const SweepLeases& leases, std::string_view name) {
    catalog::SweepRun run{.name = std::string(name), .holder = leases.holder};
    const auto record = [&] {
        try {
            leases.nodes.endSweep(run);
        } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the lease ends by itself
        }
    };
    try {
        SweepReport report;
        {
            const LeaseKeeper keeper(leases, name);
            report = sweeps.run(name).value_or(SweepReport{});
        }
        run.examined = report.examined;
        run.changed = report.changed;
        run.note = report.note;
        record();
        return report;
    } catch (const std::exception& error) {
        run.error = error.what();
        record();
        throw;
    }
}

}  // namespace

std::optional<SweepReport> runLeased(Sweeps& sweeps, const SweepLeases& leases, std::string_view name,
                                     std::chrono::milliseconds patience) {
    const auto names = Sweeps::names();
    if (std::ranges::find(names, name) == names.end()) return std::nullopt;
    const auto deadline = Steady::now() + patience;
    while (!leases.nodes.beginSweep(name, leases.holder, microseconds(leases.lease), std::nullopt)) {
        if (Steady::now() >= deadline)
            throw Error(ErrorCode::conflict, "This sweep is running already. Look at /admin/sweeps for its result.");
        std::this_thread::sleep_for(askAgainAfter);
    }
    return runAndRecord(sweeps, leases, name);
}

SweepSchedule::SweepSchedule(Sweeps& sweeps, std::vector<Entry> entries, const SweepLeases* leases,
                             std::function<void(const Run&)> onRun)
    : sweeps_(sweeps), entries_(std::move(entries)), leases_(leases), onRun_(std::move(onRun)), thread_([this] {
          work();
      }) {}

SweepSchedule::~SweepSchedule() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

std::optional<SweepReport> SweepSchedule::runNow(std::string_view name) {
    const std::lock_guard lock(running_);
    return sweeps_.run(name);
}

const SweepSchedule::Entry* SweepSchedule::wanted() const {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) { return sweeps_.wanted(entry.name); });
    return found == entries_.end() ? nullptr : &*found;
}

bool SweepSchedule::runDue(const Entry& entry, bool atOnce) {
    const auto begin = Steady::now();
    const auto tell = [&](const SweepReport& report, std::string_view error) {
        onRun_(
            {entry.name, report, error, std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - begin)});
        more_[&entry] = report.more;
        return report.more;
    };
    const auto interval = more_[&entry] ? std::min(entry.interval, goOnAfter) : entry.interval;
    try {
        if (leases_ == nullptr) return tell(runNow(entry.name).value_or(SweepReport{}), "");
        // Another process may have run it meanwhile; a little less than the interval, so that clocks do not make a pass
        // wait for the next one.
        const auto ifDueUs = atOnce ? std::nullopt : std::optional(microseconds(interval) * 9 / 10);
        if (leases_->nodes.beginSweep(entry.name, leases_->holder, microseconds(leases_->lease), ifDueUs))
            return tell(runAndRecord(sweeps_, *leases_, entry.name), "");
        return false;
    } catch (const std::exception& error) {
        return tell({}, error.what());
    }
}

void SweepSchedule::work() {
    std::multimap<Steady::time_point, const Entry*> due;
    for (const Entry& entry : entries_) due.emplace(Steady::now() + std::min(entry.interval, firstRunAfter), &entry);
    auto askAt = Steady::now();
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (due.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto now = Steady::now();
        const Entry* const asked = now < askAt ? nullptr : wanted();
        if (asked != nullptr) askAt = now + askForWantedAfter;  // another process may be at it
        const auto first =
            asked == nullptr ? due.begin() : std::ranges::find(due, asked, [](const auto& at) { return at.second; });
        if (asked == nullptr && first->first > now) {
            changed_.wait_until(lock, std::min(first->first, now + askForWantedAfter));
            continue;
        }
        const Entry* entry = first->second;
        due.erase(first);
        lock.unlock();
        const bool more = runDue(*entry, asked != nullptr);
        lock.lock();
        due.emplace(Steady::now() + (more ? std::min(entry->interval, goOnAfter) : entry->interval), entry);
    }
}

}  // namespace chunkvault::worker
