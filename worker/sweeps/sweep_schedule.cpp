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

// Tells of what run does, unless that is nothing.
template <typename DoRun>
std::optional<SweepReport> told(std::string_view name, const OnSweepRun& onRun, DoRun&& run) {
    const auto begin = Steady::now();
    const auto tell = [&](const SweepReport& report, std::string_view error) {
        onRun({name, report, error, std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - begin)});
    };
    try {
        std::optional<SweepReport> report = run();
        if (report) tell(*report, "");
        return report;
    } catch (const std::exception& error) {
        tell({}, error.what());
        throw;
    }
}

}  // namespace

SweepLeases::SweepLeases(catalog::Nodes& nodes, std::string holder, std::chrono::milliseconds lease)
    : nodes_(nodes), holder_(std::move(holder)), lease_(lease) {}

bool SweepLeases::begin(std::string_view name, std::optional<std::chrono::milliseconds> ifDue) {
    {
        const std::lock_guard lock(mutex_);
        if (!running_.emplace(name).second) return false;
    }
    bool begun = false;
    const auto forget = [&] {
        const std::lock_guard lock(mutex_);
        running_.erase(running_.find(name));
    };
    try {
        begun = nodes_.beginSweep(name, holder_, microseconds(lease_),
                                  ifDue ? std::optional(microseconds(*ifDue)) : std::nullopt);
    } catch (...) {
        forget();
        throw;
    }
    if (!begun) forget();
    return begun;
}

SweepReport SweepLeases::run(Sweeps& sweeps, std::string_view name) {
    catalog::SweepRun run{.name = std::string(name), .holder = holder_};
    try {
        SweepReport report;
        {
            const std::jthread keeper([&](const std::stop_token& stop) {
                std::mutex mutex;
                std::condition_variable_any wake;
                std::unique_lock lock(mutex);
                while (!wake.wait_for(lock, stop, lease_ / 3, [] { return false; }) && !stop.stop_requested()) {
                    try {
                        nodes_.renewSweep(name, holder_, microseconds(lease_));
                    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the next renewal may come in time
                    }
                }
            });
            report = sweeps.run(name).value_or(SweepReport{});
        }
        run.examined = report.examined;
        run.changed = report.changed;
        run.note = report.note;
        end(std::move(run));
        return report;
    } catch (const std::exception& error) {
        run.error = error.what();
        end(std::move(run));
        throw;
    }
}

void SweepLeases::end(catalog::SweepRun run) noexcept {
    try {
        nodes_.endSweep(run);
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the lease ends by itself, or is taken anew here
    }
    const std::lock_guard lock(mutex_);
    running_.erase(run.name);
}

std::optional<SweepReport> runLeased(Sweeps& sweeps, SweepLeases& leases, std::string_view name,
                                     std::chrono::milliseconds patience, const OnSweepRun& onRun) {
    const auto names = Sweeps::names();
    if (std::ranges::find(names, name) == names.end()) return std::nullopt;
    const auto deadline = Steady::now() + patience;
    while (!leases.begin(name, std::nullopt)) {
        if (Steady::now() >= deadline)
            throw Error(ErrorCode::conflict, "This sweep is running already. Look at /admin/sweeps for its result.");
        std::this_thread::sleep_for(askAgainAfter);
    }
    return told(name, onRun, [&] { return std::optional(leases.run(sweeps, name)); });
}

SweepSchedule::SweepSchedule(Sweeps& sweeps, std::vector<Entry> entries, SweepLeases* leases, OnSweepRun onRun)
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
    return told(name, onRun_, [&] { return sweeps_.run(name); });
}

const SweepSchedule::Entry* SweepSchedule::wanted() const {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) { return sweeps_.wanted(entry.name); });
    return found == entries_.end() ? nullptr : &*found;
}

bool SweepSchedule::runDue(const Entry& entry, bool atOnce) {
    const auto interval = more_[&entry] ? std::min(entry.interval, goOnAfter) : entry.interval;
    // Another process may have run it meanwhile; a little less than the interval, so that clocks do not make a pass
    // wait for the next one.
    const auto ifDue = atOnce ? std::nullopt : std::optional(interval * 9 / 10);
    const auto runHere = [&]() -> std::optional<SweepReport> {
        if (!leases_->begin(entry.name, ifDue)) return std::nullopt;
        return leases_->run(sweeps_, entry.name);
    };
    try {
        const auto report = leases_ == nullptr ? runNow(entry.name) : told(entry.name, onRun_, runHere);
        if (!report) return false;
        more_[&entry] = report->more;
        return report->more;
    } catch (const std::exception&) {  // it was told
        more_[&entry] = false;
        return false;
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
