// The folders of an embedded server: opened, registered, watched.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/catalog.h"
#include "server/storage/patient_store.h"
#include "server/wiring/store_source.h"
#include "storagenode/store/disk_chunk_store.h"
#include "worker/jobs/stores.h"

namespace chunkvault::server {

// Thread-safe; check is for one thread. Besides the constructor, only check and onOneDisk wait for a disk.
class LocalStores final : public StoreSource {
  public:
    using Warn = std::function<void(const std::string& node, const std::string& what)>;
    static constexpr std::chrono::seconds lookTimeout{5};

    // Formats folders that this vault has never used; opens the others. A folder that was used but has lost its marker
    // is left alone: its disk is not mounted, or it was replaced (see format). A folder that was used and is not among
    // paths any more is marked as down. Throws Error when another server uses one of them, or fewer than quorum can be
    // used.
    LocalStores(catalog::Catalog& catalog, const std::vector<std::string>& paths, storagenode::StoreOptions options,
                std::size_t quorum, Warn warn);
    // Waits for looks at folders that are under way.
    ~LocalStores() override = default;

    // A call that a disk does not answer is left behind, on threads of this disk.
    [[nodiscard]] std::vector<worker::LiveStore> live() const override;
    // These wait for their disks: ReplicatedChunkStore has threads for that.
    [[nodiscard]] std::vector<Replica> replicas() const override;
    [[nodiscard]] std::map<std::string, StoreHealth> health() const override;
    [[nodiscard]] std::string nodeIdOf(catalog::StoreRow store) const override;
    // Whether all folders that can be used are on the same disk, as far as the system tells.
    [[nodiscard]] bool onOneDisk() const;

    // Looks at every folder, each on a thread of its own: marker, free space; opens those that could not be used until
    // now, and those that were mounted anew. One that does not answer within lookTimeout is not live until it does.
    // True when the live stores are not those of before.
    bool check() override;

    // "local-1" for the first of STORAGE_PATHS.
    [[nodiscard]] static std::string nodeId(std::size_t index);
    // Makes the folder of a replaced disk a store of this vault; it gets its copies from the others.
    static void format(const std::string& path, const std::string& vaultId, const std::string& nodeId);

  private:
    // What a look found.
    struct Look {
        std::string problem;  // empty: it can be used
        std::shared_ptr<storagenode::DiskChunkStore> store;
        catalog::StoreRow row{};
        std::int64_t capacityBytes = 0, freeBytes = 0;  // free: above the reserve
        std::int64_t catalogSeq = 0;                    // for the store to remember
        bool drain = false;                             // an administrator wants it empty
    };
    struct Local {
        std::string nodeId;
        std::string path;
        bool known;  // the vault has used it
        Look now;    // guarded by mutex_
        std::shared_ptr<StoreLane> lane = std::make_shared<StoreLane>(backgroundThreads, backgroundBytes);
        std::future<Look> next = {};  // used by check alone
        bool recordedDown = false;    // in the catalog; used by check alone
    };
    static constexpr std::size_t backgroundThreads = 8;  // of each disk
    static constexpr std::size_t backgroundBytes = 16 << 20;
    [[nodiscard]] Look open(const Local& local) const;
    [[nodiscard]] Look look(const Local& local, Look last) const noexcept;
    [[nodiscard]] std::vector<worker::LiveStore> live(bool patient) const;
    // Tells the catalog, and takes from it what an administrator wants.
    void record(Local& local, Look& found);
    [[nodiscard]] static bool accepts(const Look& look) { return look.freeBytes > 0 && !look.drain; }

    catalog::Catalog& catalog_;
    const storagenode::StoreOptions options_;
    const Warn warn_;
    const std::string vaultId_;
    mutable std::mutex mutex_;
    std::vector<Local> stores_;
};

}  // namespace chunkvault::server
