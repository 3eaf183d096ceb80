#include "storagenode/client/node_directory.h"

#include <gmock/gmock.h>

#include "tests/catalog/vault_fixture.h"

namespace chunkvault::storagenode {
namespace {

using catalog::EngineKind;
using catalog::nameOfEngine;
using testing::ElementsAre;

class NodeDirectoryTest : public catalog::VaultTest {
  protected:
    static std::vector<std::string> live(const NodeDirectory& directory) {
        std::vector<std::string> ids;
        for (const NodeDirectory::Node& node : directory.live()) ids.push_back(node.client->nodeId());
        return ids;
    }

    std::vector<std::string> told;
    NodeDirectory directory{chunks,
                            [](const std::string& nodeId, const std::string& url) {
                                return std::make_shared<NodeClient>(
                                    nodeId, url, wire::ClusterKey("a secret that all programs of a test share"),
                                    NodeClientOptions{}, systemNow);
                            },
                            [this](const catalog::Store& store, const Error& error) {
                                told.push_back(store.nodeId + ": " + error.publicMessage());
                            }};
};

TEST_P(NodeDirectoryTest, LeavesOutANodeWhoseAddressIsNone) {
    for (const char* node : {"good", "bad"})
        chunks.setStoreState(chunks.registerStore({node, std::string("uuid-") + node, "", "http://there:8001", 10, 9}),
                             catalog::StoreState::up);
    database().write([](catalog::Session& session) {
        session.execute("UPDATE stores SET endpoint = 'nonsense' WHERE node_id = 'bad'");
    });
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(directory.refresh(), i == 0);
        EXPECT_THAT(live(directory), ElementsAre("good"));
    }
    EXPECT_THAT(told, ElementsAre(testing::StartsWith("bad: \"nonsense\" is not an address"))) << "once";
    database().write([](catalog::Session& session) {
        session.execute("UPDATE stores SET endpoint = 'http://here:8001' WHERE node_id = 'bad'");
    });
    EXPECT_TRUE(directory.refresh());
    EXPECT_THAT(live(directory), ElementsAre("good", "bad"));
}

CATALOG_SUITE(NodeDirectoryTest);

}  // namespace
}  // namespace chunkvault::storagenode
