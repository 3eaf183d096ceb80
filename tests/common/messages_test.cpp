// What programs of the house tell each other: reports of nodes, problems.

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "common/wire/error_table.h"
#include "common/wire/node_report.h"

namespace chunkvault::wire {
namespace {

TEST(NodeId, IsParsedStrictly) {
    for (const char* const good : {"node1", "a", "Node-1_b.c", "0"}) {
        ASSERT_TRUE(NodeId::parse(good)) << good;
        EXPECT_EQ(NodeId::parse(good)->text(), good);
    }
    for (const std::string& bad :
         {std::string(), std::string(".."), std::string("."), std::string("-x"), std::string("a/b"), std::string("a b"),
          std::string("a\nb"), std::string("\xc3\xa4"), std::string("a:1"), std::string(65, 'a')})
        EXPECT_FALSE(NodeId::parse(bad)) << bad;
}

TEST(NodeReport, ComesOutAsItWentIn) {
    NodeReport report{.nodeId = *NodeId::parse("node1"),
                      .storeId = "store",
                      .vaultId = "vault",
                      .zone = "cellar",
                      .url = "http://node1:8001",
                      .capacityBytes = 1000,
                      .freeBytes = 900,
                      .mounted = true,
                      .catalogSeq = 77,
                      .problem = "a \"bad\" disk",
                      .stopping = true,
                      .number = 99};
    const NodeReport read = parseNodeReport(encode(report));
    EXPECT_EQ(read.nodeId.text(), "node1");
    EXPECT_EQ(read.storeId, "store");
    EXPECT_EQ(read.vaultId, "vault");
    EXPECT_EQ(read.zone, "cellar");
    EXPECT_EQ(read.url, "http://node1:8001");
    EXPECT_EQ(read.capacityBytes, 1000);
    EXPECT_EQ(read.freeBytes, 900);
    EXPECT_TRUE(read.mounted);
    EXPECT_EQ(read.catalogSeq, 77);
    EXPECT_EQ(read.problem, report.problem);
    EXPECT_TRUE(read.stopping);
    EXPECT_EQ(read.number, 99);
    report.storeId = report.vaultId = std::nullopt;
    EXPECT_EQ(parseNodeReport(encode(report)).storeId, std::nullopt);
    report.vaultId = "vault";
    EXPECT_THROW((void)parseNodeReport(encode(report)), Error);
    report.storeId = "store";
    report.number = 0;
    EXPECT_THROW((void)parseNodeReport(encode(report)), Error) << "anybody could send it again";
    EXPECT_THROW((void)parseNodeReport(R"({"node_id": "../x"})"), Error);
}

TEST(NodeReport, IsAnsweredWithWhatTheCatalogSays) {
    const NodeReportAnswer answer = parseNodeReportAnswer(
        encode(NodeReportAnswer{"vault", "up", 5, 7, std::chrono::milliseconds(2000), 1'800'000'000'000'001}));
    EXPECT_EQ(answer.vaultId, "vault");
    EXPECT_EQ(answer.state, "up");
    EXPECT_EQ(answer.catalogSeq, 5);
    EXPECT_EQ(answer.number, 7);
    EXPECT_EQ(answer.beat.count(), 2000);
    EXPECT_EQ(answer.time, 1'800'000'000'000'001);
    EXPECT_EQ(parseNodeReportAnswer(R"({"vault_id":"v","state":"up","catalog_seq":0,"new":1})").beat.count(), 0);
}

TEST(Problem, IsReadBackToTheErrorThatItWasMadeOf) {
    for (int value = 0; value <= static_cast<int>(ErrorCode::internal); ++value) {
        const auto code = static_cast<ErrorCode>(value);
        EXPECT_EQ(errorCodeOf(errorRow(code).name), code);
        const auto read = parseProblem(problemJson(Error(code, "A sentence.", "a secret"), "id"));
        ASSERT_TRUE(read);
        EXPECT_EQ(read->code(), code);
        EXPECT_EQ(read->publicMessage(), "A sentence.");
        EXPECT_EQ(read->privateDetail(), "");
    }
    for (const char* const none : {"", "{}", "[]", R"({"type":"about:blank","detail":"x"})",
                                   R"({"type":"urn:chunkvault:error:no_such","detail":"x"})"})
        EXPECT_FALSE(parseProblem(none)) << none;
}

}  // namespace
}  // namespace chunkvault::wire
