#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "server/api/batch_header.h"
#include "server/api/call.h"
#include "server/api/content_digest.h"
#include "server/api/cursor.h"
#include "server/api/encode.h"
#include "server/api/limit_keys.h"
#include "server/api/openapi.h"
#include "server/api/routes.h"
#include "server/auth/base64.h"
#include "worker/sweeps/sweeps.h"

namespace chunkvault::server {
namespace {

using testing::HasSubstr;

ErrorCode codeOf(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

TEST(OpenApi, NamesTheSweepsThatThereAre) {
    const wire::Json document = wire::Json::parse(openApiDocument("http://localhost"));
    const std::vector<std::string> described =
        document["components"]["schemas"]["SweepReport"]["properties"]["sweep"]["enum"];
    EXPECT_EQ(described, worker::Sweeps::names());
}

TEST(LimitKeys, TakeANetworkOfIPv6ForOneAddress) {
    const struct {
        const char* address;
        const char* key;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
        {"", ""},
    };
    for (const auto& c : cases) EXPECT_EQ(addressKey(c.address), c.key);
}

TEST(LimitKeys, OfAnAccountAreTheSameForAllItsSpellings) {
    EXPECT_EQ(accountKey("Mask"), accountKey("ma\u017f\u212a"));
    EXPECT_NE(accountKey("mask"), accountKey("masks"));
    EXPECT_EQ(accountKey(std::string_view("a\0b", 3)), accountKey("a\nb")) << "no user can have such names";
}

TEST(Cursor, GoesThereAndBack) {
    for (const auto sort : {catalog::SortBy::name, catalog::SortBy::size, catalog::SortBy::modifiedAt})
        for (const std::string& name :
             {std::string(), std::string("a,b"), std::string("naïve — 名前.txt"), std::string(255, 'x')})
            for (const std::int64_t number :
                 {std::int64_t{0}, std::int64_t{-5}, std::numeric_limits<std::int64_t>::max()}) {
                const Cursor cursor{sort, name.empty(), {catalog::Kind::file, name, number, catalog::FileId{77}}};
                const Cursor back = decodeCursor(encodeCursor(cursor));
                EXPECT_EQ(back.sort, sort);
                EXPECT_EQ(back.descending, name.empty());
                EXPECT_EQ(back.key.name, name);
                EXPECT_EQ(back.key.number, number);
                EXPECT_EQ(back.key.id, catalog::FileId{77});
            }
}

TEST(Cursor, ThatNoListGaveIsRefused) {
    for (const std::string& bad :
         {std::string(), std::string("x"), std::string("!!!"), toBase64Url("na"), toBase64Url("xai1,2,a"),
          toBase64Url("nxi1,2,a"), toBase64Url("nax1,2,a"), toBase64Url("nai1"), toBase64Url("nai1,2"),
          toBase64Url("naia,2,b"), toBase64Url("nai1,99999999999999999999,b"),
          toBase64Url(std::string("nai1,2,a\0b", 10)), std::string(5000, 'a')})
        EXPECT_EQ(codeOf([&] { (void)decodeCursor(bad); }), ErrorCode::invalidValue) << bad;
}

TEST(ChangesCursor, GoesThereAndBack) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    for (const catalog::Revision revision : {catalog::Revision{0, 0}, {5, 77}, {most, most}, {-1, -2}})
        EXPECT_EQ(decodeChangesCursor(encodeChangesCursor(revision)), revision);
}

TEST(ChangesCursor, ThatWasNotGivenIsRefused) {
    for (const std::string& bad :
         {std::string(), std::string("!!!"), toBase64Url("1,2,"), toBase64Url("c"), toBase64Url("c1,"),
          toBase64Url("c1,2"), toBase64Url("c1,2,3"), toBase64Url("cx,2,"), toBase64Url("c1,99999999999999999999,"),
          std::string(5000, 'a'), encodeCursor({catalog::SortBy::name, false, {}})})
        EXPECT_EQ(codeOf([&] { (void)decodeChangesCursor(bad); }), ErrorCode::invalidValue) << bad;
}

TEST(WireId, IsAPositiveNumberInItsOnlyForm) {
    EXPECT_EQ(parseId("1"), 1);
    EXPECT_EQ(parseId("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
    for (const char* bad : {"", "0", "01", "-1", "+1", " 1", "1 ", "1.0", "x", "..", "9223372036854775808", "0x1"})
        EXPECT_EQ(codeOf([&] { (void)parseId(bad); }), ErrorCode::notFound) << bad;
}

TEST(ContentDigest, IsReadFromItsStructuredForm) {
    const Sha256Digest digest = Sha256Digest::of(std::string_view("abc"));
    const std::string good = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
    http::Request request;
    request.headers = {{"content-digest", good}};
    EXPECT_EQ(contentDigest(request), digest);
    request.headers = {{"Content-Digest", "sha-512=:AAAA:, " + good}};
    EXPECT_EQ(contentDigest(request), digest);
    for (const std::string& bad : {std::string(), std::string("sha-256=abc"), std::string("sha-256=:abc:"),
                                   std::string("sha-256=:"), "md5" + good.substr(7), good.substr(0, 30)}) {
        request.headers = {{"Content-Digest", bad}};
        EXPECT_EQ(codeOf([&] { (void)contentDigest(request); }), ErrorCode::invalidValue) << bad;
    }
    request.headers.clear();
    EXPECT_EQ(codeOf([&] { (void)contentDigest(request); }), ErrorCode::invalidValue);
}

std::string batchOf(const std::string& file) { return R"({"files":[)" + file + "]}"; }
const std::string someHash(64, 'a');

TEST(BatchHeader, SaysWhatComes) {
    const BatchHeader header =
        parseBatchHeader(R"({"folder_id": "7", "files": [
        {"path": "a/b/c.txt", "size": 3, "hash": ")" +
                         someHash + R"(", "modified_at": "2026-01-01T00:00:00Z", "on_conflict": "keep_both"},
        {"path": "d", "size": 0, "hash": ")" +
                         someHash + R"("}]})");
    EXPECT_EQ(header.folderId, "7");
    ASSERT_EQ(header.files.size(), 2u);
    EXPECT_EQ(header.files[0].path.size(), 3u);
    EXPECT_EQ(header.files[0].onConflict, catalog::OnConflict::keepBoth);
    EXPECT_TRUE(header.files[0].modifiedAt);
    EXPECT_EQ(header.files[1].path.back().text(), "d");
    EXPECT_EQ(header.files[1].onConflict, catalog::OnConflict::version);
}

TEST(BatchHeader, RefusesABadPathForItsFileOnly) {
    for (const char* path : {"../x", "/x", "x/", "a//b", "", ".", "a\\u0000b"}) {
        const BatchHeader header = parseBatchHeader(
            batchOf(std::string(R"({"path": ")") + path + R"(", "size": 1, "hash": ")" + someHash + "\"}"));
        EXPECT_TRUE(header.files[0].refused) << path;
    }
}

TEST(BatchHeader, ThatIsMalformedIsRefusedWhole) {
    const std::string good = R"({"path": "a", "size": 1, "hash": ")" + someHash + "\"}";
    for (const std::string& bad :
         {std::string("[]"), std::string("{}"), std::string(R"({"files":[]})"), batchOf("1"),
          batchOf(R"({"path":"a","size":1})"), batchOf(R"({"path":"a","size":-1,"hash":")" + someHash + "\"}"),
          batchOf(R"({"path":"a","size":1,"hash":"x"})"),
          batchOf(R"({"path":"a","size":1,"hash":")" + someHash + R"(","on_conflict":"x"})"), batchOf(good + ",{}"),
          R"({"files":[)" + good + R"(],"more":1})"})
        EXPECT_EQ(codeOf([&] { (void)parseBatchHeader(bad); }), ErrorCode::invalidValue) << bad;
    EXPECT_EQ(codeOf([&] { (void)parseBatchHeader("{"); }), ErrorCode::badRequest);
    std::string deep, all;
    for (int i = 0; i < 199; ++i) deep += "x/";
    for (int i = 0; i < 151; ++i)
        all += (i == 0 ? "" : ",") + std::string(R"({"path": ")") + deep + R"(x", "size": 0, "hash": ")" + someHash +
               "\"}";
    EXPECT_EQ(codeOf([&] { (void)parseBatchHeader(batchOf(all)); }), ErrorCode::payloadTooLarge);
    std::string many = good;
    for (int i = 0; i < 1000; ++i) many += "," + good;
    EXPECT_EQ(codeOf([&] { (void)parseBatchHeader(batchOf(many)); }), ErrorCode::invalidValue);
    const std::string half = R"({"path": "a", "size": 20000000, "hash": ")" + someHash + "\"}";
    EXPECT_EQ(codeOf([&] { (void)parseBatchHeader(batchOf(half + "," + half)); }), ErrorCode::payloadTooLarge);
}

