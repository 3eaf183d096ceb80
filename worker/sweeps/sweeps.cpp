#include "worker/sweeps/sweeps.h"

#include <algorithm>
#include <future>
#include <unordered_map>
#include <utility>

#include "common/error/error.h"
#include "worker/jobs/throttle.h"

namespace chunkvault::worker {

namespace {

constexpr int rowsAtOnce = 1000;
constexpr int scrubbedAtOnce = 100;
constexpr int voidCopiesAtOnce = 10'000;
constexpr int expiredStepsAtMost = 100;
constexpr Timestamp countedForUs = hourUs;     // between two passes; what was counted longer ago is counted anew
constexpr std::size_t orphansAtMost = 50'000;  // that a pass takes; the next goes on
// Whatever GC_AGE says: a file that is put anew after it was listed has another time then, however coarse those are.
constexpr std::int64_t youngestOrphanUs = 100'000;

bool isCalm(const std::vector<catalog::Store>& stores) {
    return std::ranges::all_of(stores, [](const catalog::Store& store) {
        switch (store.state) {
            case catalog::StoreState::up:
            case catalog::StoreState::drained:
            case catalog::StoreState::removed: return true;
            case catalog::StoreState::joining:
            case catalog::StoreState::suspect:
            case catalog::StoreState::down:
            case catalog::StoreState::draining: break;
        }
        return false;
    });
}

}  // namespace

Sweeps::Sweeps(catalog::Catalog& catalog, Stores stores, JobQueue& queue, const SweepSettings& settings, Clock clock,
               std::stop_token stop, ClockFault clockFault)
    : catalog_(catalog),
      stores_(std::move(stores)),
      queue_(queue),
      settings_(settings),
      clock_(std::move(clock)),
      stop_(std::move(stop)),
      clockFault_(std::move(clockFault)) {}

std::int64_t Sweeps::Cursor::get() const {
    const std::lock_guard lock(mutex_);
    return after_;
}

void Sweeps::Cursor::set(std::int64_t after) {
    const std::lock_guard lock(mutex_);
    after_ = after;
}

std::string Sweeps::held() {
    const auto hold = catalog_.nodes.collectionHold();
    return hold ? "held: " + hold->reason : std::string();
}

std::string Sweeps::wrongClock() {
    std::string fault = clockFault_ ? clockFault_() : std::string();
    return fault.empty() ? fault : "nothing is deleted by age: " + fault;
}

// Shows chunks to look, which says whether it posted a job, from the cursor on; the next pass goes on behind.
template <typename Look>
SweepReport Sweeps::walk(Cursor& cursor, Look&& look) {
    SweepReport report;
    catalog::ChunkRow after{cursor.get()};
    for (;;) {
        throwIfStopped(stop_);
        const auto chunks = catalog_.chunks.auditAfter(after, rowsAtOnce);
        for (const catalog::ChunkAudit& chunk : chunks) {
            ++report.examined;
            if (look(chunk)) ++report.changed;
        }
        if (chunks.size() < rowsAtOnce) {
            cursor.set(0);
            return report;
        }
        after = chunks.back().row;
        if (report.examined >= settings_.examineAtMost || report.changed >= settings_.postAtMost) {
            cursor.set(catalog::valueOf(after));
            report.more = report.changed > 0;
            return report;
        }
    }
}

SweepReport Sweeps::nodes() {
    (void)catalog_.nodes.age(settings_.nodes);
    SweepReport report;
    std::map<catalog::StoreRow, std::string> seen;
    for (const catalog::Store& store : catalog_.chunks.stores(false)) {
        ++report.examined;
        seen[store.row] = store.uuid + std::to_string(static_cast<int>(store.state));
    }
    {
        const std::lock_guard lock(seenMutex_);
        report.changed = std::ranges::count_if(seen, [&](const auto& store) {
            const auto before = seenNodes_.find(store.first);
            return before == seenNodes_.end() || before->second != store.second;
        });
        seenNodes_ = std::move(seen);
    }
    if (report.changed > 0) storesChanged();
    return report;
}

void Sweeps::storesChanged() {
    surplusAt_.set(0);
    rebalanceAt_.set(0);
    underAgain_ = true;
    repairsWanted_ = true;
}

SweepReport Sweeps::underReplicated() {
    SweepReport report;
    repairsWanted_ = false;
    if (underAt_.get() == 0) {
        underAgain_ = false;
        counted_ = {};
    }
    const auto stores = stores_();
    const auto wanted = static_cast<std::size_t>(settings_.replicationFactor);
    const auto end = std::chrono::steady_clock::now() + settings_.passAtMost;
    catalog::ChunkRow after{underAt_.get()};
    for (;;) {
        throwIfStopped(stop_);
        const auto window = catalog_.chunks.underReplicatedAfter(after, rowsAtOnce);
        report.examined += window.examined;
        for (const catalog::ChunkAudit& chunk : window.chunks) {
            const bool lacks = lacksCopies(countCopies(chunk.good, stores), wanted);
            if (!lacks && chunk.bad.empty()) continue;
            counted_.underReplicated += lacks;
            counted_.missing += chunk.good.empty();
            if (lacks && cannotBeHelped(chunk, stores, report)) continue;
            queue_.post({JobKind::repairChunk, catalog::valueOf(chunk.row)});
            ++report.changed;
        }
        if (window.examined == 0) {
            underAt_.set(0);
            report.more = underAgain_;
            break;
        }
        after = window.last;
        report.more = report.changed >= settings_.postAtMost || std::chrono::steady_clock::now() >= end;
        if (report.more) {
            underAt_.set(catalog::valueOf(after));
            break;
        }
    }
    std::int64_t missing = counted_.missing;
    {
        const std::lock_guard lock(shortageMutex_);
        if (underAt_.get() == 0) shortage_ = counted_;
        missing = std::max(missing, shortage_.missing);
    }
    if (missing > 0)
        report.note = std::to_string(missing) +
                      " chunks have no good copy on any store that can be asked: see /admin/storage/at-risk";
    return report;
}

Sweeps::Shortage Sweeps::shortage() const {
    const std::lock_guard lock(shortageMutex_);
    return shortage_;
}

// Posting a repair again and again would change nothing; when stores come back or get room, a later pass posts it.
bool Sweeps::cannotBeHelped(const catalog::ChunkAudit& chunk, const std::vector<LiveStore>& stores,
                            SweepReport& report) {
    if (chunk.good.empty() && chunk.bad.empty()) return true;
    const bool mayBeWhole = std::ranges::any_of(chunk.bad, [&](catalog::StoreRow bad) {
        const LiveStore* const store = storeOf(stores, bad);
        return store != nullptr && store->answers;
    });
    if (mayBeWhole || hasTarget(chunk.id, chunk.good, stores)) return false;
    if (report.note.empty())
        report.note = "no storage node is left that could take the copies that are missing: start or add one";
    return true;
}

SweepReport Sweeps::drain() {
    SweepReport report;
    const auto stores = stores_();
    const auto wanted = static_cast<std::size_t>(settings_.replicationFactor);
    for (const catalog::Store& store : catalog_.chunks.stores(false)) {
        if (store.state != catalog::StoreState::draining) continue;
        if (catalog_.chunks.auditOf(store.row, catalog::ChunkRow{0}, 1).empty()) {
            catalog_.nodes.drained(store.row);
            continue;
        }
        report.more = true;
        catalog::ChunkRow after = drainedTo(store.row);
        for (bool goOn = true; goOn;) {
            throwIfStopped(stop_);
            const auto chunks = catalog_.chunks.auditOf(store.row, after, rowsAtOnce);
            for (const catalog::ChunkAudit& chunk : chunks) {
                ++report.examined;
                const bool lacks = countCopies(chunk.good, stores).wanted < wanted;
                if (lacks && cannotBeHelped(chunk, stores, report)) continue;
                // Only good copies are trimmed.
                const bool bad = std::ranges::find(chunk.bad, store.row) != chunk.bad.end();
                queue_.post({lacks || bad ? JobKind::repairChunk : JobKind::trimChunk, catalog::valueOf(chunk.row)});
                ++report.changed;
            }
            const bool atEnd = chunks.size() < rowsAtOnce;
            after = atEnd ? catalog::ChunkRow{0} : chunks.back().row;
            goOn = !atEnd && report.changed < settings_.postAtMost && report.examined < settings_.examineAtMost;
        }
        setDrainedTo(store.row, after);
    }
    return report;
}

catalog::ChunkRow Sweeps::drainedTo(catalog::StoreRow store) {
    const std::lock_guard lock(drainMutex_);
    return drainAt_[store];
}

void Sweeps::setDrainedTo(catalog::StoreRow store, catalog::ChunkRow after) {
    const std::lock_guard lock(drainMutex_);
    drainAt_[store] = after;
}

SweepReport Sweeps::surplus() {
    if (std::string why = held(); !why.empty()) return {.note = std::move(why)};
    const auto stores = stores_();
    const auto wanted = static_cast<std::size_t>(settings_.replicationFactor);
    return walk(surplusAt_, [&](const catalog::ChunkAudit& chunk) {
        const auto answering = std::ranges::count_if(chunk.good, [&](catalog::StoreRow row) {
            const LiveStore* const store = storeOf(stores, row);
            return store != nullptr && store->answers && store->stays;
        });
        if (static_cast<std::size_t>(answering) <= wanted) return false;
        queue_.post({JobKind::trimChunk, catalog::valueOf(chunk.row)});
        return true;
    });
}

SweepReport Sweeps::rebalance() {
    if (std::string why = held(); !why.empty()) return {.note = std::move(why)};
    if (!isCalm(catalog_.chunks.stores(false))) return {.note = "waiting: not all storage nodes are up"};
    const auto stores = stores_();
    const auto wanted = static_cast<std::size_t>(settings_.replicationFactor);
    return walk(rebalanceAt_, [&](const catalog::ChunkAudit& chunk) {
        auto order = homesOf(chunk.id, chunk.good, stores);
        order.resize(std::min(order.size(), wanted));
        const bool placed = std::ranges::all_of(order, [&](const LiveStore* store) {
            return std::ranges::find(chunk.good, store->row) != chunk.good.end();
        });
        if (placed) return false;
        queue_.post({JobKind::rebalanceChunk, catalog::valueOf(chunk.row)});
        return true;
    });
}

// Holds collection and says why, when more would go than a healthy vault loses. chunks is asked for their number only
// when it matters.
std::string Sweeps::holdAbove(std::int64_t count, const std::function<std::int64_t()>& chunks, const char* what) {
    if (count <= settings_.collectAlways) return {};
    const auto most = std::max(settings_.collectAlways,
                               static_cast<std::int64_t>(settings_.collectAtMost * static_cast<double>(chunks())));
    if (count <= most || catalog_.nodes.collectionAllowed()) return {};
    const std::string reason = "more than " + std::to_string(most) + ' ' + what +
                               ". If that is right (a large account was deleted, say), allow it.";
    catalog_.nodes.holdCollection(reason);
    return "stopped, and nothing was removed: " + reason;
}

// Two walks over all chunks, in as many passes as it takes: one that counts how many would go, and, if that is no more
// than a healthy vault loses, one that has them removed.
SweepReport Sweeps::unreferenced() {
    const std::lock_guard lock(collectionMutex_);
    std::string why = held();
    if (why.empty()) why = wrongClock();
    if (!why.empty()) {
        collection_ = {};
        return {.note = std::move(why)};
    }
    SweepReport report;
    const Timestamp now = clock_(), before = now - settings_.unreferencedUs;
    if (now - std::exchange(collection_.passedAt, now) > countedForUs) collection_ = {.passedAt = now};
    for (;;) {
        throwIfStopped(stop_);
        const auto window = catalog_.chunks.unreferencedAfter(before, collection_.after, rowsAtOnce);
        report.examined += window.examined;
        collection_.after = window.last;
        if (collection_.counted) {
            if (report.note = held(); !report.note.empty()) {
                collection_ = {};
                return report;
            }
            for (const catalog::ChunkRow chunk : window.chunks)
                queue_.post({JobKind::removeChunk, catalog::valueOf(chunk)});
            report.changed += static_cast<std::int64_t>(window.chunks.size());
        } else {
            collection_.examined += window.examined;
            collection_.found += static_cast<std::int64_t>(window.chunks.size());
            collection_.fresh += window.fresh;
        }
        if (window.examined == 0) {
            const Collection done = std::exchange(collection_, {.passedAt = now});
            if (done.counted || done.found == 0) return report;
            report.note = holdAbove(
                done.fresh, [&] { return done.examined; }, "chunks are referred to by nothing");
            if (!report.note.empty()) return report;
            collection_.counted = true;
        }
        report.more = report.changed >= settings_.postAtMost || report.examined >= settings_.examineAtMost;
        if (report.more) return report;
    }
}

SweepReport Sweeps::orphans() {
    if (std::string why = held(); !why.empty()) return {.note = std::move(why)};
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    const std::lock_guard lock(orphansMutex_);
    SweepReport report;
    const auto stores = stores_();
    struct OfStore {
        const LiveStore* live;
        OrphanWalk walk;
        std::vector<Orphan> found;
    };
    std::vector<OfStore> all;
    for (const LiveStore& live : stores)
        if (live.answers) all.push_back({&live, orphansAt_[live.row], {}});
    // The other stores have nothing to do with what goes wrong at one.
    const auto attempt = [&](OfStore& of, const auto& step) {
        try {
            return step(of);
        } catch (const Error& error) {
            if (stop_.stop_requested()) throw;
            report.note = error.what();
            return false;
        }
    };
    // In turns, so that a large one does not keep the others waiting.
    const auto end = std::chrono::steady_clock::now() + settings_.passAtMost;
    std::vector<OfStore> looked;
    for (std::vector<OfStore> left = std::move(all); !left.empty();) {
        std::vector<OfStore> again;
        for (OfStore& of : left) {
            if (!attempt(of, [&](OfStore& at) {
                    report.examined += unknownOf(*at.live, stores, at.walk, at.found);
                    return true;
                }))
                continue;
            const bool goOn =
                of.walk.nextByte < 256 && of.found.size() <= orphansAtMost && std::chrono::steady_clock::now() < end;
            (goOn ? again : looked).push_back(std::move(of));
        }
        left = std::move(again);
    }
    for (OfStore& of : looked) {
        const bool done = attempt(of, [&](OfStore& at) { return takeOrphans(*at.live, at.walk, at.found, report); });
        // What was not taken is looked for again.
        if (!done) continue;
        report.more = report.more || of.walk.nextByte < 256;
        orphansAt_[of.live->row] = of.walk.nextByte < 256 ? of.walk : OrphanWalk{};
    }
    return report;
}

// Looks at the files of one more byte; how many there are.
std::int64_t Sweeps::unknownOf(const LiveStore& live, const std::vector<LiveStore>& stores, OrphanWalk& walk,
                               std::vector<Orphan>& unknown) {
    std::int64_t examined = 0;
    std::optional<ChunkId> after;
    for (bool more = true; more;) {
        throwIfStopped(stop_);
        const KeptPage kept =
            live.store->list(static_cast<std::uint8_t>(walk.nextByte),
                             std::max(settings_.unreferencedUs, youngestOrphanUs), after, maxKeptPage);
        addUnknown(kept.chunks, live, stores, unknown);
        examined += static_cast<std::int64_t>(kept.chunks.size());
        more = kept.more;
        if (more) after = kept.chunks.back().id;
    }
    walk.examined += examined;
    ++walk.nextByte;
    return examined;
}

// False when nothing may be collected.
bool Sweeps::takeOrphans(const LiveStore& live, OrphanWalk& walk, const std::vector<Orphan>& orphans,
                         SweepReport& report) {
    walk.found += static_cast<std::int64_t>(orphans.size());
    if (std::string note = holdAbove(
            walk.found, [&] { return walk.examined; }, "files on one store are unknown to the catalog");
        !note.empty()) {
        report.note = std::move(note);
        return false;
    }
    for (const Orphan& orphan : orphans) {
        throwIfStopped(stop_);
        if (std::string why = held(); !why.empty()) {
            report.note = std::move(why);
            return false;
        }
        // Somebody may have put it there and be about to record it, or have recorded it since.
        if (orphan.chunk && !catalog_.chunks.refuseCopy(*orphan.chunk, live.row)) continue;
        try {
            if (live.store->removeOrphan(orphan.file)) ++report.changed;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::internal) throw;
            report.note = error.what();  // one that cannot be read keeps no others
        }
    }
    return true;
}

