// The HTTP interface of a node against requests that are none of the cluster's, or malformed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/http/client.h"
#include "common/wire/error_table.h"
#include "tests/storage/chunks.h"
#include "tests/storagenode/test_node.h"

namespace chunkvault::storagenode {
namespace {

using http::ClientAnswer;
using http::Method;
using test::chunkOf;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::Refusal;

class NodeApiTest : public testing::Test {
  protected:
    [[nodiscard]] std::string sign(Method method, std::string_view target, std::string_view body) {
        return wire::Signature::sign(test::testKey(), {"node1", toString(method), target, Sha256Digest::of(body)},
                                     node_.clock.now(), wire::newNonce())
            .header();
    }
    [[nodiscard]] ClientAnswer send(Method method, std::string_view target, std::string_view body,
                                    const std::string& authorization) {
        std::vector<http::Header> headers;
        if (!authorization.empty()) headers.push_back({"Authorization", authorization});
        return client_.ask({.method = method, .target = target, .headers = headers, .body = {&body, 1}});
    }
    [[nodiscard]] ClientAnswer ask(Method method, std::string_view target, std::string_view body = {}) {
        return send(method, target, body, sign(method, target, body));
    }
    [[nodiscard]] static std::string codeIn(const ClientAnswer& answer) {
        const auto problem = wire::parseProblem(answer.body);
        return problem ? std::string(wire::errorRow(problem->code()).name) : "";
    }
    [[nodiscard]] std::size_t files() { return node_.store().disk()->count().files; }

