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

#include "database/catalog/chunks.h"
#include "server/api/call.h"
#include "server/storage/replicated_chunk_store.h"
#include "storagenode/store/disk_chunk_store.h"
#include "worker/jobs/stores.h"

namespace chunkvault::server {

// Thread-safe; check is for one thread. Besides the constructor, only check and onOneDisk wait for a disk.
class LocalStores {
  public:
    using Warn = std::function<void(const std::string& node, const std::string& what)>;
    static constexpr std::chrono::seconds lookTimeout{5};

    // Formats folders that this vault has never used; opens the others. A folder that was used but has lost its marker
    // is left alone: its disk is not mounted, or it was replaced (see format). A folder that was used and is not among
    // paths any more is marked as down. Throws Error when another server uses one of them, or fewer than quorum can be
    // used.
    LocalStores(catalog::Chunks& chunks, const std::vector<std::string>& paths, std::int64_t reserveBytes,
                std::size_t quorum, Warn warn);
    // Waits for looks at folders that are under way.
    ~LocalStores() = default;

    [[nodiscard]] std::vector<worker::LiveStore> live() const;
    [[nodiscard]] std::vector<Replica> replicas() const;
    [[nodiscard]] std::map<std::string, StoreHealth> health() const;
    // Whether all folders that can be used are on the same disk, as far as the system tells.
    [[nodiscard]] bool onOneDisk() const;

    // Looks at every folder, each on a thread of its own: marker, free space; opens those that could not be used until
    // now. One that does not answer within lookTimeout is not live until it does. True when the live stores are not
    // those of before.
    bool check();

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
        std::int64_t capacityBytes = 0, freeBytes = 0;
    };
    struct Local {
        std::string nodeId;
        std::string path;
        bool known;                           // the vault has used it
        Look now;                             // guarded by mutex_
        std::future<Look> next = {};          // used by check alone
        std::optional<bool> recordedUp = {};  // in the catalog; used by check alone
    };
    [[nodiscard]] Look open(const Local& local) const;
    [[nodiscard]] Look look(const Local& local, Look last) const noexcept;
    void record(Local& local, const Look& found);
    [[nodiscard]] bool accepts(const Look& look) const { return look.freeBytes > reserveBytes_; }

    catalog::Chunks& chunks_;
    const std::int64_t reserveBytes_;
    const Warn warn_;
    const std::string vaultId_;
    mutable std::mutex mutex_;
    std::vector<Local> stores_;
};

}  // namespace chunkvault::server