void Sweeps::addUnknown(const std::vector<KeptChunk>& kept, const LiveStore& live, const std::vector<LiveStore>& stores,
                        std::vector<Orphan>& unknown) {
    std::vector<ChunkId> ids;
    ids.reserve(kept.size());
    for (const KeptChunk& chunk : kept) ids.push_back(chunk.id);
    std::unordered_map<ChunkId, catalog::ChunkAudit> known;
    for (auto& audit : catalog_.chunks.auditHashes(ids)) known.emplace(audit.id, std::move(audit));
    const auto removing = catalog_.chunks.removing(ids);
    for (const KeptChunk& chunk : kept) {
        if (std::ranges::find(removing, chunk.id) != removing.end()) continue;  // its job is under way
        const auto found = known.find(chunk.id);
        if (found == known.end()) unknown.push_back({chunk, std::nullopt});
        else if (!adopt(live, stores, chunk, found->second)) unknown.push_back({chunk, found->second.row});
    }
}

// True when the file is to stay: one of the copies that are known, or of a chunk that is short of them.
bool Sweeps::adopt(const LiveStore& live, const std::vector<LiveStore>& stores, const KeptChunk& kept,
                   const catalog::ChunkAudit& chunk) {
    const auto has = [&](const std::vector<catalog::StoreRow>& rows) {
        return std::ranges::find(rows, live.row) != rows.end();
    };
    if (has(chunk.good) || has(chunk.bad)) return true;
    if (!lacksCopies(countCopies(chunk.good, stores), static_cast<std::size_t>(settings_.replicationFactor)))
        return false;
    // One that is bad stays as well: it may be the last, and may merely not be readable now.
    if (live.store->check(chunk.id, static_cast<std::uint64_t>(chunk.size)) != CopyState::good) return true;
    if (kept.generation == chunk.generation) {
        catalog_.chunks.replicaGood(chunk.row, live.row, chunk.generation);
    } else {
        // A removal that was decided since may still be on its way: it counts once a repair has put it anew.
        catalog_.chunks.replicaDoubtful(chunk.row, live.row);
        queue_.post({JobKind::repairChunk, catalog::valueOf(chunk.row)});
    }
    return true;
}

