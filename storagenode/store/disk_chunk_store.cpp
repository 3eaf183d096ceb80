#include "storagenode/store/disk_chunk_store.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include <openssl/rand.h>

#include "common/error/error.h"
#include "common/wire/json.h"

namespace chunkvault::storagenode {

namespace {

constexpr int formatNumber = 1;
constexpr std::size_t maxMarkerBytes = 64 << 10;
constexpr std::size_t readBlockBytes = 256 << 10;
constexpr std::uint64_t diskBlockBytes = 4096;
constexpr Timestamp roomAgeUs = secondUs;

const std::string markerPath = "vault.json";
const std::string markerTemporaryPath = "tmp/vault.json";
const std::string catalogSeqPath = "catalog_seq";
const std::string catalogSeqTemporaryPath = "tmp/catalog_seq";
const std::string chunksFolder = "chunks";
const std::string trashFolder = "trash";
const std::string temporaryFolder = "tmp";
const std::string recordsFolder = "records";

std::string fanOutFolder(std::uint8_t firstByte) {
    static constexpr char digits[] = "0123456789abcdef";
    return chunksFolder + '/' + digits[firstByte >> 4] + digits[firstByte & 15];
}

std::string pathIn(const std::string& folder, const std::string& name) { return folder + '/' + name; }

std::uint8_t firstByteOf(const ChunkId& id) { return id.array()[0]; }

std::string fileName(const ChunkId& id, Generation generation) {
    std::string name = id.toHex();
    if (generation > 1) name += '.' + std::to_string(generation);
    return name;
}

std::string chunkPath(const ChunkId& id, Generation generation) {
    return pathIn(fanOutFolder(firstByteOf(id)), fileName(id, generation));
}

struct NamedChunk {
    ChunkId id;
    Generation generation;
};

std::optional<NamedChunk> parseFileName(const std::string& name) {
    const auto id = ChunkId::fromHex(std::string_view(name).substr(0, 2 * ChunkId::bytes));
    if (!id) return std::nullopt;
    Generation generation = 1;
    if (name.size() > 2 * ChunkId::bytes) {
        const char* const digits = name.data() + 2 * ChunkId::bytes + 1;
        std::from_chars(digits, name.data() + name.size(), generation);
    }
    if (fileName(*id, generation) != name) return std::nullopt;
    return NamedChunk{*id, generation};
}

// At every start, and synced even when they are there: whoever made them may have been killed before the sync. All of
// them, so that no put ever has to make one.
void makeStoreFolders(Disk& disk) {
    for (const std::string& folder : {chunksFolder, recordsFolder, trashFolder, temporaryFolder})
        disk.makeFolder(folder);
    for (int byte = 0; byte < 256; ++byte) disk.makeFolder(fanOutFolder(static_cast<std::uint8_t>(byte)));
    disk.syncFolder(chunksFolder);
    disk.syncFolder("");
}

void requireEmpty(Disk& disk) {
    bool empty = disk.list(trashFolder).empty();
    for (const std::string& name : disk.list(""))
        empty = empty && (name == chunksFolder || name == recordsFolder || name == trashFolder ||
                          name == temporaryFolder || name == "lost+found");
    for (int byte = 0; byte < 256; ++byte)
        empty = empty && disk.list(fanOutFolder(static_cast<std::uint8_t>(byte))).empty();
    if (!empty)
        throw Error(ErrorCode::conflict, "The folder " + disk.description() +
                                             " has files but no vault.json. Give an empty folder for a new store, or "
                                             "put its vault.json back.");
}

void requireLock(Disk& disk) {
    if (!disk.lock())
        throw Error(ErrorCode::conflict, "The store folder " + disk.description() + " is in use by another process.");
}

std::string newUuid() {
    std::array<unsigned char, 16> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
        throw Error(ErrorCode::internal, "An internal error occurred.", "OpenSSL gave no random bytes");
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 15];
    }
    return text;
}

std::int64_t readCatalogSeq(Disk& disk) {
    constexpr std::size_t mostBytes = 32;
    std::string text(mostBytes, '\0');
    try {
        const auto file = disk.open(catalogSeqPath);
        if (file == nullptr) return 0;
        text.resize(file->read(0, text));
    } catch (const Error&) {
        return 0;
    }
    std::int64_t seq = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seq);
    const bool whole = failure == std::errc() && std::string_view(end, text.data() + text.size()) == "\n";
    return whole && seq > 0 ? seq : 0;
}

