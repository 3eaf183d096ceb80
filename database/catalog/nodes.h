// The life of stores: who has reported when, what that makes of them, and what an operator may do with them; and the
// leases of the sweeps. Thread-safe. Times are of the database's clock, which all who use it share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;

// What a storage node says of itself with every beat, and an embedded server of each of its folders.
struct NodeReport {
    std::string nodeId;
    std::string storeId;  // the UUID in its marker
    std::string zone;
    std::string url;  // "http://host:port"; empty: a folder of this process
    std::int64_t capacityBytes;
    std::int64_t freeBytes;   // above its reserve
    bool mounted;             // the folder is a mount point of its own
    std::int64_t catalogSeq;  // the highest that this store has seen
    std::string problem;      // empty, or why the store cannot be used now
    bool stopping = false;    // the process ends in order, and says so
    std::int64_t number = 0;  // above that of the node's report before; 0: of this process, which nobody else can send
};

// What the catalog makes of a report.
struct NodeVerdict {
    StoreRow row;
    StoreState state;
    std::int64_t catalogSeq;  // for the store to remember
    bool mustBeReached;       // it is joining, or came back, or its URL is new: reach it, then call reached
    // Set when the report was recorded before, or came too late: it changed nothing. The number of the last one.
    std::optional<std::int64_t> outdatedBy;
};

struct NodeTimes {
    std::int64_t suspectAfterUs = 10 * secondUs;
    std::int64_t downAfterUs = 600 * secondUs;
    friend bool operator==(const NodeTimes&, const NodeTimes&) = default;
};

// What would be missing without a store.
struct StoreRole {
    std::int64_t replicas;     // good copies on it
    std::int64_t bytes;        // of these
    std::int64_t onlyCopies;   // chunks with no good copy on any other live store
    std::int64_t notReadable;  // chunks with no good copy on any other store that answers: up or draining
    std::int64_t shortCopies;  // chunks that would have fewer than REPLICATION_FACTOR good copies on other stores that
                               // are up
    std::int64_t placeless;    // of these, chunks for which fewer than REPLICATION_FACTOR other stores that are up
                               // have a good copy or room for one
};

struct FileAtRisk {
    FileId file;
    UserId owner;
    std::string path;            // "/a/b/name"
    std::int64_t copiesPresent;  // good ones on live stores, of the chunk with the fewest: 0 or 1
};

// A database that was put back to an earlier state does not know what was stored since: nothing may be collected until
// somebody has looked.
struct CollectionHold {
    Timestamp since;
    std::string reason;
};

struct SweepRun {
    std::string name;
    std::optional<Timestamp> startedAt;
    std::optional<Timestamp> finishedAt;
    std::int64_t examined = 0;
    std::int64_t changed = 0;
    std::string note;    // why it stopped early, if it did
    std::string error;   // empty when it went well
    std::string holder;  // who runs it now; empty: nobody
};

class Nodes {
  public:
    Nodes(Database& database, int replicationFactor);

    // One transaction: the row of report.nodeId (new ones are joining), last seen now unless it has a problem; another
    // storeId than before: an empty disk, with a row of its own, and what was on the other is void at once. Raises the
    // catalog's seq, and holds collection when the store has seen a higher one.
    // Throws conflict when the node was removed; when it was a mount point before, its storeId is another now and it is
    // none any more (its disk is not mounted); when another store still reports under this nodeId, which it does until
    // it said that it stops, or has a problem and the report comes from the same url, or was silent for downAfterUs;
    // and when storeId belongs to another node. The row stays as it was.
    NodeVerdict report(const NodeReport& report, const NodeTimes& times = {});
    // What report would say of a node that has no marker yet: may it format its folder? Throws conflict as report does.
    void requireMayFormat(std::string_view nodeId, std::string_view url, bool mounted, const NodeTimes& times = {});
    // The node answered at its URL as the store it said it is: up, or draining, or drained.
    void reached(StoreRow store);
    // Sweep, and the watching of API servers: by the time of the last report up, suspect or down. Draining and drained
    // ones too come back as they were. Folders of a server of its own are watched by that server. Gives the stores
    // whose state changed, as they are now.
    std::vector<Store> age(const NodeTimes& times);

    // What the program that was started last judges nodes by, and what a program that starts leaves for the others.
    [[nodiscard]] std::optional<NodeTimes> timesOfLastStart();
    void leaveTimes(const NodeTimes& times);

    [[nodiscard]] std::optional<Store> find(std::string_view nodeId);

    // An operator's wishes. Each throws notFound. drain and keep are idempotent.
    void drain(StoreRow store);    // from now on its copies do not count as wanted, and it gets no new ones
    void keep(StoreRow store);     // the opposite
    void drained(StoreRow store);  // the sweep found nothing left on it; nothing happens when a copy is there after all
    // Its copies are forgotten and its reports refused from now on. The caller has made sure that it may go.
    void remove(StoreRow store);
    // Sweep: the rows of copies on disks that were removed or replaced, which count for nothing; how many were deleted.
    int forgetVoidCopies(int limit);
    [[nodiscard]] StoreRole role(StoreRow store);
    // Somebody got something else from it than the copy that it found good itself, before and after. Gives its node id.
    std::string wrongAnswer(StoreRow store);

    // Files that can be lost, or cannot be read now: with a chunk of at most one good copy on a live store while more
    // are wanted. In order of file id, after the given one.
    [[nodiscard]] std::vector<FileAtRisk> filesAtRisk(FileId after, int limit);

    [[nodiscard]] std::optional<CollectionHold> collectionHold();
    // Until somebody has looked. An earlier reason stays.
    void holdCollection(std::string_view reason);
    void allowCollection();  // an administrator has looked
    // Whether that was within the last day: so long a pass may collect more than a healthy vault loses.
    [[nodiscard]] bool collectionAllowed();

    // Sweeps run at one place at a time: a lease with an end, by the database's own clock. beginSweep is refused
    // (false) while another holder has it, for leaseUs from now at most, or, with ifDueUs, when it began less than that
    // ago.
    [[nodiscard]] bool beginSweep(std::string_view name, std::string_view holder, std::int64_t leaseUs,
                                  std::optional<std::int64_t> ifDueUs);
    void renewSweep(std::string_view name, std::string_view holder, std::int64_t leaseUs);
    void endSweep(const SweepRun& run);  // run.holder's; nothing happens when the lease was lost
    [[nodiscard]] std::vector<SweepRun> sweepRuns();

  private:
    Database& database_;
    int replicationFactor_;
};

}  // namespace chunkvault::catalog
