#include "storagenode/client/node_client.h"

#include <cassert>
#include <utility>

#include "common/error/error.h"
#include "common/wire/error_table.h"

namespace chunkvault::storagenode {

namespace {

using http::Method;

constexpr std::size_t maxAnswerBytes = 2 << 20;  // a page of a list

std::string chunkTarget(const ChunkId& id) { return "/chunks/" + id.toHex(); }

std::string hexOf(std::uint8_t byte) {
    static constexpr char digits[] = "0123456789abcdef";
    return {digits[byte >> 4], digits[byte & 15]};
}

bool flag(const std::string& json, std::string_view field) {
    const wire::Json document = wire::parseJson(json);
    wire::ObjectReader reader(document);
    if (!reader.has(field)) throw Error(ErrorCode::invalidValue, std::string(field) + " is missing.");
    return reader.boolean(field, false);
}

}  // namespace

NodeClient::NodeClient(std::string nodeId, std::string_view url, wire::ClusterKey key, NodeClientOptions options,
                       Clock clock)
    : nodeId_(std::move(nodeId)),
      options_(options),
      client_(http::ServerAddress::parse(url), nodeId_, std::move(key), std::move(clock), options.connections) {}

template <typename Read>
auto NodeClient::understand(const http::ClientAnswer& answer, Read&& read) const {
    try {
        return read(answer.body);
    } catch (const Error& error) {
        throw unavailable("its answer cannot be understood: " + error.publicMessage());
    }
}

void NodeClient::put(const Chunk& chunk, Generation generation) {
    const std::string_view bytes(chunk.bytes().data(), chunk.size());
    // The chunk's name is the hash of the body.
    (void)ask(Method::put, chunkTarget(chunk.id()) + "?generation=" + std::to_string(generation), Pace::durable,
              {&bytes, 1}, chunk.id());
}

void NodeClient::putAll(std::span<const PutItem> items) {
    while (!items.empty()) {
        std::size_t count = 0, bytes = 0;
        while (count < items.size() && count < maxBatchChunks &&
               (count == 0 || bytes + items[count].chunk.size() <= maxBatchBytes))
            bytes += items[count++].chunk.size();
        if (count == 1) put(items.front().chunk, items.front().generation);
        else putBatch(items.first(count));
        items = items.subspan(count);
    }
}

void NodeClient::putBatch(std::span<const PutItem> items) {
    std::vector<BatchEntry> entries;
    std::vector<std::string_view> body{{}};
    for (const PutItem& item : items) {
        entries.push_back({item.chunk.id(), item.generation, item.chunk.size()});
        body.emplace_back(item.chunk.bytes().data(), item.chunk.size());
    }
    const std::string head = encodeBatchHead(entries);
    body.front() = head;
    Sha256Stream hash;
    for (const std::string_view piece : body) hash.update(piece);
    (void)ask(Method::post, "/chunks/batch", Pace::durable, body, hash.finish());
}

Chunk NodeClient::get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) {
    assert(size <= buffer.capacity());
    const http::ClientAnswer answer =
        ask(Method::get, chunkTarget(id) + "?size=" + std::to_string(size), Pace::quick, buffer.span().first(size));
    if (answer.intoBytes != size || !answer.body.empty())
        throw corrupt(id, std::to_string(answer.intoBytes) + " bytes instead of " + std::to_string(size));
    auto chunk = Chunk::verify(id, std::move(buffer), size);
    if (!chunk) throw corrupt(id, "its hash is another");
    return std::move(*chunk);
}

bool NodeClient::has(const ChunkId& id) {
    const http::ClientAnswer answer = ask(Method::head, chunkTarget(id), Pace::quick);
    const auto present = answer.header(presentHeaderName);
    if (present != "true" && present != "false") throw unavailable("it does not say whether a chunk is there");
    return present == "true";
}

bool NodeClient::remove(const ChunkId& id, Generation generation) {
    const auto answer = ask(Method::del, chunkTarget(id) + "?generation=" + std::to_string(generation), Pace::durable);
    return understand(answer, [](const std::string& json) { return flag(json, "removed"); });
}

bool NodeClient::removeOrphan(const KeptChunk& listed) {
    const auto answer = ask(Method::del,
                            chunkTarget(listed.id) + "?generation=" + std::to_string(listed.generation) +
                                "&put_at_us=" + std::to_string(listed.putAt),
                            Pace::durable);
    return understand(answer, [](const std::string& json) { return flag(json, "removed"); });
}

