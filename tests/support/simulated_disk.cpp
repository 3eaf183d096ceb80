#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace chunkvault::test {

using storagenode::DiskSpace;
using storagenode::FileStat;
using storagenode::throwDiskError;

namespace {

constexpr std::size_t sectorBytes = 512;

}  // namespace

const char* nameOf(DiskCall call) {
    switch (call) {
        case DiskCall::create: return "create";
        case DiskCall::open: return "open";
        case DiskCall::read: return "read";
        case DiskCall::write: return "write";
        case DiskCall::touch: return "touch";
        case DiskCall::sync: return "sync";
        case DiskCall::statFile: return "stat of file";
        case DiskCall::rename: return "rename";
        case DiskCall::unlink: return "unlink";
        case DiskCall::makeFolder: return "make folder";
        case DiskCall::syncFolder: return "sync folder";
        case DiskCall::list: return "list";
        case DiskCall::stat: return "stat";
        case DiskCall::space: return "space";
    }
    return "?";
}

class SimulatedDisk::File final : public storagenode::DiskFile {
  public:
    File(SimulatedDisk& disk, std::uint64_t epoch, NodePointer node, std::string path)
        : disk_(disk), epoch_(epoch), node_(std::move(node)), path_(std::move(path)) {}

    std::size_t read(std::uint64_t offset, std::span<char> into) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::read);
        if (offset >= node_->bytes.size()) return 0;
        return node_->bytes.copy(into.data(), into.size(), offset);
    }

    void write(std::uint64_t offset, std::span<const char> bytes) override {
        const std::lock_guard lock(disk_.mutex_);
        Outcome outcome;
        disk_.begin(epoch_, DiskCall::write, path_, outcome);
        std::size_t size = bytes.size();
        if (outcome.kind == Outcome::fails) size /= 2;
        const std::uint64_t free = disk_.capacityBytes_ - std::min(disk_.capacityBytes_, disk_.usedBytes());
        const std::uint64_t grows = offset + size - std::min<std::uint64_t>(offset + size, node_->bytes.size());
        const bool full = grows > free;
        if (full) size -= static_cast<std::size_t>(grows - free);
        node_->bytes.resize(std::max<std::size_t>(node_->bytes.size(), offset + size));
        node_->bytes.replace(offset, size, bytes.data(), size);
        node_->modifiedAt = disk_.now_;
        if (outcome.kind == Outcome::fails) throwDiskError(outcome.errnoValue, "write", path_);
        if (full) throwDiskError(ENOSPC, "write", path_);
    }

    void touch() override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::touch);
        node_->modifiedAt = disk_.now_;
    }

    void sync() override {
        const std::lock_guard lock(disk_.mutex_);
        Outcome outcome;
        disk_.begin(epoch_, DiskCall::sync, path_, outcome);
        if (outcome.kind == Outcome::fails) {
            node_->syncDropped = true;
            throwDiskError(outcome.errnoValue, "fsync", path_);
        }
        if (outcome.kind == Outcome::isPretended) return;
        if (!node_->syncDropped) node_->durableBytes = node_->bytes;
        node_->durableModifiedAt = node_->modifiedAt;
    }

    void forgetCached() noexcept override {
        const std::lock_guard lock(disk_.mutex_);
        if (node_->syncDropped) node_->bytes = node_->durableBytes;
    }

    FileStat stat() override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::statFile);
        return {node_->bytes.size(), node_->modifiedAt};
    }

  private:
    void begin(DiskCall call) {
        Outcome outcome;
        disk_.begin(epoch_, call, path_, outcome);
        if (outcome.kind == Outcome::fails) throwDiskError(outcome.errnoValue, nameOf(call), path_);
    }

    SimulatedDisk& disk_;
    const std::uint64_t epoch_;
    const NodePointer node_;
    const std::string path_;
};

class SimulatedDisk::Mount final : public storagenode::Disk {
  public:
    Mount(SimulatedDisk& disk, std::uint64_t epoch) : disk_(disk), epoch_(epoch) {}
    ~Mount() override {
        const std::lock_guard lock(disk_.mutex_);
        if (holdsLock_ && epoch_ == disk_.epoch_) disk_.locked_ = false;
    }

