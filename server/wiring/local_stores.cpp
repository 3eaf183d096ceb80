#include "server/wiring/local_stores.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "common/error/error.h"
#include "storagenode/store/posix_disk.h"

namespace chunkvault::server {

using storagenode::DiskChunkStore;

LocalStores::LocalStores(catalog::Catalog& catalog, const std::vector<std::string>& paths,
                         storagenode::StoreOptions options, std::size_t quorum, Warn warn)
    : catalog_(catalog), options_(options), warn_(std::move(warn)), vaultId_(catalog.chunks.vaultId()) {
    auto known = catalog_.chunks.stores(false);
    std::erase_if(known, [](const catalog::Store& store) { return !store.endpoint.empty(); });
    std::size_t usable = 0;
    std::string firstProblem;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        Local local{.nodeId = nodeId(i), .path = paths[i], .known = false, .now = {}};
        if (const auto before = std::ranges::find(known, local.nodeId, &catalog::Store::nodeId);
            before != known.end()) {
            local.known = true;
            local.now.row = before->row;
            known.erase(before);
        }
        try {
            local.now = open(local);
            record(local, local.now);
            if (!local.now.problem.empty()) throw Error(ErrorCode::unavailable, local.now.problem);
            ++usable;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::conflict) throw;  // another server's, or another vault's
            local.now.problem = error.what();
            if (firstProblem.empty()) firstProblem = local.now.problem;
            if (local.known) record(local, local.now);
            warn_(local.nodeId, error.what());
        }
        stores_.push_back(std::move(local));
    }
    if (usable < quorum)
        throw Error(ErrorCode::unavailable, "Only " + std::to_string(usable) + " of " + std::to_string(paths.size()) +
                                                " storage folders can be used; " + std::to_string(quorum) +
                                                " are needed. First problem: " + firstProblem);
    for (const catalog::Store& store : known) {
        if (store.state == catalog::StoreState::down || store.state == catalog::StoreState::removed) continue;
        catalog_.chunks.setStoreState(store.row, catalog::StoreState::down);
        warn_(store.nodeId, "it is not in STORAGE_PATHS any more; its copies do not count");
    }
}

LocalStores::Look LocalStores::open(const Local& local) const {
    // One that was used and is not there is not mounted.
    auto disk = local.known ? storagenode::openPosixDisk(local.path) : storagenode::makePosixDisk(local.path);
    if (!DiskChunkStore::isFormatted(*disk)) {
        if (local.known)
            throw Error(ErrorCode::unavailable,
                        local.path +
                            " has no vault.json: is its disk mounted? If the disk was replaced, run: "
                            "chunkvault-server admin format-store " +
                            local.nodeId);
        (void)DiskChunkStore::format(*disk, vaultId_, local.nodeId);
    }
    Look found;
    found.store = DiskChunkStore::open(std::move(disk), vaultId_, options_);
    const storagenode::DiskSpace space = found.store->space();
    found.capacityBytes = static_cast<std::int64_t>(space.capacityBytes);
    found.freeBytes = static_cast<std::int64_t>(space.freeBytes) - static_cast<std::int64_t>(options_.reserveBytes);
    const auto& identity = found.store->identity();
    if (identity.nodeId != local.nodeId)
        throw Error(ErrorCode::conflict, local.path + " is the store " + identity.nodeId +
                                             ", but stands in the place of " + local.nodeId +
                                             " in STORAGE_PATHS. Put the folders into their old order.");
    return found;
}

std::vector<worker::LiveStore> LocalStores::live() const { return live(true); }

std::vector<Replica> LocalStores::replicas() const { return replicasOf(live(false)); }

std::vector<worker::LiveStore> LocalStores::live(bool patient) const {
    const std::lock_guard lock(mutex_);
    std::vector<worker::LiveStore> live;
    for (const Local& local : stores_) {
        if (!local.now.problem.empty()) continue;
        std::shared_ptr<MaintainedStore> store = local.now.store;
        if (patient) store = std::make_shared<PatientStore>(std::move(store), local.lane);
        live.push_back({.row = local.now.row,
                        .store = std::move(store),
                        .zone = local.nodeId,
                        .capacityBytes = local.now.capacityBytes,
                        .acceptsNewChunks = accepts(local.now),
                        .answers = true,
                        .stays = !local.now.drain});
    }
    return live;
}