StoreIdentity readMarker(Disk& disk) {
    const auto file = disk.open(markerPath);
    if (file == nullptr)
        throw Error(ErrorCode::unavailable, "The folder " + disk.description() +
                                                " has no vault.json: it is not a store, or its disk is not mounted.");
    std::string text(maxMarkerBytes, '\0');
    text.resize(file->read(0, text));
    std::int64_t format = 0;
    StoreIdentity identity;
    try {
        const wire::Json document = wire::parseJson(text);
        wire::ObjectReader reader(document);
        format = reader.integer("format", 1, std::numeric_limits<std::int64_t>::max());
        identity = {reader.string("vault_id"), reader.string("node_id"), reader.string("store_id")};
    } catch (const Error& error) {
        throw Error(ErrorCode::conflict,
                    "The file vault.json in " + disk.description() + " cannot be read: " + error.publicMessage());
    }
    if (format != formatNumber)
        throw Error(ErrorCode::conflict,
                    "The store in " + disk.description() + " was written by a newer version of ChunkVault.");
    return identity;
}

// Shows see every block to the end.
template <typename See>
void readThrough(DiskFile& file, See&& see) {
    const auto block = std::make_unique_for_overwrite<char[]>(readBlockBytes);
    for (std::uint64_t offset = 0;;) {
        const std::size_t n = file.read(offset, {block.get(), readBlockBytes});
        see(std::span<const char>(block.get(), n));
        if (n < readBlockBytes) return;
        offset += n;
    }
}

bool hasBytes(DiskFile& file, std::span<const char> bytes) {
    file.forgetCached();
    if (file.stat().sizeBytes != bytes.size()) return false;
    bool same = true;
    readThrough(file, [&](std::span<const char> block) {
        same = same && block.size() <= bytes.size() && std::memcmp(bytes.data(), block.data(), block.size()) == 0;
        if (same) bytes = bytes.subspan(block.size());
    });
    return same && bytes.empty();
}

// Makes what is there durable; whether it is these bytes. A file that cannot be read or synced has no bytes.
bool keepsBytes(DiskFile& file, std::span<const char> bytes) {
    try {
        // First the time, so that orphan collection sees the put; then what may still be in memory only; then the
        // comparison, which can now see the disk itself.
        file.touch();
        file.sync();
        return hasBytes(file, bytes);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::internal) throw;
        return false;
    }
}

bool hasHash(DiskFile& file, const ChunkId& id) {
    file.forgetCached();
    Sha256Stream hash;
    readThrough(file, [&](std::span<const char> block) { hash.update(block); });
    return hash.finish() == id;
}

Error missing(const ChunkId& id) {
    return Error(ErrorCode::chunkMissing, "Part of the content is missing.", "no copy of chunk " + id.toHex());
}

Error corrupt(const ChunkId& id, const std::string& why) {
    return Error(ErrorCode::chunkCorrupt, "Part of the content is damaged.",
                 "bad copy of chunk " + id.toHex() + ": " + why);
}

}  // namespace