    std::unique_ptr<storagenode::DiskFile> create(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::create, path);
        const auto [parent, name] = disk_.parentOf(path, "create");
        auto node = std::make_shared<Node>();
        node->modifiedAt = node->durableModifiedAt = disk_.now_;
        if (!parent->names.try_emplace(name, node).second) throwDiskError(EEXIST, "create", path);
        change(*parent, {{}, {{name, node}}, nullptr});
        return std::make_unique<File>(disk_, epoch_, std::move(node), path);
    }

    std::unique_ptr<storagenode::DiskFile> open(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::open, path);
        auto node = disk_.find(path);
        if (node == nullptr) return nullptr;
        if (node->isFolder) throwDiskError(EISDIR, "open", path);
        return std::make_unique<File>(disk_, epoch_, std::move(node), path);
    }

    void rename(const std::string& from, const std::string& to) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::rename, from);
        const auto [source, oldName] = disk_.parentOf(from, "rename");
        const auto [target, newName] = disk_.parentOf(to, "rename");
        const auto found = source->names.find(oldName);
        if (found == source->names.end()) throwDiskError(ENOENT, "rename", from);
        const NodePointer node = found->second;
        source->names.erase(found);
        target->names[newName] = node;
        if (source == target) {
            change(*source, {{oldName}, {{newName, node}}, nullptr});
        } else {
            auto arrival = change(*target, {{}, {{newName, node}}, nullptr});
            change(*source, {{oldName}, {}, std::move(arrival)});
        }
    }

    bool unlink(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::unlink, path);
        const auto [parent, name] = disk_.parentOf(path, "unlink");
        if (parent->names.erase(name) == 0) return false;
        change(*parent, {{name}, {}, nullptr});
        return true;
    }

    bool makeFolder(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::makeFolder, path);
        const auto [parent, name] = disk_.parentOf(path, "mkdir");
        auto node = folder();
        if (!parent->names.try_emplace(name, node).second) return false;
        change(*parent, {{}, {{name, std::move(node)}}, nullptr});
        return true;
    }

    void syncFolder(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        Outcome outcome;
        disk_.begin(epoch_, DiskCall::syncFolder, path, outcome);
        const auto node = disk_.find(path);
        if (node == nullptr || !node->isFolder) throwDiskError(ENOENT, "fsync", path);
        if (outcome.kind == Outcome::isPretended) return;
        for (const auto& change : node->changes) {
            if (outcome.kind == Outcome::fails) change->dropped = true;
            if (change->dropped) continue;
            apply(*change, node->durableNames);
            change->arrived = true;
        }
        std::erase_if(node->changes, [](const auto& change) { return change->arrived; });
        if (outcome.kind == Outcome::fails) throwDiskError(outcome.errnoValue, "fsync", path);
    }

    std::vector<std::string> list(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::list, path);
        std::vector<std::string> names;
        if (const auto node = disk_.find(path))
            for (const auto& [name, child] : node->names) names.push_back(name);
        return names;
    }

    std::optional<FileStat> stat(const std::string& path) override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::stat, path);
        const auto node = disk_.find(path);
        if (node == nullptr) return std::nullopt;
        return FileStat{node->bytes.size(), node->modifiedAt};
    }

    Timestamp now() override { return disk_.time(); }
    DiskSpace space() override {
        const std::lock_guard lock(disk_.mutex_);
        begin(DiskCall::space, "");
        return {disk_.capacityBytes_, disk_.capacityBytes_ - std::min(disk_.capacityBytes_, disk_.usedBytes())};
    }

    bool lock() override {
        const std::lock_guard lock(disk_.mutex_);
        if (disk_.locked_ && !holdsLock_) return false;
        return disk_.locked_ = holdsLock_ = true;
    }

    bool attached() override { return true; }
    std::string description() const override { return "a simulated disk"; }

  private:
    void begin(DiskCall call, const std::string& path) {
        Outcome outcome;
        disk_.begin(epoch_, call, path, outcome);
        if (outcome.kind == Outcome::fails) throwDiskError(outcome.errnoValue, nameOf(call), path);
    }

    static std::shared_ptr<Change> change(Node& node, Change change) {
        node.changes.push_back(std::make_shared<Change>(std::move(change)));
        return node.changes.back();
    }

    SimulatedDisk& disk_;
    const std::uint64_t epoch_;
    bool holdsLock_ = false;
};

std::unique_ptr<storagenode::Disk> SimulatedDisk::mount() {
    const std::lock_guard lock(mutex_);
    return std::make_unique<Mount>(*this, epoch_);
}

void SimulatedDisk::direct(Director director) {
    const std::lock_guard lock(mutex_);
    director_ = std::move(director);
}

void SimulatedDisk::cutPower(std::uint64_t seed) {
    const std::lock_guard lock(mutex_);
    std::mt19937_64 random(seed);
    // Arrivals before the departures that depend on them.
    std::vector<Node*> folders{root_.get()};
    for (std::size_t i = 0; i < folders.size(); ++i) {
        for (const auto& change : folders[i]->changes)
            change->arrived =
                !change->dropped && change->after == nullptr && (seed == 1 || (seed > 1 && random() % 2 == 0));
        for (const Names* names : {&folders[i]->names, &folders[i]->durableNames})
            for (const auto& [name, node] : *names)
                if (node->isFolder && std::find(folders.begin(), folders.end(), node.get()) == folders.end())
                    folders.push_back(node.get());
    }
    for (Node* const folder : folders)
        for (const auto& change : folder->changes)
            if (change->after != nullptr)
                change->arrived =
                    !change->dropped && change->after->arrived && (seed == 1 || (seed > 1 && random() % 2 == 0));
    settle(*root_, seed, random);
    forgetMounts();
}