    test::TestNode node_;
    http::Client client_{http::ServerAddress::parse(node_.url())};
    const Chunk chunk_ = chunkOf("a chunk");
    const std::string target_ = "/chunks/" + chunk_.id().toHex();
};

TEST_F(NodeApiTest, AnswersHealthAndMetricsToAnybody) {
    EXPECT_EQ(send(Method::get, "/health", "", "").status, 200);
    EXPECT_EQ(send(Method::get, "/metrics", "", "").body, "# metrics\n");
    node_.slot.set(nullptr, "the secret name of a folder");
    const ClientAnswer answer = send(Method::get, "/health", "", "");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.body, R"({"status":"unavailable"})");
}

TEST_F(NodeApiTest, DoesNothingForUnsignedRequestsOnAnyOtherRoute) {
    node_.store().store().put(chunk_, 1);
    struct Case {
        Method method;
        std::string target;
    };
    const std::vector<Case> cases{{Method::put, "/chunks/" + chunkOf("new").id().toHex() + "?generation=1"},
                                  {Method::post, "/chunks/batch"},
                                  {Method::get, target_ + "?size=7"},
                                  {Method::head, target_},
                                  {Method::del, target_ + "?generation=9"},
                                  {Method::post, target_ + "/check?size=7"},
                                  {Method::post, target_ + "/aside"},
                                  {Method::get, "/chunks?prefix=00&min_age_us=9"},
                                  {Method::post, "/trash/purge?min_age_us=9"},
                                  {Method::get, "/stats"}};
    for (const Case& c : cases) {
        const std::string body = c.method == Method::put ? "new" : "";
        const ClientAnswer answer = send(c.method, c.target, body, "");
        EXPECT_EQ(answer.status, 401) << c.target;
        EXPECT_EQ(answer.header("X-ChunkVault-Time"), std::to_string(node_.clock.now())) << c.target;
        EXPECT_EQ(answer.header("WWW-Authenticate"), "ChunkVault-HMAC") << c.target;
        if (c.method != Method::head) {
            EXPECT_EQ(codeIn(answer), "unauthorized") << c.target;
        }
        EXPECT_EQ(send(c.method, c.target, body, "Bearer token").status, 401) << c.target;
    }
    const int count = static_cast<int>(cases.size());
    EXPECT_EQ(node_.refusals(), (std::map<Refusal, int>{{Refusal::missing, count}, {Refusal::malformed, count}}));
    EXPECT_EQ(files(), 1u);
    EXPECT_THAT(node_.store().trash(), IsEmpty());
}

TEST_F(NodeApiTest, DoesNothingForStaleReplayedForgedAndAlteredRequests) {
    const std::string put = target_ + "?generation=1";
    const std::string early = sign(Method::put, put, "a chunk");
    node_.clock.advance(hourUs);
    EXPECT_EQ(send(Method::put, put, "a chunk", early).status, 401);
    EXPECT_EQ(send(Method::put, target_ + "?generation=2", "a chunk", sign(Method::put, put, "a chunk")).status, 401);
    const ClientAnswer altered = send(Method::put, put, "a trunk", sign(Method::put, put, "a chunk"));
    EXPECT_EQ(altered.status, 401);
    EXPECT_TRUE(altered.header("X-ChunkVault-Time"));
    EXPECT_EQ(files(), 0u);

    const std::string batch =
        encodeBatchHead(std::vector<BatchEntry>{{chunk_.id(), 1, 7}, {chunkOf("two").id(), 1, 3}}) + "a chunk";
    EXPECT_EQ(
        send(Method::post, "/chunks/batch", batch + "TWO", sign(Method::post, "/chunks/batch", batch + "two")).status,
        401);
    EXPECT_EQ(files(), 0u) << "nothing of a batch that was altered";
    EXPECT_EQ(ask(Method::post, "/chunks/batch", batch + "two").status, 200);
    EXPECT_EQ(files(), 2u);

    const std::string once = sign(Method::del, target_ + "?generation=1", "");
    EXPECT_EQ(send(Method::del, target_ + "?generation=1", "", once).body, R"({"removed":true})");
    EXPECT_EQ(ask(Method::put, put, "a chunk").status, 200);
    EXPECT_EQ(send(Method::del, target_ + "?generation=1", "", once).status, 401);
    EXPECT_EQ(files(), 2u);
    EXPECT_EQ(node_.refusals(),
              (std::map<Refusal, int>{
                  {Refusal::stale, 1}, {Refusal::forged, 1}, {Refusal::altered, 2}, {Refusal::replayed, 1}}));
}

TEST_F(NodeApiTest, RefusesWhatIsNoIdBeforeItTouchesAPath) {
    struct Case {
        Method method;
        std::string target;
        int status;
    };
    const std::string hex = chunk_.id().toHex();
    for (const Case& c : std::vector<Case>{{Method::get, "/chunks/../vault.json?size=1", 400},
                                           {Method::get, "/chunks/%2e%2e%2fvault.json?size=1", 400},
                                           {Method::get, "/chunks/..?size=1", 400},
                                           {Method::get, "/chunks/vault.json?size=1", 422},
                                           {Method::get, "/chunks/" + hex + "0?size=1", 422},
                                           {Method::get, "/chunks/" + hex.substr(1) + "?size=1", 422},
                                           {Method::get, target_, 422},
                                           {Method::get, target_ + "?size=-1", 422},
                                           {Method::get, target_ + "?size=7x", 422},
                                           {Method::get, target_ + "?size=99999999999999999999", 422},
                                           {Method::del, target_, 422},
                                           {Method::del, target_ + "?generation=1&put_at_us=x", 422},
                                           {Method::post, "/chunks/" + hex + ".1/check?size=1", 422},
                                           {Method::post, "/chunks/vault.json/aside", 422},
                                           {Method::get, "/chunks?prefix=..&min_age_us=1", 422},
                                           {Method::get, "/chunks?prefix=7&min_age_us=1", 422},
                                           {Method::get, "/chunks?prefix=7f", 422},
                                           {Method::get, "/chunks?prefix=7f&min_age_us=-1", 422},
                                           {Method::post, "/trash/purge?min_age_us=-1", 422},
                                           {Method::post, "/trash/purge", 422},
                                           {Method::post, "/trash/purge?min_age_us=0&limit=0", 422},
                                           {Method::post, "/trash/purge?min_age_us=0&limit=1001", 422},
                                           {Method::get, "/chunks?prefix=7f&min_age_us=1&after=../x", 422},
                                           {Method::get, "/chunks?prefix=7f&min_age_us=1&limit=5001", 422},
                                           {Method::put, target_ + "?generation=0", 422},
                                           {Method::put, target_, 422}})
        EXPECT_EQ(ask(c.method, c.target).status, c.status) << c.target;
    EXPECT_EQ(files(), 0u);
}

TEST_F(NodeApiTest, RefusesBytesThatAreNotTheChunks) {
    const ClientAnswer answer = ask(Method::put, target_ + "?generation=1", "a trunk");
    EXPECT_EQ(answer.status, 422);
    EXPECT_EQ(codeIn(answer), "checksum_mismatch");
    const std::string head = encodeBatchHead(std::vector<BatchEntry>{{chunkOf("two").id(), 1, 3}, {chunk_.id(), 1, 7}});
    EXPECT_EQ(codeIn(ask(Method::post, "/chunks/batch", head + "twoa trunk")), "checksum_mismatch");
    EXPECT_EQ(files(), 0u);
}

TEST_F(NodeApiTest, RefusesBatchesWhoseHeadIsWrong) {
    const auto entries = [](std::size_t count, std::uint64_t size) {
        return encodeBatchHead(std::vector<BatchEntry>(count, BatchEntry{chunkOf("x").id(), 1, size}));
    };
    for (const std::string& body : std::vector<std::string>{
             "", "abc", entries(0, 0), entries(65, 1) + std::string(65, 'x'), entries(1, 2) + "x", entries(1, 1) + "xx",
             entries(2, 1) + "x", entries(1, maxBatchBytes + 1), entries(3, UINT64_MAX / 2),
             entries(1, 1).substr(0, 20), encodeBatchHead(std::vector<BatchEntry>{{chunkOf("x").id(), -1, 1}}) + "x"})
        EXPECT_EQ(ask(Method::post, "/chunks/batch", body).status, 400) << body.size();
    EXPECT_EQ(files(), 0u);
}

TEST_F(NodeApiTest, ListsInPages) {
    std::vector<std::string> ids;
    for (int i = 0; ids.size() < 5; ++i) {
        const Chunk chunk = chunkOf(std::to_string(i));
        if (chunk.id().array()[0] >= 0x08) continue;
        node_.store().store().put(chunk, 1);
        ids.push_back(chunk.id().toHex());
    }
    std::sort(ids.begin(), ids.end());
    std::vector<std::string> listed;
    for (int byte = 0; byte < 8; ++byte) {
        std::string after;
        for (bool more = true; more;) {
            const std::string target = "/chunks?prefix=0" + std::to_string(byte) + "&min_age_us=0&limit=1" +
                                       (after.empty() ? "" : "&after=" + after);
            const KeptPage page = parseKeptPage(ask(Method::get, target).body);
            for (const KeptChunk& chunk : page.chunks) listed.push_back(after = chunk.id.toHex());
            more = page.more;
        }
    }
    EXPECT_EQ(listed, ids);
}

}  // namespace
}  // namespace chunkvault::storagenode