SweepReport Sweeps::scrub() {
    SweepReport report;
    // Begun at half of the time, so that every copy has been visited when all of it has passed.
    const Timestamp before = clock_() - settings_.scrubDays * dayUs / 2;
    struct OfStore {
        SweepReport report;
        std::future<void> done;
    };
    const auto stores = stores_();
    std::vector<OfStore> runs(stores.size());
    for (std::size_t i = 0; i < stores.size(); ++i)
        if (stores[i].answers)
            runs[i].done = std::async(std::launch::async, [&, i] { scrubStore(stores[i], before, runs[i].report); });
    for (OfStore& run : runs) {
        if (!run.done.valid()) continue;
        try {
            run.done.get();
        } catch (const Error& error) {
            report.note = error.what();
        }
        report.examined += run.report.examined;
        report.changed += run.report.changed;
        report.more = report.more || run.report.more;
    }
    const auto oldest = catalog_.chunks.oldestVerified();
    if (report.note.empty() && oldest && *oldest < clock_() - settings_.scrubDays * dayUs)
        report.note = "behind: the copy verified longest ago was verified at " + toRfc3339(*oldest);
    return report;
}

void Sweeps::scrubStore(const LiveStore& live, Timestamp before, SweepReport& report) {
    Throttle rate(settings_.scrubBytesPerS);
    const std::stop_callback stopped(stop_, [&] { rate.stop(); });
    const auto end = std::chrono::steady_clock::now() + settings_.passAtMost;
    for (;;) {
        const auto due = catalog_.chunks.dueForScrub(live.row, before, scrubbedAtOnce);
        if (due.empty()) return;
        std::vector<catalog::ChunkRow> good;
        const auto record = [&] { catalog_.chunks.scrubbed(live.row, std::exchange(good, {})); };
        for (const catalog::ReplicaToScrub& replica : due) {
            if (stop_.stop_requested()) break;
            rate.take(replica.size);
            CopyState state = CopyState::bad;
            try {
                state = live.store->check(replica.id, static_cast<std::uint64_t>(replica.size));
            } catch (const Error&) {
                record();
                throw;  // the store cannot be used now
            }
            ++report.examined;
            if (state == CopyState::good) {
                good.push_back(replica.row);
                continue;
            }
            ++report.changed;
            catalog_.chunks.replicaBad(replica.row, live.row);
            queue_.post({JobKind::repairChunk, catalog::valueOf(replica.row)});
        }
        record();
        throwIfStopped(stop_);
        if (std::chrono::steady_clock::now() >= end) {
            report.more = true;
            return;
        }
    }
}

