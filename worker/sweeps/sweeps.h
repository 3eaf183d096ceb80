// What keeps truth and disks in step: each sweep looks at a bounded part of the catalog or of the stores and mends or
// posts what it finds. Any thread, but one sweep of a name at a time; safe if another process runs it too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/catalog.h"
#include "worker/jobs/stores.h"
#include "worker/queue/job_queue.h"

namespace chunkvault::worker {

struct SweepReport {
    std::int64_t examined = 0;
    std::int64_t changed = 0;
    std::string note;   // why it stopped early or did nothing, if so
    bool more = false;  // there is more to do than one pass takes
};

struct SweepSettings {
    int replicationFactor = 3;
    int scrubDays = 30;
    std::int64_t scrubBytesPerS = 0;       // that a store reads for the scrub; 0: no limit
    std::int64_t gcGraceUs = 7 * dayUs;    // how long removed files stay in a store's trash
    std::int64_t unreferencedUs = hourUs;  // how old a chunk that nothing refers to must be
    int trashDays = 30;
    int shareDays = 30;                  // that a link is kept after it was revoked, has expired or was used up
    int versionsKeep = 0;                // of each file; 0: the sweep takes none away
    double collectAtMost = 0.05;         // of all chunks; more wait for an administrator's yes
    std::int64_t collectAlways = 1000;   // so many may go whatever the share
    std::int64_t postAtMost = 5000;      // jobs that one pass posts; the next goes on behind them
    std::int64_t examineAtMost = 50000;  // chunks that a pass which looks at all of them looks at
    // Of a scrub, of a look for missing copies or orphans, and of emptying the stores' trash; the next goes on there.
    std::chrono::milliseconds passAtMost{60'000};
    catalog::NodeTimes nodes;
};

class Sweeps {
  public:
    // Why the clock of this process cannot be relied on; empty when it can. Throws Error when that cannot be told.
    using ClockFault = std::function<std::string()>;

    // All must outlive this. After stop was requested, sweeps end early. What deletes by age does nothing while there
    // is a clockFault, which is asked when a pass begins.
    Sweeps(catalog::Catalog& catalog, Stores stores, JobQueue& queue, const SweepSettings& settings, Clock clock,
           std::stop_token stop = {}, ClockFault clockFault = {});

    SweepReport nodes();            // storage nodes that fell silent: their states
    SweepReport underReplicated();  // chunks short of copies, or with bad ones: posts repairs
    SweepReport drain();            // nodes that are being drained: posts copies elsewhere, then removals
    SweepReport surplus();          // chunks with more copies than wanted: posts removals of the extra ones
    SweepReport rebalance();        // copies that placement wants elsewhere today: posts moves, when all nodes are well
    SweepReport unreferenced();     // chunks that nothing refers to: posts their collection
    SweepReport orphans();     // files on the stores without a row: adopted where wanted, else to the store's trash
    SweepReport scrub();       // replicas not verified within scrubDays: has them read
    SweepReport contents();    // whole hashes only claimed: posts verifications
    SweepReport uploads();     // those that have expired
    SweepReport shares();      // links that have been over for shareDays; tickets that have expired
    SweepReport trash();       // what lay in the trash for trashDays; rows of what was deleted for good, or is void
    SweepReport versions();    // more of a file than versionsKeep
    SweepReport changes();     // what GET /changes tells, after Changes::daysKept
    SweepReport sessions();    // those that have expired, and counted attempts
    SweepReport storeTrash();  // removed files beyond their grace

    // Somebody saw that a store came, went or changed its state.
    void storesChanged();
    // Whether the sweep of this name has something to do before it is due: under_replicated, since storesChanged, which
    // a pass of nodes here calls as well, until its next pass begins.
    [[nodiscard]] bool wanted(std::string_view name) const { return repairsWanted_ && name == "under_replicated"; }

    // As the last whole look for them has found it.
    struct Shortage {
        std::int64_t underReplicated = 0;  // chunks with fewer good copies than wanted
        std::int64_t missing = 0;          // of these, those with none
    };
    [[nodiscard]] Shortage shortage() const;

