#include "storagenode/client/node_protocol.h"

#include <limits>

#include "common/error/error.h"

namespace chunkvault::storagenode {

namespace {

constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

void appendNumber(std::string& text, std::uint64_t number, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0;) text += static_cast<char>((number >> (8 * i)) & 0xff);
}

std::uint64_t takeNumber(std::string_view& bytes, std::size_t count) {
    std::uint64_t number = 0;
    for (const char byte : bytes.substr(0, count)) number = number << 8 | static_cast<unsigned char>(byte);
    bytes.remove_prefix(count);
    return number;
}

}  // namespace

std::string encodeBatchHead(std::span<const BatchEntry> entries) {
    std::string head;
    head.reserve(batchCountBytes + entries.size() * batchEntryBytes);
    appendNumber(head, entries.size(), batchCountBytes);
    for (const BatchEntry& entry : entries) {
        head += entry.id.raw();
        appendNumber(head, static_cast<std::uint64_t>(entry.generation), 8);
        appendNumber(head, entry.size, 8);
    }
    return head;
}

std::size_t parseBatchCount(std::string_view bytes) {
    if (bytes.size() != batchCountBytes) throw Error(ErrorCode::badRequest, "The batch ends in its head.");
    const std::uint64_t count = takeNumber(bytes, batchCountBytes);
    if (count < 1 || count > maxBatchChunks)
        throw Error(ErrorCode::badRequest, "A batch has from 1 to " + std::to_string(maxBatchChunks) + " chunks.");
    return count;
}

std::vector<BatchEntry> parseBatchEntries(std::string_view bytes) {
    if (bytes.size() % batchEntryBytes != 0) throw Error(ErrorCode::badRequest, "The batch ends in its head.");
    std::vector<BatchEntry> entries;
    std::uint64_t total = 0;
    while (!bytes.empty()) {
        const ChunkId id = *ChunkId::fromBytes(bytes.substr(0, ChunkId::bytes));
        bytes.remove_prefix(ChunkId::bytes);
        const auto generation = static_cast<Generation>(takeNumber(bytes, 8));
        const std::uint64_t size = takeNumber(bytes, 8);
        if (generation < 1) throw Error(ErrorCode::badRequest, "A generation is at least 1.");
        if (size > maxBatchBytes || (total += size) > maxBatchBytes)
            throw Error(ErrorCode::badRequest,
                        "The chunks of a batch have at most " + std::to_string(maxBatchBytes) + " bytes together.");
        entries.push_back({id, generation, size});
    }
    return entries;
}

wire::Json encode(const NodeStats& stats) {
    return {{"node_id", stats.nodeId},         {"store_id", stats.storeId},
            {"vault_id", stats.vaultId},       {"zone", stats.zone},
            {"capacity", stats.capacityBytes}, {"free", stats.freeBytes},
            {"catalog_seq", stats.catalogSeq}};
}

NodeStats parseStats(std::string_view json) {
    const wire::Json document = wire::parseJson(json);
    wire::ObjectReader reader(document);
    return {.nodeId = reader.string("node_id"),
            .storeId = reader.string("store_id"),
            .vaultId = reader.string("vault_id"),
            .zone = reader.string("zone"),
            .capacityBytes = reader.integer("capacity", 0, unbounded),
            .freeBytes = reader.integer("free", 0, unbounded),
            .catalogSeq = reader.integer("catalog_seq", 0, unbounded)};
}

wire::Json encode(const KeptPage& page) {
    wire::Json chunks = wire::Json::array();
    for (const KeptChunk& chunk : page.chunks)
        chunks.push_back({{"id", chunk.id.toHex()},
                          {"generation", chunk.generation},
                          {"size", chunk.sizeBytes},
                          {"put_at_us", chunk.putAt}});
    return {{"chunks", std::move(chunks)}, {"more", page.more}};
}

KeptPage parseKeptPage(std::string_view json) {
    const wire::Json document = wire::parseJson(json);
    wire::ObjectReader reader(document);
    KeptPage page;
    for (const wire::Json& element : reader.array("chunks", 0, maxKeptPage)) {
        wire::ObjectReader chunk(element);
        page.chunks.push_back({chunk.digest("id"), chunk.integer("generation", 1, unbounded),
                               static_cast<std::uint64_t>(chunk.integer("size", 0, unbounded)),
                               chunk.integer("put_at_us", -unbounded, unbounded)});
    }
    page.more = reader.boolean("more", false);
    return page;
}

std::string_view textOf(CopyState state) noexcept {
    switch (state) {
        case CopyState::good: return "good";
        case CopyState::bad: return "bad";
        case CopyState::missing: break;
    }
    return "missing";
}

CopyState parseCopyState(std::string_view text) {
    for (const CopyState state : {CopyState::good, CopyState::bad, CopyState::missing})
        if (text == textOf(state)) return state;
    throw Error(ErrorCode::invalidValue, "This is no state of a copy.");
}

}  // namespace chunkvault::storagenode