TEST(MimeType, GoesByTheExtension) {
    EXPECT_EQ(mimeType("a.PDF"), "application/pdf");
    EXPECT_EQ(mimeType("a.tar.gz"), "application/gzip");
    EXPECT_EQ(mimeType("a.zip"), "application/zip");
    EXPECT_EQ(mimeType("a.7z"), "application/x-7z-compressed");
    for (const char* unknown : {"a", "", ".", "a.", "a.unknownextension", "pdf"})
        EXPECT_EQ(mimeType(unknown), "application/octet-stream") << unknown;
}

TEST(Routes, AreDescribedCompletely) {
    for (const ApiRoute& route : apiRoutes()) {
        EXPECT_NE(route.handler, nullptr) << route.pattern;
        EXPECT_FALSE(route.summary.empty()) << route.pattern;
        // The answers of tus are headers only, whatever their status.
        const bool headersOnly = route.status == 204 || route.method == http::Method::head || route.request == "tus";
        EXPECT_EQ(headersOnly, route.answer.empty()) << route.pattern;
        EXPECT_EQ(route.guard == Guard::upload, route.pattern.starts_with("/uploads/{id}")) << route.pattern;
        const bool writes = route.method != http::Method::get;
        EXPECT_EQ(route.guard == Guard::adminSession, writes && route.pattern.starts_with("/admin/users"))
            << route.pattern;
        EXPECT_EQ(route.guard == Guard::admin || route.guard == Guard::adminSession,
                  route.pattern.starts_with("/admin/"))
            << route.pattern;
    }
}

}  // namespace
}  // namespace chunkvault::server