// A file in tmp/, deleted again unless it was renamed away.
class DiskChunkStore::TemporaryFile {
  public:
    TemporaryFile(Disk& disk, std::string path, std::span<const char> bytes)
        : disk_(disk), path_(std::move(path)), file_(disk.create(path_)) {
        try {
            file_->write(0, bytes);
        } catch (...) {
            discard();
            throw;
        }
    }
    ~TemporaryFile() {
        if (!path_.empty()) discard();
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    void sync() {
        file_->sync();
        file_.reset();
    }

    void renameTo(const std::string& path) {
        disk_.rename(path_, path);
        path_.clear();
    }

  private:
    void discard() noexcept {
        file_.reset();
        try {
            disk_.unlink(path_);
        } catch (...) {  // NOLINT(bugprone-empty-catch): the next open clears tmp/
        }
    }

    Disk& disk_;
    std::string path_;
    std::unique_ptr<DiskFile> file_;
};

StoreIdentity DiskChunkStore::format(Disk& disk, const std::string& vaultId, const std::string& nodeId) {
    requireLock(disk);
    if (isFormatted(disk))
        throw Error(ErrorCode::conflict, "The folder " + disk.description() + " is a store already.");
    requireEmpty(disk);
    StoreIdentity identity{vaultId, nodeId, newUuid()};
    const wire::Json document = {{"format", formatNumber},
                                 {"vault_id", identity.vaultId},
                                 {"node_id", identity.nodeId},
                                 {"store_id", identity.storeId}};
    disk.makeFolder(temporaryFolder);
    disk.unlink(markerTemporaryPath);
    TemporaryFile marker(disk, markerTemporaryPath, document.dump(2) + "\n");
    marker.sync();
    marker.renameTo(markerPath);
    try {
        disk.syncFolder("");
    } catch (const Error&) {
        disk.unlink(markerPath);
        throw;
    }
    return identity;
}

bool DiskChunkStore::isFormatted(Disk& disk) { return disk.stat(markerPath).has_value(); }

StoreIdentity DiskChunkStore::identityOf(Disk& disk) { return readMarker(disk); }

std::unique_ptr<DiskChunkStore> DiskChunkStore::openUnused(std::unique_ptr<Disk> disk, StoreOptions options) {
    requireLock(*disk);
    StoreIdentity identity = readMarker(*disk);
    return std::unique_ptr<DiskChunkStore>(new DiskChunkStore(std::move(disk), std::move(identity), options));
}

void DiskChunkStore::takeIntoUse(const std::string& vaultId) {
    if (identity_.vaultId != vaultId)
        throw Error(ErrorCode::conflict, "The store in " + disk_->description() + " belongs to another vault (" +
                                             identity_.vaultId + ", not " + vaultId + ").");
    if (inUse_) return;  // what is in tmp/ may be being written
    makeStoreFolders(*disk_);
    for (const std::string& name : disk_->list(temporaryFolder)) disk_->unlink(pathIn(temporaryFolder, name));
    inUse_ = true;
}

std::unique_ptr<DiskChunkStore> DiskChunkStore::open(std::unique_ptr<Disk> disk, const std::string& vaultId,
                                                     StoreOptions options) {
    auto store = openUnused(std::move(disk), options);
    store->takeIntoUse(vaultId);
    return store;
}

DiskChunkStore::DiskChunkStore(std::unique_ptr<Disk> disk, StoreIdentity identity, StoreOptions options)
    : disk_(std::move(disk)),
      identity_(std::move(identity)),
      options_(options),
      catalogSeq_(readCatalogSeq(*disk_)),
      writtenCatalogSeq_(catalogSeq_) {}

void DiskChunkStore::put(const Chunk& chunk, Generation generation) {
    const PutItem item{chunk, generation};
    putAll({&item, 1});
}

void DiskChunkStore::putAll(std::span<const PutItem> items) {
    std::vector<const PutItem*> distinct;
    distinct.reserve(items.size());
    for (const PutItem& item : items) distinct.push_back(&item);
    // By id, then the highest generation first: of a chunk that is there twice, that one counts.
    std::sort(distinct.begin(), distinct.end(), [](const PutItem* a, const PutItem* b) {
        return std::pair(a->chunk.id(), b->generation) < std::pair(b->chunk.id(), a->generation);
    });
    distinct.erase(std::unique(distinct.begin(), distinct.end(),
                               [](const PutItem* a, const PutItem* b) { return a->chunk.id() == b->chunk.id(); }),
                   distinct.end());
    requireMarker();
    for (std::size_t at = 0; at < distinct.size(); at += openFiles)
        putSome(std::span(distinct).subspan(at, std::min(openFiles, distinct.size() - at)));
}

void DiskChunkStore::putSome(std::span<const PutItem* const> items) {
    struct Fresh {
        const PutItem* item;
        Generation over;  // of the copy that it replaces; 0: none
        std::unique_ptr<TemporaryFile> file;
    };
    std::vector<ChunkId> ids;
    ids.reserve(items.size());
    for (const PutItem* item : items) ids.push_back(item->chunk.id());
    const auto claim = claims_.claim(std::move(ids));

    struct Raised {
        ChunkId id;
        Generation from, to;
    };
    std::vector<Fresh> fresh;
    fresh.reserve(items.size());
    std::vector<Raised> raised;
    std::uint64_t freshBytes = 0;
    for (const PutItem* item : items) {
        const ChunkId& id = item->chunk.id();
        Generation over = 0;
        if (const auto copy = findClaimed(id)) {
            if (!options_.rewrites && copy->file != nullptr && keepsBytes(*copy->file, item->chunk.bytes())) {
                if (item->generation > copy->generation) {
                    rename(id, copy->generation, item->generation);
                    raised.push_back({id, copy->generation, item->generation});
                }
                continue;
            }
            over = copy->generation;
        }
        fresh.push_back({item, over, nullptr});
        freshBytes += (item->chunk.size() / diskBlockBytes + 1) * diskBlockBytes;
    }
    if (!fresh.empty()) requireRoom(freshBytes);
    for (Fresh& f : fresh)
        f.file = std::make_unique<TemporaryFile>(*disk_, pathIn(temporaryFolder, std::to_string(++lastTemporary_)),
                                                 f.item->chunk.bytes());
    for (Fresh& f : fresh) f.file->sync();
    for (Fresh& f : fresh) {
        const ChunkId& id = f.item->chunk.id();
        // Under the old copy's own name first: at no moment are there two files of a chunk.
        const Generation first = f.over > 0 ? f.over : f.item->generation;
        f.file->renameTo(chunkPath(id, first));
        noteGeneration(id, first);
        if (f.item->generation > first) rename(id, first, f.item->generation);
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::uint8_t folder = firstByteOf(items[i]->chunk.id());
        if (i > 0 && folder == firstByteOf(items[i - 1]->chunk.id())) continue;
        try {
            disk_->syncFolder(fanOutFolder(folder));
        } catch (const Error&) {
            // A later sync of this folder may claim success for names that this one lost: a repeat makes them anew.
            for (const Fresh& f : fresh)
                if (firstByteOf(f.item->chunk.id()) == folder) takeBack(f.item->chunk.id(), f.over, f.item->generation);
            for (const Raised& r : raised)
                if (firstByteOf(r.id) == folder) takeBack(r.id, r.from, r.to);
            throw;
        }
    }
}

void DiskChunkStore::takeBack(const ChunkId& id, Generation from, Generation to) noexcept {
    try {
        if (from > 0 && from < to) {
            rename(id, to, from);
        } else if (from == 0 || !options_.rewrites) {
            disk_->unlink(chunkPath(id, std::max(from, to)));
            noteGeneration(id, std::nullopt);
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): the caller is told of the failure that led here
    }
}

std::unique_ptr<DiskFile> DiskChunkStore::openCopy(const ChunkId& id, std::uint64_t size) {
    auto copy = find(id);
    if (!copy) throw missing(id);
    DiskFile& file = copy->readable();
    const std::uint64_t found = file.stat().sizeBytes;
    if (found != size) throw corrupt(id, std::to_string(found) + " bytes instead of " + std::to_string(size));
    return std::move(copy->file);
}

void DiskChunkStore::noteCatalogSeq(std::int64_t seq, Timestamp now) {
    const std::lock_guard lock(catalogSeqMutex_);
    if (seq > catalogSeq_) catalogSeq_ = seq;
    const bool due =
        !catalogSeqWrittenAt_ || now - *catalogSeqWrittenAt_ >= catalogSeqAgeUs || now < *catalogSeqWrittenAt_;
    if (catalogSeq_ == writtenCatalogSeq_ || !due) return;
    requireMarker();
    disk_->unlink(catalogSeqTemporaryPath);
    TemporaryFile file(*disk_, catalogSeqTemporaryPath, std::to_string(catalogSeq_) + '\n');
    file.sync();
    file.renameTo(catalogSeqPath);
    disk_->syncFolder("");
    writtenCatalogSeq_ = catalogSeq_;
    catalogSeqWrittenAt_ = now;
}

Chunk DiskChunkStore::get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) {
    assert(size <= buffer.capacity());
    const auto file = openCopy(id, size);
    if (file->read(0, buffer.span().first(size)) != size) throw corrupt(id, "it became shorter");
    auto chunk = Chunk::verify(id, std::move(buffer), size);
    if (!chunk) throw corrupt(id, "its hash is another");
    return std::move(*chunk);
}