SweepReport Sweeps::contents() {
    SweepReport report;
    const auto contents =
        catalog_.chunks.unverifiedContents(static_cast<catalog::ContentId>(unverifiedAt_.get()), rowsAtOnce);
    for (const auto& content : contents) {
        ++report.examined;
        queue_.post({JobKind::verifyContent, catalog::valueOf(content.content)});
    }
    // Those that cannot be verified now must not keep the others waiting.
    unverifiedAt_.set(contents.size() < rowsAtOnce ? 0 : catalog::valueOf(contents.back().content));
    return report;
}

// Repeats step, which says how many rows it took away, until there are none or the pass is long enough.
void Sweeps::drainRows(SweepReport& report, const std::function<int()>& step) {
    for (int steps = 0; steps < expiredStepsAtMost; ++steps) {
        throwIfStopped(stop_);
        const int done = step();
        report.examined += done;
        report.changed += done;
        if (done == 0) return;
    }
    report.more = true;
}

// Shows the rows behind the cursor window by window; the next pass goes on behind them.
template <typename Id>
void Sweeps::walkWindows(SweepReport& report, Cursor& cursor,
                         const std::function<catalog::SweptWindow<Id>(Id after)>& window) {
    for (Id after{cursor.get()}; report.examined < settings_.examineAtMost;) {
        throwIfStopped(stop_);
        const auto swept = window(after);
        report.examined += swept.examined;
        report.changed += swept.changed;
        after = swept.examined == 0 ? Id{} : swept.last;
        cursor.set(catalog::valueOf(after));
        if (swept.examined == 0) return;
    }
    report.more = true;
}

