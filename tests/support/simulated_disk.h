// A disk in memory that forgets what was not synced.
//
// What a power cut leaves: the bytes of a file as of its last sync, and of later writes nothing, all, or some sectors;
// of a folder the names as of its last sync, and any of the later changes. A rename within a folder happens wholly or
// not at all. Of one between folders, the new name may be there without the old one being gone; the old one is gone
// alone only if its folder was synced and the other was not. A sync that failed has dropped what it should have
// written: a later one succeeds and does not bring it back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storagenode/store/disk.h"

namespace chunkvault::test {

// Thrown by every call from the moment the power is gone until cutPower or killProcess. No Error, so that nobody
// handles it.
struct PowerCut {};

enum class DiskCall {
    create,
    open,
    read,
    write,
    touch,
    sync,
    statFile,
    rename,
    unlink,
    makeFolder,
    syncFolder,
    list,
    stat,
    space
};

[[nodiscard]] const char* nameOf(DiskCall call);

// What becomes of one call.
struct Outcome {
    enum Kind { happens, fails, isPretended, powerGoes } kind = happens;
    int errnoValue = 0;  // of one that fails; half of a write has then been done
};

// Thread-safe.
class SimulatedDisk {
  public:
    explicit SimulatedDisk(std::uint64_t capacityBytes = std::uint64_t{1} << 40) : capacityBytes_(capacityBytes) {}
    SimulatedDisk(const SimulatedDisk&) = delete;
    SimulatedDisk& operator=(const SimulatedDisk&) = delete;

    // The disk as a program sees it. Must not outlive this.
    [[nodiscard]] std::unique_ptr<storagenode::Disk> mount();

    // Asked before every call; path is the first name of a rename.
    using Director = std::function<Outcome(DiskCall call, const std::string& path)>;
    void direct(Director director);

    // Leaves what survives, by seed: 0 nothing that was not synced, 1 all of it, any other a random part. The mounts so
    // far are dead; the next one sees the result.
    void cutPower(std::uint64_t seed);
    // Only the program is gone, and with it the mounts so far: what it wrote stays, as little durable as before.
    void killProcess();

    // Flips a bit in the middle of the file, on the disk itself.
    void damage(const std::string& path);
    void shorten(const std::string& path);
    [[nodiscard]] std::optional<std::string> content(const std::string& path);
    // The paths of all files, in order.
    [[nodiscard]] std::vector<std::string> files();
    // The time that writes and touches set from now on.
    void setTime(Timestamp now);
    [[nodiscard]] Timestamp time();

  private:
    struct Node;
    using NodePointer = std::shared_ptr<Node>;
    using Names = std::map<std::string, NodePointer>;
    // To the names of one folder; not durable yet.
    struct Change {
        std::vector<std::string> removed;
        std::vector<std::pair<std::string, NodePointer>> added;
        std::shared_ptr<Change> after;  // the arrival in the other folder, of a departure
        bool arrived = false;           // durable, or survived
        bool dropped = false;           // by a sync that failed
    };
    struct Node {
        bool isFolder = false;
        // A file.
        std::string bytes, durableBytes;
        Timestamp modifiedAt = 0, durableModifiedAt = 0;
        bool syncDropped = false;
        // A folder.
        Names names, durableNames;
        std::vector<std::shared_ptr<Change>> changes;
    };
    class Mount;
    class File;

    void begin(std::uint64_t epoch, DiskCall call, const std::string& path, Outcome& outcome);
    [[nodiscard]] NodePointer find(const std::string& path) const;
    [[nodiscard]] std::pair<NodePointer, std::string> parentOf(const std::string& path, const char* operation) const;
    [[nodiscard]] std::uint64_t usedBytes() const;
    static void apply(const Change& change, Names& names);
    void forgetMounts();
    void settle(Node& node, std::uint64_t seed, std::mt19937_64& random);

    std::mutex mutex_;
    std::uint64_t capacityBytes_;
    Director director_;
    NodePointer root_ = folder();
    std::uint64_t epoch_ = 0;  // a mount of an earlier one is dead
    bool dark_ = false;
    bool locked_ = false;
    Timestamp now_ = 1'000'000 * secondUs;

    [[nodiscard]] static NodePointer folder();
};

}  // namespace chunkvault::test