    // By its name, as in the API.
    [[nodiscard]] std::optional<SweepReport> run(std::string_view name);
    [[nodiscard]] static std::vector<std::string> names();

  private:
    // Where a sweep that takes several passes over everything goes on.
    class Cursor {
      public:
        [[nodiscard]] std::int64_t get() const;
        void set(std::int64_t after);

      private:
        mutable std::mutex mutex_;
        std::int64_t after_ = 0;
    };

    // Why nothing may be collected now; empty when it may.
    [[nodiscard]] std::string held();
    // The same for what is deleted for its age.
    [[nodiscard]] std::string wrongClock();
    [[nodiscard]] std::string holdAbove(std::int64_t count, const std::function<std::int64_t()>& chunks,
                                        const char* what);
    [[nodiscard]] catalog::ChunkRow drainedTo(catalog::StoreRow store);
    void setDrainedTo(catalog::StoreRow store, catalog::ChunkRow after);
    template <typename Look>
    SweepReport walk(Cursor& cursor, Look&& look);
    void drainRows(SweepReport& report, const std::function<int()>& step);
    template <typename Id>
    void walkWindows(SweepReport& report, Cursor& cursor,
                     const std::function<catalog::SweptWindow<Id>(Id after)>& window);
    [[nodiscard]] static bool cannotBeHelped(const catalog::ChunkAudit& chunk, const std::vector<LiveStore>& stores,
                                             SweepReport& report);
    void scrubStore(const LiveStore& live, Timestamp before, SweepReport& report);
    // A look at all files of a store, in as many passes as it takes.
    struct OrphanWalk {
        int nextByte = 0;  // the first one of the ids that come next
        std::int64_t examined = 0, found = 0;
    };
    struct Orphan {
        KeptChunk file;
        std::optional<catalog::ChunkRow> chunk;  // one that is known, but not as having a copy there
    };
    std::int64_t unknownOf(const LiveStore& live, const std::vector<LiveStore>& stores, OrphanWalk& walk,
                           std::vector<Orphan>& unknown);
    void addUnknown(const std::vector<KeptChunk>& kept, const LiveStore& live, const std::vector<LiveStore>& stores,
                    std::vector<Orphan>& unknown);
    bool takeOrphans(const LiveStore& live, OrphanWalk& walk, const std::vector<Orphan>& orphans, SweepReport& report);
    [[nodiscard]] bool adopt(const LiveStore& live, const std::vector<LiveStore>& stores, const KeptChunk& kept,
                             const catalog::ChunkAudit& chunk);

    catalog::Catalog& catalog_;
    Stores stores_;
    JobQueue& queue_;
    const SweepSettings settings_;
    const Clock clock_;
    const std::stop_token stop_;
    const ClockFault clockFault_;
    Cursor underAt_, surplusAt_, rebalanceAt_, unverifiedAt_, sharesAt_, versionsAt_, changesAt_;
    std::atomic<bool> repairsWanted_ = false;
    std::atomic<bool> underAgain_ = false;  // from the beginning, because stores changed while a pass was half way
    Shortage counted_;                      // by the look that is under way; used by underReplicated alone
    mutable std::mutex shortageMutex_;
    Shortage shortage_;
    std::mutex drainMutex_;
    std::map<catalog::StoreRow, catalog::ChunkRow> drainAt_;  // where the next pass over a draining store goes on
    std::mutex orphansMutex_;
    std::map<catalog::StoreRow, OrphanWalk> orphansAt_;
    struct Collection {
        bool counted = false;  // how many would go is known, and it is no more than may go
        catalog::ChunkRow after{};
        std::int64_t examined = 0, found = 0, fresh = 0;  // by the walk that counts
        Timestamp passedAt = 0;                           // of the last pass
    };
    std::mutex collectionMutex_;
    Collection collection_;
    std::mutex seenMutex_;
    std::map<catalog::StoreRow, std::string> seenNodes_;  // their stores and states at the last look
};

}  // namespace chunkvault::worker