SweepReport Sweeps::uploads() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    drainRows(report, [&] { return catalog_.uploads.expire(rowsAtOnce); });
    return report;
}

SweepReport Sweeps::shares() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    drainRows(report, [&] { return catalog_.shares.expireTickets(rowsAtOnce); });
    const Timestamp before = clock_() - settings_.shareDays * dayUs;
    walkWindows<catalog::ShareId>(
        report, sharesAt_, [&](catalog::ShareId after) { return catalog_.shares.expire(before, after, rowsAtOnce); });
    return report;
}

SweepReport Sweeps::trash() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    const Timestamp before = clock_() - settings_.trashDays * dayUs;
    drainRows(report, [&] { return catalog_.tree.expireTrash(before, rowsAtOnce); });
    drainRows(report, [&] { return catalog_.tree.purgeStep(rowsAtOnce); });
    drainRows(report, [&] { return catalog_.accounts.finishDeleted(); });
    drainRows(report, [&] { return catalog_.nodes.forgetVoidCopies(voidCopiesAtOnce); });
    return report;
}

SweepReport Sweeps::versions() {
    SweepReport report;
    if (settings_.versionsKeep == 0) return report;
    walkWindows<catalog::FileId>(report, versionsAt_, [&](catalog::FileId after) {
        return catalog_.tree.trimVersions(settings_.versionsKeep, after, rowsAtOnce);
    });
    return report;
}