CopyState NodeClient::check(const ChunkId& id, std::uint64_t size) {
    const auto answer = ask(Method::post, chunkTarget(id) + "/check?size=" + std::to_string(size), Pace::durable);
    return understand(answer, [](const std::string& json) {
        const wire::Json document = wire::parseJson(json);
        return parseCopyState(wire::ObjectReader(document).string("state"));
    });
}

bool NodeClient::moveAside(const ChunkId& id) {
    const auto answer = ask(Method::post, chunkTarget(id) + "/aside", Pace::durable);
    return understand(answer, [](const std::string& json) { return flag(json, "moved"); });
}

KeptPage NodeClient::list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                          std::size_t limit) {
    std::string target = "/chunks?prefix=" + hexOf(firstByte) + "&min_age_us=" + std::to_string(minAgeUs) +
                         "&limit=" + std::to_string(limit);
    if (after) target += "&after=" + after->toHex();
    KeptPage page = understand(ask(Method::get, target, Pace::durable), parseKeptPage);
    // A page that leads nowhere would be asked for again and again.
    if (page.chunks.size() > limit || (page.more && page.chunks.empty()))
        throw unavailable("its list of chunks is not as long as it should be");
    const ChunkId* last = after ? &*after : nullptr;
    for (const KeptChunk& chunk : page.chunks) {
        if (chunk.id.array()[0] != firstByte || (last != nullptr && chunk.id <= *last))
            throw unavailable("its list of chunks is out of order");
        last = &chunk.id;
    }
    return page;
}

PurgedTrash NodeClient::purgeTrash(std::int64_t minAgeUs, std::size_t limit) {
    const auto answer =
        ask(Method::post, "/trash/purge?min_age_us=" + std::to_string(minAgeUs) + "&limit=" + std::to_string(limit),
            Pace::durable);
    return understand(answer, [](const std::string& json) {
        const wire::Json document = wire::parseJson(json);
        wire::ObjectReader reader(document);
        const auto number = [&](std::string_view field) {
            return static_cast<std::uint64_t>(reader.integer(field, 0, INT64_MAX));
        };
        return PurgedTrash{{number("files"), number("bytes")}, reader.boolean("more", false)};
    });
}

NodeStats NodeClient::stats() { return understand(ask(Method::get, "/stats", Pace::quick), parseStats); }

http::ClientAnswer NodeClient::ask(Method method, const std::string& target, Pace pace,
                                   std::span<const std::string_view> body, const Sha256Digest& bodyHash,
                                   std::span<char> into) {
    http::ClientAnswer answer;
    try {
        answer =
            client_.ask({.method = method,
                         .target = target,
                         .body = body,
                         .timeouts = {.answer = pace == Pace::quick ? options_.answerTimeout : options_.durableTimeout,
                                      .stall = options_.stallTimeout,
                                      .whole = options_.wholeTimeout},
                         .into = into,
                         .maxBodyBytes = maxAnswerBytes},
                        bodyHash);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::payloadTooLarge && !into.empty())
            throw Error(ErrorCode::chunkCorrupt, "Part of the content is damaged.",
                        "node " + nodeId_ + " gives more bytes than the chunk has: " + error.privateDetail());
        throw unavailable(error.what());
    }
    if (answer.status == 200) return answer;
    const auto problem = wire::parseProblem(answer.body);
    if (!problem) throw unavailable("it answers with status " + std::to_string(answer.status));
    const std::string detail = "node " + nodeId_ + ": " + problem->publicMessage();
    switch (problem->code()) {
        case ErrorCode::storageFull:
        case ErrorCode::chunkMissing:
        case ErrorCode::chunkCorrupt: throw Error(problem->code(), problem->publicMessage(), detail);
        case ErrorCode::internal: throw Error(ErrorCode::internal, "The storage failed.", detail);
        // Bytes that changed on the way, a body that was cut, a node that is busy or of another version: trying another
        // node helps.
        default: throw unavailable(problem->publicMessage());
    }
}

http::ClientAnswer NodeClient::ask(Method method, const std::string& target, Pace pace, std::span<char> into) {
    static const Sha256Digest nothing = Sha256Digest::of(std::string_view());
    return ask(method, target, pace, {}, nothing, into);
}

Error NodeClient::unavailable(const std::string& what) const {
    return Error(ErrorCode::unavailable, "The storage cannot be used now. Try again later.",
                 "node " + nodeId_ + ": " + what)
        .retryAfter(5);
}

Error NodeClient::corrupt(const ChunkId& id, const std::string& what) const {
    return Error(ErrorCode::chunkCorrupt, "Part of the content is damaged.",
                 "node " + nodeId_ + " gives a bad copy of chunk " + id.toHex() + ": " + what);
}

}  // namespace chunkvault::storagenode
