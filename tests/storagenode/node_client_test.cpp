#include "storagenode/client/node_client.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire/error_table.h"
#include "tests/storage/chunks.h"
#include "tests/storagenode/test_node.h"
#include "tests/support/fake_server.h"
#include "tests/support/simulated_disk.h"

namespace chunkvault::test {

INSTANTIATE_TEST_SUITE_P(Node, ChunkStoreConformance,
                         testing::Values(StoreKind{"NodeClient", [] { return std::make_unique<NodeUnderTest>(); }}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(Node, MaintainedStoreConformance,
                         testing::Values(MaintainedStoreKind{"NodeClient",
                                                             [] { return std::make_unique<NodeUnderTest>(); }}),
                         maintainedKindName);

}  // namespace chunkvault::test

namespace chunkvault::storagenode {
namespace {

using namespace std::chrono_literals;
using test::chunkOf;
using test::codeOf;
using test::FakeServer;
using test::TestNode;
using testing::HasSubstr;
using wire::Refusal;

constexpr NodeClientOptions quick{
    .answerTimeout = 300ms, .durableTimeout = 300ms, .stallTimeout = 300ms, .wholeTimeout = 2s};

// What the call throws: code, and the detail for the log.
template <typename Call>
std::pair<ErrorCode, std::string> failureOf(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

class NodeClientTest : public testing::Test {
  protected:
    [[nodiscard]] std::string read(NodeClient& client, const Chunk& chunk) {
        return test::textOf(client.get(chunk.id(), chunk.size(), test::testBuffers().acquire(chunk.size())));
    }

    test::SimulatedDisk disk_;
    TestNode node_;
    test::ManualClock clock_;  // of the client
    NodeClient client_{"node1", node_.url(), test::testKey(), {}, clock_.clock()};
};

TEST_F(NodeClientTest, TellsWhoTheNodeIs) {
    node_.store().disk()->noteCatalogSeq(42, 0);
    const NodeStats stats = client_.stats();
    EXPECT_EQ(stats.nodeId, "node1");
    EXPECT_EQ(stats.storeId, node_.store().disk()->identity().storeId);
    EXPECT_EQ(stats.vaultId, "vault");
    EXPECT_EQ(stats.zone, "cellar");
    EXPECT_GT(stats.capacityBytes, 0);
    EXPECT_GT(stats.freeBytes, 0);
    EXPECT_EQ(stats.catalogSeq, 42);
}

TEST_F(NodeClientTest, MovesChunksLargerThanABatchAndManyAtOnce) {
    std::vector<PutItem> items;
    for (int i = 0; i < 12; ++i) items.push_back({chunkOf(std::string(1 << 20, static_cast<char>('a' + i))), 1});
    client_.putAll(items);
    for (const PutItem& item : items) EXPECT_EQ(read(client_, item.chunk), test::textOf(item.chunk));
    ChunkBuffers large(1, 10 << 20);
    ChunkBuffer buffer = large.acquire(9'000'000);
    std::fill_n(buffer.data(), 9'000'000, 'x');
    const Chunk chunk = Chunk::hash(std::move(buffer), 9'000'000);
    client_.putAll(std::vector<PutItem>{{items[0].chunk, 2}, {chunk, 1}, {items[1].chunk, 2}});
    EXPECT_EQ(client_.check(chunk.id(), chunk.size()), CopyState::good);
    EXPECT_FALSE(client_.remove(items[1].chunk.id(), 1));
}

TEST_F(NodeClientTest, FollowsAClockThatDiffers) {
    for (const Timestamp offsetUs : {-hourUs, dayUs}) {
        clock_.set(node_.clock.now() + offsetUs);
        NodeClient client("node1", node_.url(), test::testKey(), {}, clock_.clock());
        const Chunk chunk = chunkOf("at another time " + std::to_string(offsetUs));
        client.put(chunk, 1);
        EXPECT_EQ(read(client, chunk), test::textOf(chunk));
        EXPECT_TRUE(client.has(chunk.id()));
    }
    EXPECT_EQ(node_.refusals(), (std::map<Refusal, int>{{Refusal::stale, 2}})) << "once for each client";
}

TEST_F(NodeClientTest, IsUnavailableWithAnotherSecretOrForAnotherNode) {
    NodeClient other("node1", node_.url(), wire::ClusterKey("a secret of another cluster, as long"), {},
                     clock_.clock());
    const Chunk chunk = chunkOf("not for you");
    const auto [code, detail] = failureOf([&] { other.put(chunk, 1); });
    EXPECT_EQ(code, ErrorCode::unavailable);
    EXPECT_THAT(detail, HasSubstr("CLUSTER_SECRET"));
    NodeClient wrong("node2", node_.url(), test::testKey(), {}, clock_.clock());
    EXPECT_EQ(codeOf([&] { wrong.put(chunk, 1); }), ErrorCode::unavailable);
    EXPECT_EQ(node_.refusals(), (std::map<Refusal, int>{{Refusal::forged, 2}}));
    EXPECT_FALSE(client_.has(chunk.id()));
}

TEST_F(NodeClientTest, SaysFullBelowTheReserve) {
    TestNode full(std::uint64_t{1} << 60);
    NodeClient client("node1", full.url(), test::testKey(), {}, clock_.clock());
    const Chunk one = chunkOf("no room"), two = chunkOf("none at all");
    EXPECT_EQ(codeOf([&] { client.put(one, 1); }), ErrorCode::storageFull);
    EXPECT_EQ(codeOf([&] { client.putAll(std::vector<PutItem>{{one, 1}, {two, 1}}); }), ErrorCode::storageFull);
    EXPECT_EQ(client.stats().freeBytes, 0);
}

TEST_F(NodeClientTest, IsUnavailableWhileTheNodeHasNoStore) {
    const Chunk chunk = chunkOf("later");
    client_.put(chunk, 1);
    node_.slot.set(nullptr, "the disk is not mounted");
    const auto [code, detail] = failureOf([&] { (void)read(client_, chunk); });
    EXPECT_EQ(code, ErrorCode::unavailable);
    EXPECT_THAT(detail, HasSubstr("not mounted"));
    EXPECT_EQ(codeOf([&] { client_.put(chunk, 1); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { (void)client_.has(chunk.id()); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { (void)client_.stats(); }), ErrorCode::unavailable);
    node_.slot.set(node_.store().disk(), {});
    EXPECT_EQ(read(client_, chunk), "later");
}

TEST_F(NodeClientTest, TakesACopyThatCannotBeReadToItsEndForABadOne) {
    (void)DiskChunkStore::format(*disk_.mount(), "vault", "node1");
    node_.slot.set(DiskChunkStore::open(disk_.mount(), "vault"), {});
    const Chunk chunk = chunkOf(std::string(1 << 20, 'x'));
    client_.put(chunk, 1);
    const auto readWith = [&](int errnoValue, int failingRead) {
        int reads = 0;
        disk_.direct([=](test::DiskCall call, const std::string&) mutable -> test::Outcome {
            if (call != test::DiskCall::read || ++reads != failingRead) return {};
            return {test::Outcome::fails, errnoValue};
        });
        const ErrorCode code = codeOf([&] { (void)read(client_, chunk); }).value();
        disk_.direct(nullptr);
        return code;
    };
    for (const int failing : {1, 2, 4}) {
        EXPECT_EQ(readWith(EIO, failing), ErrorCode::chunkCorrupt) << failing;
        EXPECT_EQ(readWith(ENODEV, failing), ErrorCode::unavailable) << failing;
        EXPECT_EQ(read(client_, chunk), test::textOf(chunk));
    }
}

TEST_F(NodeClientTest, TakesNoPageOfAListThatIsOutOfOrderOrLeadsNowhere) {
    const auto entry = [](const std::string& hex) {
        return R"({"id":")" + hex + R"(","generation":1,"size":5,"put_at_us":7})";
    };
    const std::string first = "7f" + std::string(62, '0'), second = "7f" + std::string(62, '1'),
                      foreign = "7e" + std::string(62, '0');
    const struct {
        const char* what;
        std::string chunks, more;
        bool good;
    } cases[] = {
        {"a page", entry(second), "true", true},
        {"the end", "", "false", true},
        {"one too many", entry(second) + "," + entry("7f" + std::string(62, '2')), "false", false},
        {"another byte", entry(foreign), "false", false},
        {"what was seen already", entry(first), "false", false},
        {"nothing, and more of it", "", "true", false},
    };
    for (const auto& c : cases) {
        std::string asked;
        FakeServer server([&](FakeServer::Peer& peer) {
            for (std::string request = peer.readRequest(); !request.empty(); request = peer.readRequest()) {
                asked = request.substr(0, request.find(" HTTP"));
                const std::string body = R"({"chunks":[)" + c.chunks + R"(],"more":)" + c.more + "}";
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
            }
        });
        NodeClient client("node1", server.url(), test::testKey(), {}, clock_.clock());
        const auto read = [&] { return client.list(0x7f, 99, ChunkId::fromHex(first), 1); };
        if (c.good) {
            EXPECT_EQ(read().more, c.more == "true") << c.what;
        } else {
            EXPECT_EQ(codeOf([&] { (void)read(); }), ErrorCode::unavailable) << c.what;
        }
        EXPECT_EQ(asked, "GET /chunks?prefix=7f&min_age_us=99&limit=1&after=" + first);
    }
}

TEST(LyingNode, GetsTheErrorThatFitsWithinTheDeadline) {
    const Chunk chunk = chunkOf("the truth");
    const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: ";
    const auto say = [](std::string answer, std::string again = {}) {
        return [answer = std::move(answer), again = std::move(again)](FakeServer::Peer& peer) {
            while (!peer.readRequest().empty()) {
                peer.send(answer);
                while (!again.empty() && peer.send(again)) {
                }
            }
        };
    };
    struct Case {
        const char* what;
        std::function<void(FakeServer::Peer&)> serve;
        ErrorCode code;
    };
    const std::vector<Case> cases{
        {"wrong bytes", say(ok + "9\r\n\r\nthe lies!"), ErrorCode::chunkCorrupt},
        {"too few bytes", say(ok + "8\r\n\r\nthe trut"), ErrorCode::chunkCorrupt},
        {"no bytes", say(ok + "0\r\n\r\n"), ErrorCode::chunkCorrupt},
        {"too many bytes", say(ok + "10\r\n\r\nthe truth!"), ErrorCode::chunkCorrupt},
        {"an endless body", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\nthe truth\r\n"),
         ErrorCode::chunkCorrupt},
        {"an endless problem",
         say("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n", "10000\r\n" + std::string(1 << 16, 'x') + "\r\n"),
         ErrorCode::chunkCorrupt},
        {"a body that is cut",
         [](FakeServer::Peer& peer) {
             (void)peer.readRequest();
             peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe");
         },
         ErrorCode::unavailable},
        {"silence", say(""), ErrorCode::unavailable},
        {"silence in the body", say(ok + "9\r\n\r\nthe"), ErrorCode::unavailable},
        {"garbage", say("\x01\x02\x03\r\n\r\n"), ErrorCode::unavailable},
        {"another program", say("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nhtml"), ErrorCode::unavailable},
        {"a refusal without proof",
         say("HTTP/1.1 401 No\r\nX-ChunkVault-Time: 1800000000000000\r\nContent-Length: 0\r\n\r\n"),
         ErrorCode::unavailable},
        {"an end at once", [](FakeServer::Peer&) {}, ErrorCode::unavailable},
    };
    for (const Case& c : cases) {
        FakeServer server(c.serve);
        NodeClient client("node1", server.url(), test::testKey(), quick, systemNow);
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_EQ(
            codeOf([&] { (void)client.get(chunk.id(), chunk.size(), test::testBuffers().acquire(chunk.size())); }),
            c.code)
            << c.what;
        EXPECT_EQ(codeOf([&] { (void)client.has(chunk.id()); }), ErrorCode::unavailable) << c.what;
        if (c.code == ErrorCode::unavailable) {
            EXPECT_EQ(codeOf([&] { client.put(chunk, 1); }), ErrorCode::unavailable) << c.what;
        }
        EXPECT_EQ(codeOf([&] { (void)client.remove(chunk.id(), 1); }), ErrorCode::unavailable) << c.what;
        EXPECT_EQ(codeOf([&] { (void)client.list(0, 1, std::nullopt, 1); }), ErrorCode::unavailable) << c.what;
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << c.what;
    }
}

TEST(LyingNode, MayNotPassOffItsProblemsAsTheUsers) {
    for (int value = 0; value <= static_cast<int>(ErrorCode::internal); ++value) {
        const auto code = static_cast<ErrorCode>(value);
        const std::string body = wire::problemJson(Error(code, "Something."), "id");
        const std::string answer = "HTTP/1.1 " + std::to_string(wire::errorRow(code).status) +
                                   " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        FakeServer server([&](FakeServer::Peer& peer) {
            while (!peer.readRequest().empty()) peer.send(answer);
        });
        NodeClient client("node1", server.url(), test::testKey(), quick, systemNow);
        const bool passed = code == ErrorCode::storageFull || code == ErrorCode::chunkMissing ||
                            code == ErrorCode::chunkCorrupt || code == ErrorCode::internal;
        EXPECT_EQ(codeOf([&] { (void)client.remove(chunkOf("x").id(), 1); }), passed ? code : ErrorCode::unavailable);
    }
}

TEST(AbsentNode, IsUnavailableAtOnce) {
    const std::string url = FakeServer([](FakeServer::Peer&) {}).url();
    NodeClient client("node1", url, test::testKey(), quick, systemNow);
    EXPECT_EQ(codeOf([&] { (void)client.has(chunkOf("x").id()); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { NodeClient("node1", "https://x:1", test::testKey(), quick, systemNow); }),
              ErrorCode::invalidValue);
}

}  // namespace
}  // namespace chunkvault::storagenode