void SimulatedDisk::killProcess() {
    const std::lock_guard lock(mutex_);
    forgetMounts();
}

void SimulatedDisk::forgetMounts() {
    ++epoch_;
    dark_ = false;
    locked_ = false;
    director_ = nullptr;
}

void SimulatedDisk::settle(Node& node, std::uint64_t seed, std::mt19937_64& random) {
    if (node.isFolder) {
        for (const auto& change : node.changes)
            if (change->arrived) apply(*change, node.durableNames);
        node.changes.clear();
        node.names = node.durableNames;
        for (const auto& [name, child] : node.names) settle(*child, seed, random);
        return;
    }
    if (node.syncDropped || seed == 0) node.bytes = node.durableBytes;
    if (node.bytes != node.durableBytes && seed > 1) {
        // The length may be on the disk before the bytes; a sector is written wholly or not at all.
        const std::string written = node.bytes;
        switch (random() % 3) {
            case 0: node.bytes = node.durableBytes; break;
            case 1:
                for (std::size_t at = 0; at < written.size(); at += sectorBytes)
                    if (random() % 2 == 0)
                        for (std::size_t i = at; i < std::min(written.size(), at + sectorBytes); ++i)
                            node.bytes[i] = i < node.durableBytes.size() ? node.durableBytes[i] : '\0';
                break;
            default: break;
        }
    }
    if (seed == 0 || (seed > 1 && random() % 2 == 0)) node.modifiedAt = node.durableModifiedAt;
    node.durableBytes = node.bytes;
    node.durableModifiedAt = node.modifiedAt;
    node.syncDropped = false;
}

void SimulatedDisk::damage(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto node = find(path);
    if (node == nullptr || node->bytes.empty()) throw std::logic_error("nothing to damage at " + path);
    node->bytes[node->bytes.size() / 2] ^= 1;
    node->durableBytes = node->bytes;
}

void SimulatedDisk::shorten(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto node = find(path);
    if (node == nullptr || node->bytes.empty()) throw std::logic_error("nothing to shorten at " + path);
    node->bytes.pop_back();
    node->durableBytes = node->bytes;
}

std::optional<std::string> SimulatedDisk::content(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto node = find(path);
    if (node == nullptr || node->isFolder) return std::nullopt;
    return node->bytes;
}

std::vector<std::string> SimulatedDisk::files() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> paths;
    std::function<void(const Node&, const std::string&)> visit = [&](const Node& node, const std::string& prefix) {
        for (const auto& [name, child] : node.names) {
            if (child->isFolder) visit(*child, prefix + name + '/');
            else paths.push_back(prefix + name);
        }
    };
    visit(*root_, "");
    return paths;
}

void SimulatedDisk::setTime(Timestamp now) {
    const std::lock_guard lock(mutex_);
    now_ = now;
}

Timestamp SimulatedDisk::time() {
    const std::lock_guard lock(mutex_);
    return now_;
}

void SimulatedDisk::begin(std::uint64_t epoch, DiskCall call, const std::string& path, Outcome& outcome) {
    if (dark_ || epoch != epoch_) throw PowerCut{};
    if (director_) outcome = director_(call, path);
    if (outcome.kind == Outcome::powerGoes) {
        dark_ = true;
        throw PowerCut{};
    }
}

SimulatedDisk::NodePointer SimulatedDisk::find(const std::string& path) const {
    NodePointer node = root_;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const auto found = node->names.find(path.substr(at, end - at));
        if (found == node->names.end()) return nullptr;
        node = found->second;
        at = end + 1;
    }
    return node;
}

std::pair<SimulatedDisk::NodePointer, std::string> SimulatedDisk::parentOf(const std::string& path,
                                                                           const char* operation) const {
    const std::size_t slash = path.rfind('/');
    const auto parent = slash == std::string::npos ? root_ : find(path.substr(0, slash));
    if (parent == nullptr || !parent->isFolder) throwDiskError(ENOENT, operation, path);
    return {parent, slash == std::string::npos ? path : path.substr(slash + 1)};
}

std::uint64_t SimulatedDisk::usedBytes() const {
    std::uint64_t used = 0;
    std::function<void(const Node&)> visit = [&](const Node& node) {
        used += node.bytes.size();
        for (const auto& [name, child] : node.names) visit(*child);
    };
    visit(*root_);
    return used;
}

void SimulatedDisk::apply(const Change& change, Names& names) {
    for (const std::string& name : change.removed) names.erase(name);
    for (const auto& [name, node] : change.added) names[name] = node;
}

SimulatedDisk::NodePointer SimulatedDisk::folder() {
    auto node = std::make_shared<Node>();
    node->isFolder = true;
    return node;
}

}  // namespace chunkvault::test