bool DiskChunkStore::has(const ChunkId& id) { return find(id).has_value(); }

bool DiskChunkStore::remove(const ChunkId& id, Generation generation) {
    return removeCopy(id, generation, std::nullopt);
}

bool DiskChunkStore::removeOrphan(const KeptChunk& listed) {
    return removeCopy(listed.id, listed.generation, listed.putAt);
}

bool DiskChunkStore::removeCopy(const ChunkId& id, Generation generation, std::optional<Timestamp> listedAt) {
    requireMarker();
    const auto claim = claims_.claim({id});
    auto copy = findClaimed(id);
    if (!copy) {
        // Whoever removed it may have been killed before the syncs.
        disk_->syncFolder(trashFolder);
        disk_->syncFolder(fanOutFolder(firstByteOf(id)));
    }
    for (; copy; copy = findClaimed(id)) {
        if (copy->generation > generation) return false;
        DiskFile& file = copy->readable();
        if (listedAt && (copy->generation != generation || file.stat().modifiedAt != *listedAt)) return false;
        // Its time in the trash begins now, and must not be forgotten.
        file.touch();
        file.sync();
        moveToTrash(id, copy->generation, id.toHex() + '.' + std::to_string(generation));
    }
    return true;
}

void DiskChunkStore::moveToTrash(const ChunkId& id, Generation generation, const std::string& name) {
    const std::string from = chunkPath(id, generation), to = pathIn(trashFolder, name);
    disk_->rename(from, to);
    noteGeneration(id, std::nullopt);
    try {
        disk_->syncFolder(trashFolder);
        disk_->syncFolder(fanOutFolder(firstByteOf(id)));
    } catch (const Error&) {
        // As in putSome: a repeat moves it anew.
        try {
            disk_->rename(to, from);
            noteGeneration(id, generation);
        } catch (...) {  // NOLINT(bugprone-empty-catch): the caller is told of the failure that led here
        }
        throw;
    }
}

