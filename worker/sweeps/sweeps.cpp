#include "worker/sweeps/sweeps.h"

#include <algorithm>
#include <unordered_set>

#include "common/error/error.h"

namespace chunkvault::worker {

namespace {

constexpr int rowsAtOnce = 1000;

}  // namespace

Sweeps::Sweeps(catalog::Catalog& catalog, Stores stores, JobQueue& queue, const SweepSettings& settings, Clock clock)
    : catalog_(catalog), stores_(std::move(stores)), queue_(queue), settings_(settings), clock_(std::move(clock)) {}

SweepReport Sweeps::underReplicated() {
    SweepReport report;
    const auto wanted = static_cast<std::size_t>(settings_.replicationFactor);
    catalog::ChunkRow after{0};
    for (auto chunks = catalog_.chunks.auditAfter(after, rowsAtOnce); !chunks.empty();
         chunks = catalog_.chunks.auditAfter(after, rowsAtOnce)) {
        for (const catalog::ChunkAudit& chunk : chunks) {
            ++report.examined;
            if (chunk.good.size() >= wanted && chunk.bad.empty()) continue;
            queue_.post({JobKind::repairChunk, catalog::valueOf(chunk.row)});
            ++report.changed;
        }
        after = chunks.back().row;
    }
    return report;
}

SweepReport Sweeps::unreferenced() {
    SweepReport report;
    const auto stores = stores_();
    const std::int64_t most = std::max(
        settings_.collectAlways,
        static_cast<std::int64_t>(settings_.collectAtMost * static_cast<double>(catalog_.chunks.totals().chunks)));
    const Timestamp before = clock_() - settings_.unreferencedUs;
    catalog::ChunkRow after{0};
    for (auto chunks = catalog_.chunks.unreferenced(before, after, rowsAtOnce); !chunks.empty();
         chunks = catalog_.chunks.unreferenced(before, after, rowsAtOnce)) {
        for (const catalog::ChunkAudit& chunk : chunks) {
            if (report.changed >= most) {
                report.note = "stopped: more chunks are unreferenced than one pass may remove";
                return report;
            }
            ++report.examined;
            remove(chunk, stores, report);
        }
        after = chunks.back().row;
    }
    return report;
}

void Sweeps::remove(const catalog::ChunkAudit& chunk, const std::vector<LiveStore>& stores, SweepReport& report) {
    const auto generation = catalog_.chunks.beginRemove(chunk.row);
    if (!generation) return;
    // Its row may go only when no store can still carry out this removal later: a new life begins at generation 1.
    bool everywhere = chunk.others.empty();
    for (const LiveStore& store : stores) {
        try {
            everywhere = store.store->remove(chunk.id, *generation) && everywhere;
        } catch (const Error&) {
            everywhere = false;
        }
    }
    if (everywhere && catalog_.chunks.finishRemove(chunk.row, *generation)) ++report.changed;
}

SweepReport Sweeps::orphans() {
    SweepReport report;
    const Timestamp before = clock_() - settings_.unreferencedUs;
    for (const LiveStore& live : stores_()) {
        for (int byte = 0; byte < 256; ++byte) {
            const auto kept = live.store->list(static_cast<std::uint8_t>(byte), before);
            std::vector<ChunkId> ids;
            for (const KeptChunk& chunk : kept) ids.push_back(chunk.id);
            const auto known = catalog_.chunks.known(ids);
            const std::unordered_set<ChunkId> wanted(known.begin(), known.end());
            for (const KeptChunk& chunk : kept) {
                ++report.examined;
                if (!wanted.contains(chunk.id) && live.store->removeOrphan(chunk.id, chunk.generation, before))
                    ++report.changed;
            }
        }
    }
    return report;
}

SweepReport Sweeps::scrub() {
    SweepReport report;
    // Begun at half of the time, so that every copy has been visited when all of it has passed.
    const Timestamp before = clock_() - settings_.scrubDays * dayUs / 2;
    for (const LiveStore& live : stores_()) {
        const auto due = catalog_.chunks.dueForScrub(live.row, before, static_cast<int>(settings_.batch));
        std::vector<catalog::ChunkRow> good;
        for (const catalog::ReplicaToScrub& replica : due) {
            ++report.examined;
            if (live.store->check(replica.id, static_cast<std::uint64_t>(replica.size)) == CopyState::good) {
                good.push_back(replica.row);
                continue;
            }
            ++report.changed;
            catalog_.chunks.replicaBad(replica.row, live.row);
            queue_.post({JobKind::repairChunk, catalog::valueOf(replica.row)});
        }
        catalog_.chunks.scrubbed(live.row, good);
    }
    return report;
}

SweepReport Sweeps::contents() {
    SweepReport report;
    for (const auto& content : catalog_.chunks.unverifiedContents(rowsAtOnce)) {
        ++report.examined;
        queue_.post({JobKind::verifyContent, catalog::valueOf(content.content)});
    }
    return report;
}

SweepReport Sweeps::expired() {
    SweepReport report;
    const auto drain = [&](auto&& step) {
        for (int done = step(); done > 0; done = step()) report.changed += done;
    };
    drain([&] { return catalog_.uploads.expire(rowsAtOnce); });
    drain([&] { return catalog_.tree.expireTrash(clock_() - settings_.trashDays * dayUs, rowsAtOnce); });
    drain([&] { return catalog_.tree.purgeStep(rowsAtOnce); });
    drain([&] { return catalog_.accounts.finishDeleted(); });
    drain([&] { return catalog_.accounts.expireSessions(rowsAtOnce); });
    drain([&] { return catalog_.accounts.expireAttempts(rowsAtOnce); });
    drain([&] { return catalog_.shares.expireTickets(rowsAtOnce); });
    report.examined = report.changed;
    return report;
}

SweepReport Sweeps::storeTrash() {
    SweepReport report;
    for (const LiveStore& live : stores_())
        report.changed += static_cast<std::int64_t>(live.store->purgeTrash(clock_() - settings_.gcGraceUs).files);
    report.examined = report.changed;
    return report;
}

namespace {

struct Named {
    std::string_view name;
    SweepReport (Sweeps::*sweep)();
};
constexpr Named all[] = {
    {"under_replicated", &Sweeps::underReplicated},
    {"unreferenced", &Sweeps::unreferenced},
    {"orphans", &Sweeps::orphans},
    {"scrub", &Sweeps::scrub},
    {"contents", &Sweeps::contents},
    {"expired", &Sweeps::expired},
    {"store_trash", &Sweeps::storeTrash},
};

}  // namespace

std::optional<SweepReport> Sweeps::run(std::string_view name) {
    for (const Named& named : all)
        if (named.name == name) return (this->*named.sweep)();
    return std::nullopt;
}

std::string Sweeps::names() {
    std::string names;
    for (const Named& named : all) names += (names.empty() ? "" : ", ") + std::string(named.name);
    return names;
}

SweepSchedule::SweepSchedule(Sweeps& sweeps, std::vector<Entry> entries,
                             std::function<void(const std::string&, const SweepReport&, const std::string&)> onRun)
    : sweeps_(sweeps), entries_(std::move(entries)), onRun_(std::move(onRun)), thread_([this] { work(); }) {}

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

void SweepSchedule::work() {
    using Steady = std::chrono::steady_clock;
    std::multimap<Steady::time_point, const Entry*> due;
    for (const Entry& entry : entries_)
        due.emplace(Steady::now() + std::min(entry.interval, std::chrono::milliseconds(5000)), &entry);
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (due.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto first = due.begin();
        if (first->first > Steady::now()) {
            changed_.wait_until(lock, first->first);
            continue;
        }
        const Entry* entry = first->second;
        due.erase(first);
        lock.unlock();
        SweepReport report;
        std::string failure;
        try {
            report = runNow(entry->name).value_or(SweepReport{});
        } catch (const std::exception& error) {
            failure = error.what();
        }
        onRun_(entry->name, report, failure);
        lock.lock();
        due.emplace(Steady::now() + entry->interval, entry);
    }
}

}  // namespace chunkvault::worker
