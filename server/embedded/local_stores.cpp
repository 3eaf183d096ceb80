#include "server/embedded/local_stores.h"

#include <algorithm>

#include "common/error/error.h"
#include "storagenode/store/posix_disk.h"

namespace chunkvault::server {

using storagenode::DiskChunkStore;

LocalStores::LocalStores(catalog::Catalog& catalog, const std::vector<std::string>& paths, std::int64_t reserveBytes,
                         std::size_t quorum, Warn warn)
    : nodes_(catalog.nodes), reserveBytes_(reserveBytes), warn_(std::move(warn)) {
    const std::string vaultId = catalog.chunks.vaultId();
    const auto known = catalog.chunks.stores(false);
    std::size_t usable = 0;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        Local local;
        local.nodeId = nodeId(i);
        local.path = paths[i];
        const auto before = std::ranges::find(known, local.nodeId, &catalog::Store::nodeId);
        if (before != known.end()) local.row = before->row;
        try {
            if (before != known.end() && before->state == catalog::StoreState::removed)
                throw Error(ErrorCode::unavailable, local.path + " was removed from this vault.");
            open(local, vaultId, before != known.end(), reserveBytes);
            ++usable;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::conflict) throw;  // another server's, or another vault's
            local.problem = error.publicMessage();
            if (before != known.end() && before->state != catalog::StoreState::removed)
                catalog.chunks.setStoreState(local.row, catalog::StoreState::down);
            warn_(local.nodeId, error.what());
        }
        stores_.push_back(std::move(local));
    }
    if (usable < quorum)
        throw Error(
            ErrorCode::unavailable,
            "Only " + std::to_string(usable) + " of " + std::to_string(paths.size()) +
                " storage folders can be used; " + std::to_string(quorum) + " are needed. First problem: " +
                std::ranges::find_if(stores_, [](const Local& local) { return !local.problem.empty(); })->problem);
}

void LocalStores::open(Local& local, const std::string& vaultId, bool knownBefore, std::int64_t reserveBytes) {
    auto disk = storagenode::makePosixDisk(local.path);
    if (!DiskChunkStore::isFormatted(*disk)) {
        if (knownBefore)
            throw Error(ErrorCode::unavailable,
                        local.path +
                            " has no vault.json: is its disk mounted? If the disk was replaced, run: "
                            "chunkvault-server admin format-store " +
                            local.nodeId);
        (void)DiskChunkStore::format(*disk, vaultId, local.nodeId);
    }
    local.store = DiskChunkStore::open(std::move(disk), vaultId, static_cast<std::uint64_t>(reserveBytes));
    const storagenode::DiskSpace space = local.store->space();
    local.capacityBytes = static_cast<std::int64_t>(space.capacityBytes);
    local.freeBytes = static_cast<std::int64_t>(space.freeBytes);
    const auto& identity = local.store->identity();
    if (identity.nodeId != local.nodeId)
        throw Error(ErrorCode::conflict, local.path + " is the store " + identity.nodeId +
                                             ", but stands in the place of " + local.nodeId +
                                             " in STORAGE_PATHS. Put the folders into their old order.");
    report(local);
}

void LocalStores::report(Local& local) {
    local.row = nodes_
                    .report({.nodeId = local.nodeId,
                             .storeId = local.store->identity().storeId,
                             .zone = local.nodeId,
                             .url = "",
                             .capacityBytes = local.capacityBytes,
                             .freeBytes = local.freeBytes,
                             .mounted = false,
                             .catalogSeq = 0,
                             .problem = local.problem})
                    .row;
}

std::vector<worker::LiveStore> LocalStores::live() const {
    const std::lock_guard lock(mutex_);
    std::vector<worker::LiveStore> live;
    for (const Local& local : stores_)
        if (local.problem.empty())
            live.push_back(
                {local.row, local.store, local.nodeId, local.capacityBytes, local.freeBytes > reserveBytes_});
    return live;
}

std::vector<Replica> LocalStores::replicas() const {
    std::vector<Replica> replicas;
    for (const worker::LiveStore& store : live())
        replicas.push_back({store.row, store.store, store.zone, store.capacityBytes, store.acceptsNewChunks});
    return replicas;
}

std::map<std::string, std::string> LocalStores::health() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> health;
    for (const Local& local : stores_)
        health[local.nodeId] = !local.problem.empty() ? local.problem : local.freeBytes > reserveBytes_ ? "ok" : "full";
    return health;
}

bool LocalStores::check() {
    bool changed = false;
    const std::lock_guard lock(mutex_);
    for (Local& local : stores_) {
        if (local.store == nullptr) continue;
        const std::string before = local.problem;
        const bool acceptedBefore = local.freeBytes > reserveBytes_;
        try {
            local.store->requireMarker();
            const storagenode::DiskSpace space = local.store->space();
            local.capacityBytes = static_cast<std::int64_t>(space.capacityBytes);
            local.freeBytes = static_cast<std::int64_t>(space.freeBytes);
            local.problem.clear();
        } catch (const Error& error) {
            local.problem = error.publicMessage();
        }
        try {
            report(local);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::conflict) throw;
            local.problem = error.publicMessage();  // it was removed meanwhile
        }
        changed =
            changed || before.empty() != local.problem.empty() || acceptedBefore != (local.freeBytes > reserveBytes_);
        if (before.empty() && !local.problem.empty()) warn_(local.nodeId, local.problem);
    }
    return changed;
}

std::string LocalStores::nodeId(std::size_t index) { return "local-" + std::to_string(index + 1); }

void LocalStores::format(const std::string& path, const std::string& vaultId, const std::string& nodeId) {
    (void)DiskChunkStore::format(*storagenode::makePosixDisk(path), vaultId, nodeId);
}

}  // namespace chunkvault::server