CopyState DiskChunkStore::check(const ChunkId& id, std::uint64_t size) {
    const auto copy = find(id);
    if (!copy) return CopyState::missing;
    if (copy->file == nullptr) return CopyState::bad;
    try {
        return copy->file->stat().sizeBytes == size && hasHash(*copy->file, id) ? CopyState::good : CopyState::bad;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::internal) throw;
        return CopyState::bad;
    }
}

bool DiskChunkStore::moveAside(const ChunkId& id) {
    requireMarker();
    const auto claim = claims_.claim({id});
    const auto copy = findClaimed(id);
    if (!copy) return false;
    DiskFile& file = copy->readable();
    if (hasHash(file, id)) return false;
    // As in removeCopy.
    file.touch();
    file.sync();
    const auto name = [hex = id.toHex()](int number) { return hex + ".bad-" + std::to_string(number); };
    int number = 1;
    while (disk_->stat(pathIn(trashFolder, name(number)))) ++number;
    moveToTrash(id, copy->generation, name(number));
    return true;
}

KeptPage DiskChunkStore::list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                              std::size_t limit) {
    std::vector<NamedChunk> named;
    for (const std::string& name : disk_->list(fanOutFolder(firstByte)))
        if (const auto chunk = parseFileName(name))
            if (firstByteOf(chunk->id) == firstByte && (!after || *after < chunk->id)) named.push_back(*chunk);
    std::ranges::sort(named, {}, &NamedChunk::id);
    const Timestamp putUntil = disk_->now() - minAgeUs;
    KeptPage page;
    for (const NamedChunk& chunk : named) {
        const auto status = disk_->stat(chunkPath(chunk.id, chunk.generation));
        if (!status || status->modifiedAt > putUntil) continue;
        page.more = page.chunks.size() == limit;
        if (page.more) break;
        page.chunks.push_back({chunk.id, chunk.generation, status->sizeBytes, status->modifiedAt});
    }
    return page;
}

PurgedTrash DiskChunkStore::purgeTrash(std::int64_t minAgeUs, std::size_t limit) {
    requireMarker();
    const Timestamp removedUntil = disk_->now() - minAgeUs;
    std::vector<std::string> names = disk_->list(trashFolder);
    PurgedTrash result;
    {
        const std::lock_guard lock(purgeMutex_);
        std::erase_if(names, [&](const std::string& name) { return name <= purgedTo_; });
        result.more = names.size() > limit;
        if (result.more) {
            std::ranges::nth_element(names, names.begin() + static_cast<std::ptrdiff_t>(limit));
            names.resize(limit);
            purgedTo_ = *std::ranges::max_element(names);
        } else {
            purgedTo_.clear();
        }
    }
    for (const std::string& name : names) {
        const std::string path = pathIn(trashFolder, name);
        const auto status = disk_->stat(path);
        if (!status || status->modifiedAt > removedUntil || !disk_->unlink(path)) continue;
        ++result.purged.files;
        result.purged.bytes += status->sizeBytes;
    }
    return result;
}

