// A storage node as a store like any other: the door to storagenode for the other rooms.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/chunk/maintained_store.h"
#include "common/error/error.h"
#include "common/http/signed_client.h"
#include "storagenode/client/node_protocol.h"

namespace chunkvault::storagenode {

struct NodeClientOptions {
    http::ClientOptions connections = {};
    std::chrono::milliseconds answerTimeout{5'000};    // until the first byte of what the node can say at once
    std::chrono::milliseconds durableTimeout{30'000};  // of what waits for its disk: put, remove, check and the like
    std::chrono::milliseconds stallTimeout{5'000};     // nothing moves
    std::chrono::milliseconds wholeTimeout{120'000};
};

// Thread-safe; makes the calls on its callers' threads. Errors beside those of ChunkStore: none. A node that cannot be
// reached, is silent, refuses the signature or answers with nonsense is unavailable; one that gives other bytes, or
// more, or fewer, than the chunk has is chunkCorrupt.
class NodeClient final : public MaintainedStore {
  public:
    // url: "http://host:port"; throws Error invalidValue when it is not. key and clock: this process's own; a node
    // whose clock differs is followed.
    NodeClient(std::string nodeId, std::string_view url, wire::ClusterKey key, NodeClientOptions options, Clock clock);

    void put(const Chunk& chunk, Generation generation) override;
    void putAll(std::span<const PutItem> items) override;
    [[nodiscard]] Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override;
    [[nodiscard]] bool has(const ChunkId& id) override;
    bool remove(const ChunkId& id, Generation generation) override;

    bool removeOrphan(const KeptChunk& listed) override;
    [[nodiscard]] CopyState check(const ChunkId& id, std::uint64_t size) override;
    bool moveAside(const ChunkId& id) override;
    [[nodiscard]] KeptPage list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                                std::size_t limit) override;
    PurgedTrash purgeTrash(std::int64_t minAgeUs, std::size_t limit) override;

    // Throws unavailable also while the node has no store.
    [[nodiscard]] NodeStats stats();

    [[nodiscard]] const std::string& nodeId() const { return nodeId_; }

  private:
    enum class Pace { quick, durable };

    // An answer of status 200; throws what the node's problem, or the connection's, is to a ChunkStore.
    [[nodiscard]] http::ClientAnswer ask(http::Method method, const std::string& target, Pace pace,
                                         std::span<const std::string_view> body, const Sha256Digest& bodyHash,
                                         std::span<char> into = {});
    [[nodiscard]] http::ClientAnswer ask(http::Method method, const std::string& target, Pace pace,
                                         std::span<char> into = {});
    // What read makes of the answer's body; throws unavailable where that throws.
    template <typename Read>
    [[nodiscard]] auto understand(const http::ClientAnswer& answer, Read&& read) const;
    [[nodiscard]] Error unavailable(const std::string& what) const;
    [[nodiscard]] Error corrupt(const ChunkId& id, const std::string& what) const;
    void putBatch(std::span<const PutItem> items);

    const std::string nodeId_;
    const NodeClientOptions options_;
    http::SignedClient client_;
};

}  // namespace chunkvault::storagenode