SweepReport Sweeps::changes() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    const Timestamp before = clock_() - catalog::Changes::daysKept * dayUs;
    walkWindows<catalog::UserId>(
        report, changesAt_, [&](catalog::UserId after) { return catalog_.changes.expire(before, after, rowsAtOnce); });
    return report;
}

SweepReport Sweeps::sessions() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    drainRows(report, [&] { return catalog_.accounts.expireSessions(rowsAtOnce); });
    drainRows(report, [&] { return catalog_.accounts.expireAttempts(rowsAtOnce); });
    return report;
}

SweepReport Sweeps::storeTrash() {
    if (std::string why = wrongClock(); !why.empty()) return {.note = std::move(why)};
    SweepReport report;
    const auto end = std::chrono::steady_clock::now() + settings_.passAtMost;
    auto left = stores_();
    std::erase_if(left, [](const LiveStore& live) { return !live.answers; });
    // In turns, so that a full trash does not keep those of the others waiting.
    for (bool first = true; !left.empty(); first = false) {
        report.more = !first && std::chrono::steady_clock::now() >= end;
        if (report.more) break;
        std::vector<LiveStore> again;
        for (const LiveStore& live : left) {
            throwIfStopped(stop_);
            if (std::string why = held(); !why.empty()) {
                report.note = std::move(why);
                return report;
            }
            try {
                const PurgedTrash trash = live.store->purgeTrash(settings_.gcGraceUs, maxPurgedFiles);
                report.changed += static_cast<std::int64_t>(trash.purged.files);
                report.examined = report.changed;
                if (trash.more) again.push_back(live);
            } catch (const Error& error) {
                report.note = error.what();  // the other stores have nothing to do with it
            }
        }
        left = std::move(again);
    }
    return report;
}