FileTotals DiskChunkStore::count() {
    FileTotals totals;
    for (int byte = 0; byte < 256; ++byte) {
        const std::string folder = fanOutFolder(static_cast<std::uint8_t>(byte));
        for (const std::string& name : disk_->list(folder)) {
            if (!parseFileName(name)) continue;
            const auto status = disk_->stat(pathIn(folder, name));
            if (!status) continue;
            ++totals.files;
            totals.bytes += status->sizeBytes;
        }
    }
    return totals;
}

void DiskChunkStore::requireMarker() {
    if (disk_->attached() && isFormatted(*disk_)) return;
    throw Error(ErrorCode::unavailable, "The storage cannot be used now. Try again later.",
                "the store folder " + disk_->description() + " has lost its vault.json; is the disk mounted?")
        .retryAfter(10);
}

void DiskChunkStore::requireRoom(std::uint64_t bytes) {
    const std::lock_guard lock(roomMutex_);
    const Timestamp now = systemNow();
    if (roomBytes_ < bytes || now - roomAskedAt_ > roomAgeUs) {
        roomBytes_ = roomBytes(disk_->space());
        roomAskedAt_ = now;
    }
    if (roomBytes_ < bytes)
        throw Error(
            ErrorCode::storageFull, "The storage is full.",
            disk_->description() + " is down to its reserve of " + std::to_string(options_.reserveBytes) + " bytes");
    roomBytes_ -= bytes;
}

void DiskChunkStore::rename(const ChunkId& id, Generation from, Generation to) {
    disk_->rename(chunkPath(id, from), chunkPath(id, to));
    noteGeneration(id, to);
}

std::optional<DiskChunkStore::Copy> DiskChunkStore::find(const ChunkId& id) {
    if (auto copy = findClaimed(id)) return copy;
    const auto claim = claims_.claim({id});
    return findClaimed(id);
}

std::optional<DiskChunkStore::Copy> DiskChunkStore::findClaimed(const ChunkId& id) {
    auto first = copyAt(id, 1);
    if (first && first->file != nullptr) return first;
    const auto generation = laterGeneration(id);
    return generation ? copyAt(id, *generation) : std::move(first);
}

std::optional<DiskChunkStore::Copy> DiskChunkStore::copyAt(const ChunkId& id, Generation generation) {
    try {
        if (auto file = disk_->open(chunkPath(id, generation))) return Copy{generation, std::move(file), {}};
        return std::nullopt;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::internal) throw;
        return Copy{generation, nullptr, error};
    }
}

DiskFile& DiskChunkStore::Copy::readable() const {
    if (file == nullptr) throw Error(*failure);
    return *file;
}

std::optional<Generation> DiskChunkStore::laterGeneration(const ChunkId& id) {
    LaterGenerations& later = later_[firstByteOf(id)];
    std::optional<Generation> generation;
    {
        const std::lock_guard lock(later.mutex);
        if (!later.known) {
            for (const std::string& name : disk_->list(fanOutFolder(firstByteOf(id))))
                if (const auto named = parseFileName(name); named && named->generation > 1)
                    later.of[named->id] = std::max(later.of[named->id], named->generation);
            later.known = true;
            generations_ += later.of.size();
        }
        if (const auto found = later.of.find(id); found != later.of.end()) generation = found->second;
    }
    forgetGenerations(firstByteOf(id));
    return generation;
}

void DiskChunkStore::noteGeneration(const ChunkId& id, std::optional<Generation> generation) {
    LaterGenerations& later = later_[firstByteOf(id)];
    {
        const std::lock_guard lock(later.mutex);
        if (!later.known) return;
        if (generation && *generation > 1) generations_ += later.of.insert_or_assign(id, *generation).second ? 1 : 0;
        else generations_ -= later.of.erase(id);
    }
    forgetGenerations(firstByteOf(id));
}

void DiskChunkStore::forgetGenerations(std::uint8_t butOf) {
    for (int folders = 0; generations_ > options_.mostGenerations && folders < 256; ++folders) {
        const std::uint8_t folder = forgetNext_++;
        if (folder == butOf) continue;
        LaterGenerations& later = later_[folder];
        const std::lock_guard lock(later.mutex);
        if (later.known) generations_ -= later.of.size();
        later.of = {};
        later.known = false;
    }
}

}  // namespace chunkvault::storagenode
