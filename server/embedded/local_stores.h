// The folders of an embedded server: opened, registered, watched.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/catalog.h"
#include "server/storage/replicated_chunk_store.h"
#include "storagenode/store/disk_chunk_store.h"
#include "worker/jobs/stores.h"

namespace chunkvault::server {

// Thread-safe.
class LocalStores {
  public:
    using Warn = std::function<void(const std::string& node, const std::string& what)>;

    // Formats folders that this vault has never used; opens the others. A folder that was used but has lost its marker
    // is left alone: its disk is not mounted, or it was replaced (see format). Throws Error when another server uses
    // one of them, or fewer than quorum can be used.
    LocalStores(catalog::Catalog& catalog, const std::vector<std::string>& paths, std::int64_t reserveBytes,
                std::size_t quorum, Warn warn);

    [[nodiscard]] std::vector<worker::LiveStore> live() const;
    [[nodiscard]] std::vector<Replica> replicas() const;
    // Node id -> "ok", or what is wrong.
    [[nodiscard]] std::map<std::string, std::string> health() const;

    // Looks at every folder: marker, free space. True when the live stores are not those of before.
    bool check();

    // "local-1" for the first of STORAGE_PATHS.
    [[nodiscard]] static std::string nodeId(std::size_t index);
    // Makes the folder of a replaced disk a store of this vault; it gets its copies from the others.
    static void format(const std::string& path, const std::string& vaultId, const std::string& nodeId);

  private:
    struct Local {
        std::string nodeId;
        std::string path;
        catalog::StoreRow row{};
        std::shared_ptr<storagenode::DiskChunkStore> store;  // null: never opened
        std::string problem;                                 // empty: live
        std::int64_t capacityBytes = 0, freeBytes = 0;
    };
    void open(Local& local, const std::string& vaultId, bool knownBefore, std::int64_t reserveBytes);
    void report(Local& local);

    catalog::Nodes& nodes_;
    const std::int64_t reserveBytes_;
    const Warn warn_;
    mutable std::mutex mutex_;
    std::vector<Local> stores_;
};

}  // namespace chunkvault::server