std::map<std::string, StoreHealth> LocalStores::health() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, StoreHealth> health;
    for (const Local& local : stores_)
        health[local.nodeId] = {!local.now.problem.empty() ? "unusable"
                                : local.now.drain          ? "draining"
                                : accepts(local.now)       ? "ok"
                                                           : "full",
                                local.now.problem};
    return health;
}

std::string LocalStores::nodeIdOf(catalog::StoreRow store) const {
    const std::lock_guard lock(mutex_);
    for (const Local& local : stores_)
        if (local.known && local.now.row == store) return local.nodeId;
    return {};
}

bool LocalStores::onOneDisk() const {
    std::set<dev_t> devices;
    for (const Local& local : stores_)
        if (struct stat status{}; ::stat(local.path.c_str(), &status) == 0) devices.insert(status.st_dev);
    return devices.size() == 1;
}

bool LocalStores::check() {
    for (Local& local : stores_)
        if (!local.next.valid())
            local.next = std::async(std::launch::async, [this, &local, last = local.now] { return look(local, last); });
    const auto until = std::chrono::steady_clock::now() + lookTimeout;
    bool changed = false;
    for (Local& local : stores_) {
        const Look before = local.now;
        Look found = before;
        if (local.next.wait_until(until) == std::future_status::ready) found = local.next.get();
        else found.problem = "The folder " + local.path + " does not answer: does its disk hang?";
        try {
            record(local, found);
        } catch (const Error& error) {
            warn_(local.nodeId, std::string("its state cannot be recorded: ") + error.what());
        }
        {
            const std::lock_guard lock(mutex_);
            local.now = found;
        }
        changed = changed || before.problem.empty() != found.problem.empty() || accepts(before) != accepts(found) ||
                  before.store != found.store;
        if (!found.problem.empty() && before.problem != found.problem) warn_(local.nodeId, found.problem);
    }
    return changed;
}

LocalStores::Look LocalStores::look(const Local& local, Look last) const noexcept try {
    if (last.store == nullptr || !last.store->attached()) {
        Look found = open(local);
        found.row = last.row;
        return found;
    }
    last.store->requireMarker();
    try {
        last.store->noteCatalogSeq(last.catalogSeq, systemNow());
    } catch (const Error& error) {
        if (error.code() != ErrorCode::storageFull) throw;  // it is told again once there is room
    }
    const storagenode::DiskSpace space = last.store->space();
    last.capacityBytes = static_cast<std::int64_t>(space.capacityBytes);
    last.freeBytes = static_cast<std::int64_t>(space.freeBytes) - static_cast<std::int64_t>(options_.reserveBytes);
    last.problem.clear();
    return last;
} catch (const std::exception& error) {  // an administrator is told all of it
    last.problem = error.what();
    return last;
}

void LocalStores::record(Local& local, Look& found) {
    if (!found.problem.empty()) {
        if (!local.known || local.recordedDown) return;
        catalog_.chunks.setStoreState(found.row, catalog::StoreState::down);
        local.recordedDown = true;
        return;
    }
    try {
        const auto verdict = catalog_.nodes.report({.nodeId = local.nodeId,
                                                    .storeId = found.store->identity().storeId,
                                                    .zone = local.nodeId,
                                                    .url = "",
                                                    .capacityBytes = found.capacityBytes,
                                                    .freeBytes = std::max<std::int64_t>(found.freeBytes, 0),
                                                    .mounted = false,
                                                    .catalogSeq = found.store->catalogSeq(),
                                                    .problem = ""});
        found.row = verdict.row;
        found.drain = verdict.state == catalog::StoreState::draining || verdict.state == catalog::StoreState::drained;
        local.known = true;
        found.catalogSeq = verdict.catalogSeq;
        local.recordedDown = false;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::conflict) throw;
        found.problem = error.what();  // it was removed
    }
}

std::string LocalStores::nodeId(std::size_t index) { return "local-" + std::to_string(index + 1); }

void LocalStores::format(const std::string& path, const std::string& vaultId, const std::string& nodeId) {
    (void)DiskChunkStore::format(*storagenode::makePosixDisk(path), vaultId, nodeId);
}

}  // namespace chunkvault::server
