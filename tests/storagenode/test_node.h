// A storage node in this process: the real HTTP interface in front of a DiskChunkStore in a folder of its own.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/http/server.h"
#include "storagenode/api/routes.h"
#include "storagenode/client/node_client.h"
#include "tests/storage/disk_store_under_test.h"
#include "tests/support/manual_clock.h"

namespace chunkvault::test {

inline const wire::ClusterKey& testKey() {
    static const wire::ClusterKey key("a secret that all programs of a test share");
    return key;
}

class TestNode {
  public:
    explicit TestNode(std::uint64_t reserveBytes = 0) : store_({.reserveBytes = reserveBytes}) {
        slot.set(store_.disk(), {});
        server_.start();
    }

    [[nodiscard]] DiskStoreUnderTest& store() { return store_; }
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
    [[nodiscard]] std::map<wire::Refusal, int> refusals() {
        const std::lock_guard lock(mutex_);
        return refusals_;
    }

    ManualClock clock;  // of the node
    storagenode::StoreSlot slot;

  private:
    DiskStoreUnderTest store_;
    ChunkBuffers buffers_{16, 1 << 20};
    wire::RequestVerifier verifier_{testKey(), "node1", clock.clock()};
    std::mutex mutex_;
    std::map<wire::Refusal, int> refusals_;
    http::ClusterDoor door_{verifier_, [this](wire::Refusal refusal) {
                                const std::lock_guard lock(mutex_);
                                ++refusals_[refusal];
                            }};
    storagenode::NodeServices services_{slot, buffers_, door_, "cellar", [] { return std::string("# metrics\n"); }};
    http::Router router_{storagenode::makeRoutes(services_)};
    http::Server server_{router_, {.port = 0}, nullptr};
};

// The node behind its client.
class NodeUnderTest final : public MaintainedStoreUnderTest {
  public:
    ChunkStore& store() override { return client_; }
    MaintainedStore& maintained() override { return client_; }
    void damage(const ChunkId& id) override { node_.store().damage(id); }
    void shorten(const ChunkId& id) override { node_.store().shorten(id); }
    void age(const ChunkId& id) override { node_.store().age(id); }
    std::vector<std::string> trash() override { return node_.store().trash(); }

  private:
    TestNode node_;
    storagenode::NodeClient client_{"node1", node_.url(), testKey(), {}, node_.clock.clock()};
};

}  // namespace chunkvault::test
