#include "server/wiring/cluster_stores.h"

#include <gmock/gmock.h>

#include "tests/catalog/vault_fixture.h"

namespace chunkvault::server {
namespace {

using catalog::EngineKind;
using catalog::StoreState;

// A server that nothing but its own watching keeps up to date: there is no worker.
class ClusterStoresTest : public catalog::VaultTest {
  protected:
    void beat() {
        const auto verdict = nodes.report({.nodeId = "n",
                                           .storeId = "store of n",
                                           .zone = "",
                                           .url = "http://n:8001",
                                           .capacityBytes = 10,
                                           .freeBytes = 9,
                                           .mounted = false,
                                           .catalogSeq = 0,
                                           .problem = ""});
        if (verdict.mustBeReached) nodes.reached(verdict.row);
    }
    void elapse(std::int64_t us) {
        database().write([&](catalog::Session& session) {
            session.execute("UPDATE stores SET last_seen_at = last_seen_at - $1, state_since = state_since - $1", {us});
        });
    }
    [[nodiscard]] std::string health() {
        (void)source.check();
        return source.health().at("n").state;
    }

    catalog::Nodes nodes{database(), 3};
    storagenode::NodeDirectory directory{chunks,
                                         [](const std::string& nodeId, const std::string& url) {
                                             return std::make_shared<storagenode::NodeClient>(
                                                 nodeId, url,
                                                 wire::ClusterKey("a secret that all programs of a test share"),
                                                 storagenode::NodeClientOptions{}, systemNow);
                                         },
                                         [](const catalog::Store&, const Error&) {}};
    ClusterStores source{nodes, {.suspectAfterUs = minuteUs, .downAfterUs = hourUs}, directory};
};

TEST_P(ClusterStoresTest, KnowThatANodeFellSilentWithoutAnyWorker) {
    beat();
    EXPECT_EQ(health(), "ok");
    elapse(2 * minuteUs);
    EXPECT_EQ(health(), "suspect");
    EXPECT_EQ(nodes.find("n")->state, StoreState::suspect) << "also for what asks the catalog";
    elapse(2 * hourUs);
    EXPECT_EQ(health(), "down");
    beat();
    EXPECT_EQ(health(), "ok");
}

TEST_P(ClusterStoresTest, SayForADayThatANodeGaveAWrongAnswer) {
    beat();
    (void)source.check();
    const catalog::StoreRow row = nodes.find("n")->row;
    EXPECT_EQ(source.nodeIdOf(row), "n");
    EXPECT_EQ(nodes.wrongAnswer(row), "n");
    EXPECT_EQ(health(), "faulty");
    const Timestamp at = nodes.find("n")->wrongAnswerAt.value();
    EXPECT_TRUE(catalog::isFaulty(*nodes.find("n"), at + 23 * hourUs));
    EXPECT_FALSE(catalog::isFaulty(*nodes.find("n"), at + 25 * hourUs));
}

INSTANTIATE_TEST_SUITE_P(Engine, ClusterStoresTest, testing::Values(EngineKind::sqlite), catalog::nameOfEngine);

}  // namespace
}  // namespace chunkvault::server
