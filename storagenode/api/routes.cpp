#include "storagenode/api/routes.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>

#include "common/error/error.h"
#include "storagenode/client/node_protocol.h"

namespace chunkvault::storagenode {

namespace {

using http::Method;
using http::SignedCall;

constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t maxAgeUs = 100 * 365 * dayUs;
constexpr std::size_t readBlockBytes = 256 << 10;
constexpr std::uint64_t maxBatchBodyBytes = batchCountBytes + maxBatchChunks * batchEntryBytes + maxBatchBytes;

void sendJson(http::Response& response, const wire::Json& document) {
    response.send(200, "application/json", document.dump());
}

ChunkId idOf(const http::Request& request) {
    const auto id = ChunkId::fromHex(request.param("id"));
    if (!id) throw Error(ErrorCode::invalidValue, "A chunk's id has 64 hexadecimal digits.");
    return *id;
}

std::optional<std::int64_t> maybeInteger(const http::Request& request, std::string_view name, std::int64_t min,
                                         std::int64_t max) {
    const auto text = request.queryValue(name);
    if (!text) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (failure != std::errc() || end != text->data() + text->size() || value < min || value > max)
        throw Error(ErrorCode::invalidValue, std::string(name) + " must be a whole number from " + std::to_string(min) +
                                                 " to " + std::to_string(max) + '.');
    return value;
}

std::int64_t integer(const http::Request& request, std::string_view name, std::int64_t min, std::int64_t max) {
    const auto value = maybeInteger(request, name, min, max);
    if (!value) throw Error(ErrorCode::invalidValue, std::string(name) + " is missing.");
    return *value;
}

std::int64_t minAgeOf(const http::Request& request) { return integer(request, "min_age_us", 0, maxAgeUs); }

std::size_t limitOf(const http::Request& request, std::size_t most) {
    const auto limit = maybeInteger(request, "limit", 1, static_cast<std::int64_t>(most));
    return limit ? static_cast<std::size_t>(*limit) : most;
}

Generation generationOf(const http::Request& request) { return integer(request, "generation", 0, unbounded); }

std::uint64_t sizeOf(const http::Request& request) {
    return static_cast<std::uint64_t>(integer(request, "size", 0, maxChunkBytes));
}

std::uint64_t lengthOf(const http::Request& request) {
    const auto length = request.body->length();
    if (!length) throw Error(ErrorCode::lengthRequired, "Send Content-Length with the bytes of chunks.");
    return *length;
}

void throwUnlike(const ChunkId& announced) {
    throw Error(ErrorCode::checksumMismatch, "The bytes are not those of chunk " + announced.toHex() + '.');
}

void putChunk(NodeServices& services, SignedCall& call) {
    const ChunkId id = idOf(call.request);
    const Generation generation = integer(call.request, "generation", 1, unbounded);
    const auto store = services.slot.use();
    const std::size_t size = lengthOf(call.request);
    ChunkBuffer buffer = services.buffers.acquire(size);
    (void)call.request.body->readFull(buffer.span().first(size));
    const Chunk chunk = Chunk::hash(std::move(buffer), size);
    call.requireBody(chunk.id());
    if (chunk.id() != id) throwUnlike(id);
    store->put(chunk, generation);
    sendJson(call.response, wire::Json::object());
}

void putBatch(NodeServices& services, SignedCall& call) {
    const auto store = services.slot.use();
    const std::uint64_t length = lengthOf(call.request);
    Sha256Stream hash;
    const auto read = [&](std::span<char> into) {
        const std::span<char> got = into.first(call.request.body->readFull(into));
        hash.update(got);
        return std::string_view(got.data(), got.size());
    };
    std::string head(batchCountBytes, '\0');
    const std::size_t count = parseBatchCount(read(head));
    head.resize(count * batchEntryBytes);
    const std::vector<BatchEntry> entries = parseBatchEntries(read(head));
    std::vector<std::size_t> sizes;
    for (const BatchEntry& entry : entries) sizes.push_back(entry.size);
    if (entries.size() != count || std::accumulate(sizes.begin(), sizes.end(), batchCountBytes + head.size()) != length)
        throw Error(ErrorCode::badRequest, "The batch is not as long as its head says.");
    std::vector<PutItem> items;
    items.reserve(count);
    std::vector<ChunkBuffer> buffers = services.buffers.acquireAll(sizes);
    for (std::size_t i = 0; i < count; ++i) {
        (void)read(buffers[i].span().first(sizes[i]));
        items.push_back({Chunk::hash(std::move(buffers[i]), sizes[i]), entries[i].generation});
    }
    call.requireBody(hash.finish());
    for (std::size_t i = 0; i < count; ++i)
        if (items[i].chunk.id() != entries[i].id) throwUnlike(entries[i].id);
    store->putAll(items);
    sendJson(call.response, wire::Json::object());
}

// Fills part from the file, with zeros where it cannot be read. Empty, or why it could not.
std::string readOrZeros(DiskFile& file, std::uint64_t offset, std::span<char> part) {
    std::string failure;
    std::size_t size = 0;
    try {
        size = file.read(offset, part);
        if (size < part.size()) failure = "the copy became shorter";
    } catch (const Error& error) {
        if (error.code() != ErrorCode::internal) throw;  // the disk is gone, which says nothing of the copy
        failure = error.what();
    }
    std::ranges::fill(part.subspan(size), '\0');
    return failure;
}

// Not hashed here: who asked verifies, and only that counts. So what cannot be read is sent all the same: a copy that
// is bad has its store asked, and an answer that breaks off could have done so for any reason.
void getChunk(NodeServices& services, SignedCall& call) {
    const ChunkId id = idOf(call.request);
    const std::uint64_t size = sizeOf(call.request);
    const auto file = services.slot.use()->openCopy(id, size);
    const ChunkBuffer block = services.buffers.acquire(std::min<std::uint64_t>(size, readBlockBytes));
    http::BodyWriter& writer = call.response.begin(200, "application/octet-stream", size);
    std::string failure;
    for (std::uint64_t offset = 0; offset < size;) {
        const auto part = block.span().first(std::min<std::uint64_t>(size - offset, readBlockBytes));
        const std::string failed = readOrZeros(*file, offset, part);
        if (failure.empty()) failure = failed;
        writer.write(part);
        offset += part.size();
    }
    if (!failure.empty())
        throw Error(ErrorCode::chunkCorrupt, "Part of the content is damaged.",
                    "the copy of chunk " + id.toHex() + " cannot be read: " + failure);
}

void headChunk(NodeServices& services, SignedCall& call) {
    const bool present = services.slot.use()->has(idOf(call.request));
    call.response.setHeader(presentHeaderName, present ? "true" : "false");
    call.response.sendEmpty(200);
}

void removeChunk(NodeServices& services, SignedCall& call) {
    const ChunkId id = idOf(call.request);
    const Generation generation = generationOf(call.request);
    const auto putAt = maybeInteger(call.request, "put_at_us", -unbounded, unbounded);
    const auto store = services.slot.use();
    const bool removed = putAt ? store->removeOrphan({id, generation, 0, *putAt}) : store->remove(id, generation);
    sendJson(call.response, {{"removed", removed}});
}

void checkChunk(NodeServices& services, SignedCall& call) {
    const CopyState state = services.slot.use()->check(idOf(call.request), sizeOf(call.request));
    sendJson(call.response, {{"state", textOf(state)}});
}

void moveAside(NodeServices& services, SignedCall& call) {
    sendJson(call.response, {{"moved", services.slot.use()->moveAside(idOf(call.request))}});
}

void listChunks(NodeServices& services, SignedCall& call) {
    // Two digits and any 62 behind them are an id.
    const auto prefix =
        ChunkId::fromHex(std::string(call.request.queryValue("prefix").value_or("")) + std::string(62, '0'));
    if (!prefix) throw Error(ErrorCode::invalidValue, "prefix must be two hexadecimal digits.");
    const auto after = call.request.queryValue("after");
    const auto last = ChunkId::fromHex(after.value_or(""));
    if (after && !last) throw Error(ErrorCode::invalidValue, "after must be a chunk's id.");
    const KeptPage page =
        services.slot.use()->list(prefix->array()[0], minAgeOf(call.request), last, limitOf(call.request, maxKeptPage));
    sendJson(call.response, encode(page));
}

void purgeTrash(NodeServices& services, SignedCall& call) {
    const auto [purged, more] =
        services.slot.use()->purgeTrash(minAgeOf(call.request), limitOf(call.request, maxPurgedFiles));
    sendJson(call.response, {{"files", purged.files}, {"bytes", purged.bytes}, {"more", more}});
}

void stats(NodeServices& services, SignedCall& call) {
    // An API server asks for them before the node is part of its vault.
    auto store = services.slot.known();
    if (store == nullptr) store = services.slot.use();
    const DiskSpace space = store->space();
    const StoreIdentity& identity = store->identity();
    sendJson(call.response, encode(NodeStats{identity.nodeId, identity.storeId, identity.vaultId, services.zone,
                                             static_cast<std::int64_t>(space.capacityBytes),
                                             static_cast<std::int64_t>(store->roomBytes(space)), store->catalogSeq()}));
}

void health(const NodeServices& services, http::Response& response) {
    const bool good = services.slot.problem().empty();
    response.send(good ? 200 : 503, "application/json", good ? R"({"status":"ok"})" : R"({"status":"unavailable"})");
}

}  // namespace

std::vector<http::Route> makeRoutes(NodeServices& services) {
    const auto forCluster = [&](void (*handler)(NodeServices&, SignedCall&)) {
        return services.door.guard([&services, handler](SignedCall& call) { handler(services, call); });
    };
    return {
        {Method::put, "/chunks/{id}", forCluster(putChunk), maxChunkBytes, true},
        {Method::post, "/chunks/batch", forCluster(putBatch), maxBatchBodyBytes, true},
        {Method::get, "/chunks/{id}", forCluster(getChunk), 0, true},
        {Method::head, "/chunks/{id}", forCluster(headChunk), 0},
        {Method::del, "/chunks/{id}", forCluster(removeChunk), 0},
        {Method::post, "/chunks/{id}/check", forCluster(checkChunk), 0},
        {Method::post, "/chunks/{id}/aside", forCluster(moveAside), 0},
        {Method::get, "/chunks", forCluster(listChunks), 0},
        {Method::post, "/trash/purge", forCluster(purgeTrash), 0},
        {Method::get, "/stats", forCluster(stats), 0},
        {Method::get, "/health", [&services](http::Request&, http::Response& response) { health(services, response); },
         0},
        {Method::get, "/metrics",
         [&services](http::Request&, http::Response& response) {
             response.send(200, "text/plain; version=0.0.4", services.metricsText());
         },
         0},
    };
}

}  // namespace chunkvault::storagenode