namespace {

struct Named {
    std::string_view name;
    SweepReport (Sweeps::*sweep)();
};
constexpr Named all[] = {
    {"nodes", &Sweeps::nodes},         {"under_replicated", &Sweeps::underReplicated},
    {"drain", &Sweeps::drain},         {"surplus", &Sweeps::surplus},
    {"rebalance", &Sweeps::rebalance}, {"unreferenced", &Sweeps::unreferenced},
    {"orphans", &Sweeps::orphans},     {"scrub", &Sweeps::scrub},
    {"contents", &Sweeps::contents},   {"uploads", &Sweeps::uploads},
    {"shares", &Sweeps::shares},       {"trash", &Sweeps::trash},
    {"versions", &Sweeps::versions},   {"changes", &Sweeps::changes},
    {"sessions", &Sweeps::sessions},   {"store_trash", &Sweeps::storeTrash},
};

}  // namespace

std::optional<SweepReport> Sweeps::run(std::string_view name) {
    for (const Named& named : all)
        if (named.name == name) return (this->*named.sweep)();
    return std::nullopt;
}

std::vector<std::string> Sweeps::names() {
    std::vector<std::string> names;
    for (const Named& named : all) names.emplace_back(named.name);
    return names;
}

}  // namespace chunkvault::worker
