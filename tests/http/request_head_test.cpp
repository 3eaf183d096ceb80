#include "common/http/request_head.h"

#include <optional>

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::http {
namespace {

RequestHead parsed(std::string_view block) { return parseRequestHead(block, 8192); }

// What a block is refused with; nullopt: it is not.
std::optional<ErrorCode> refusal(std::string_view block) try {
    HeadScanner scanner;
    const auto length = scanner.find(block);
    if (!length) return std::nullopt;
    static_cast<void>(parsed(block.substr(0, *length)));
    return std::nullopt;
} catch (const Error& error) {
    return error.code();
}

std::string get(std::string_view headers) { return "GET / HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n"; }

TEST(RequestHead, TakesARequestApart) {
    const RequestHead head = parsed(
        "PUT /a%20b?c=d HTTP/1.1\r\nHost: vault:8000\r\nContent-Length: 12\r\nX-Odd:\t a b \t\r\nEmpty:\r\n\r\n");
    EXPECT_EQ(head.method, Method::put);
    EXPECT_EQ(head.target, "/a%20b?c=d");
    EXPECT_EQ(head.path, "/a%20b");
    EXPECT_TRUE(head.http11);
    EXPECT_EQ(head.contentLength, 12u);
    EXPECT_FALSE(head.chunked);
    EXPECT_TRUE(head.keepAlive);
    EXPECT_FALSE(head.expectsContinue);
    ASSERT_EQ(head.headers.size(), 4u);
    EXPECT_EQ(head.headers[2].name, "X-Odd");
    EXPECT_EQ(head.headers[2].value, "a b");
    EXPECT_EQ(head.headers[3].value, "");
}

TEST(RequestHead, KnowsTheFormsOfATarget) {
    const struct {
        const char* line;
        const char* path;
    } cases[] = {
        {"GET / HTTP/1.1", "/"},
        {"GET /? HTTP/1.1", "/"},
        {"GET /a//b/../c HTTP/1.1", "/a//b/../c"},
        {"GET http://vault:8000/files?x HTTP/1.1", "/files"},
        {"GET HTTPS://[::1]:8000 HTTP/1.1", "/"},
        {"GET http://vault?x=/y HTTP/1.1", "/"},
        {"OPTIONS * HTTP/1.1", "*"},
        {"GET //vault/x HTTP/1.1", "//vault/x"},
    };
    for (const auto& c : cases) EXPECT_EQ(parsed(std::string(c.line) + "\r\nHost: x\r\n\r\n").path, c.path) << c.line;
}

TEST(RequestHead, RefusesRequestLinesThatAreNotHttp) {
    const struct {
        const char* line;
        ErrorCode code;
    } cases[] = {
        {"", ErrorCode::badRequest},
        {"GET", ErrorCode::badRequest},
        {"GET /", ErrorCode::badRequest},
        {"GET HTTP/1.1", ErrorCode::badRequest},
        {"GET  HTTP/1.1", ErrorCode::badRequest},
        {" GET / HTTP/1.1", ErrorCode::badRequest},
        {"GET  / HTTP/1.1", ErrorCode::badRequest},
        {"GET /  HTTP/1.1", ErrorCode::badRequest},
        {"GET / HTTP/1.1 ", ErrorCode::badRequest},
        {"GET /a b HTTP/1.1", ErrorCode::badRequest},
        {"GET\t/\tHTTP/1.1", ErrorCode::badRequest},
        {"GET /\x01 HTTP/1.1", ErrorCode::badRequest},
        {"GET /\x7f HTTP/1.1", ErrorCode::badRequest},
        {"GET /\xc3\xa4 HTTP/1.1", ErrorCode::badRequest},
        {"GET /#x HTTP/1.1", ErrorCode::badRequest},
        {"GET files HTTP/1.1", ErrorCode::badRequest},
        {"GET * HTTP/1.1", ErrorCode::badRequest},
        {"GET ftp://x/ HTTP/1.1", ErrorCode::badRequest},
        {"GET http:/// HTTP/1.1", ErrorCode::badRequest},
        {"GET http://a@b/ HTTP/1.1", ErrorCode::badRequest},
        {"GET / http/1.1", ErrorCode::badRequest},
        {"GET / HTTP/1", ErrorCode::badRequest},
        {"GET / HTTP/1.10", ErrorCode::badRequest},
        {"GET / HTTP/11", ErrorCode::badRequest},
        {"GET / HTTP/a.b", ErrorCode::badRequest},
        {"GET / HTTP/1.1\rX: y", ErrorCode::badRequest},
        {"G@T / HTTP/1.1", ErrorCode::badRequest},
        {"get / HTTP/1.1", ErrorCode::notImplemented},
        {"TRACE / HTTP/1.1", ErrorCode::notImplemented},
        {"CONNECT x:1 HTTP/1.1", ErrorCode::notImplemented},
        {"PROPFIND / HTTP/1.1", ErrorCode::notImplemented},
        {"GET / HTTP/0.9", ErrorCode::httpVersionNotSupported},
        {"GET / HTTP/1.2", ErrorCode::httpVersionNotSupported},
        {"PRI * HTTP/2.0", ErrorCode::httpVersionNotSupported},
    };
    for (const auto& c : cases) {
        // A first empty line belongs to the connection loop, not to the parser.
        const std::string block = std::string(c.line) + "\r\nHost: x\r\n\r\n";
        EXPECT_THROW(static_cast<void>(parsed(block)), Error) << c.line;
        if (*c.line != 0) {
            EXPECT_EQ(refusal(block), c.code) << c.line;
        }
    }
}

TEST(RequestHead, RefusesHeadersThatAreNotHttp) {
    for (const std::string_view header :
         {" X: y\r\n", "\tX: y\r\n", "X: y\r\n z\r\n", "X : y\r\n", "X\t: y\r\n", ": y\r\n", "X y\r\n", "X\r\n",
          "X(: y\r\n", "X: a\rb\r\n", "X: a\r\r\n", "\rX: a\r\n", "X: a\nY: b\r\n", "X: a\n\r\n", "\xc3\xa4: y\r\n",
          "X: a\x01\r\n", "X: a\x7f\r\n", "X: a\x1b[2J\r\n", "Content-Length: 1\r\n folded\r\n"})
        EXPECT_EQ(refusal(get(header)), ErrorCode::badRequest) << header;
    EXPECT_EQ(refusal(get(std::string("X: a\0b\r\n", 8))), ErrorCode::badRequest);
    EXPECT_EQ(refusal(get(std::string("X\0: a\r\n", 7))), ErrorCode::badRequest);
    EXPECT_EQ(refusal(get("X: a\tb \xc3\xa4 \xff\r\n")), std::nullopt);
}

TEST(RequestHead, RefusesWhatTwoParsersWouldReadDifferently) {
    const struct {
        const char* headers;
        ErrorCode code;
    } cases[] = {
        {"Content-Length: 1\r\nContent-Length: 1\r\n", ErrorCode::badRequest},
        {"Content-Length: 1\r\nContent-Length: 2\r\n", ErrorCode::badRequest},
        {"Content-Length: 1, 1\r\n", ErrorCode::badRequest},
        {"Content-Length:\r\n", ErrorCode::badRequest},
        {"Content-Length: -1\r\n", ErrorCode::badRequest},
        {"Content-Length: +1\r\n", ErrorCode::badRequest},
        {"Content-Length: 0x10\r\n", ErrorCode::badRequest},
        {"Content-Length: 1 0\r\n", ErrorCode::badRequest},
        {"Content-Length: 1.0\r\n", ErrorCode::badRequest},
        {"Content-Length: 9223372036854775808\r\n", ErrorCode::badRequest},
        {"Content-Length: 18446744073709551617\r\n", ErrorCode::badRequest},
        {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", ErrorCode::badRequest},
        {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", ErrorCode::badRequest},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ErrorCode::badRequest},
        {"Transfer-Encoding: identity\r\n", ErrorCode::notImplemented},
        {"Transfer-Encoding: gzip, chunked\r\n", ErrorCode::notImplemented},
        {"Transfer-Encoding: chunked, identity\r\n", ErrorCode::notImplemented},
        {"Transfer-Encoding: xchunked\r\n", ErrorCode::notImplemented},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         ErrorCode::badRequest},
        {"Transfer-Encoding:\r\n", ErrorCode::notImplemented},
        {"Host: y\r\n", ErrorCode::badRequest},
        {"Expect: 200-ok\r\n", ErrorCode::expectationFailed},
    };
    for (const auto& c : cases) EXPECT_EQ(refusal(get(c.headers)), c.code) << c.headers;
}

TEST(RequestHead, WantsOneHostThatIsOne) {
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), ErrorCode::badRequest);
    EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), std::nullopt);
    for (const char* host : {"a b", "a/b", "a@b", "a?b", "a\\b", "a,b c", "<x>"})
        EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), ErrorCode::badRequest) << host;
    for (const char* host : {"", "x", "x:8000", "[::1]:8000", "vault.example.org", "127.0.0.1"})
        EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), std::nullopt) << host;
}

TEST(RequestHead, AcceptsEachLengthThatIsOne) {
    EXPECT_EQ(parsed(get("content-length: 0\r\n")).contentLength, 0u);
    EXPECT_EQ(parsed(get("Content-Length: 007\r\n")).contentLength, 7u);
    EXPECT_EQ(parsed(get("Content-Length: 9223372036854775807\r\n")).contentLength, 9223372036854775807u);
    EXPECT_TRUE(parsed(get("Transfer-Encoding: Chunked\r\n")).chunked);
}

TEST(RequestHead, DecidesWhetherTheConnectionStays) {
    const struct {
        const char* version;
        const char* header;
        bool keepAlive;
    } cases[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: Upgrade, CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.0", "", false},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: keep-alive, close\r\n", false},
    };
    for (const auto& c : cases)
        EXPECT_EQ(parsed("GET / HTTP/" + std::string(c.version) + "\r\nHost: x\r\n" + c.header + "\r\n").keepAlive,
                  c.keepAlive)
            << c.version << ' ' << c.header;
}

TEST(RequestHead, KnowsExpectationsOnlyInHttp11) {
    EXPECT_TRUE(parsed(get("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expectsContinue);
    EXPECT_FALSE(parsed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").expectsContinue);
    EXPECT_EQ(refusal("POST / HTTP/1.0\r\nExpect: nonsense\r\n\r\n"), std::nullopt);
}

TEST(RequestHead, RefusesChunkedCodingInHttp10) {
    EXPECT_EQ(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), ErrorCode::badRequest);
}

TEST(RequestHead, LimitsTheTargetAndTheNumberOfHeaders) {
    const std::string target(100, 'a');
    const std::string block = "GET /" + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
    EXPECT_NO_THROW(static_cast<void>(parseRequestHead(block, 101)));
    EXPECT_THROW(static_cast<void>(parseRequestHead(block, 100)), Error);
    std::string headers;
    for (std::size_t i = 1; i < maxHeaderCount; ++i) headers += "X: y\r\n";
    EXPECT_EQ(refusal(get(headers)), std::nullopt);
    EXPECT_EQ(refusal(get(headers + "X: y\r\n")), ErrorCode::headersTooLarge);
}

TEST(RequestHead, FindsItsEndHoweverTheBytesArrive) {
    const std::string block = get("X: y\r\n");
    for (std::size_t first = 0; first <= block.size(); ++first) {
        HeadScanner scanner;
        if (first < block.size()) {
            EXPECT_EQ(scanner.find(std::string_view(block).substr(0, first)), std::nullopt) << first;
        }
        EXPECT_EQ(scanner.find(block + "more"), block.size()) << first;
    }
}

TEST(RequestHead, RefusesABareLineFeedAsSoonAsItIsSeen) {
    for (const std::string_view start :
         {"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: x\n", "GET / HTTP/1.1\r\n\n"}) {
        HeadScanner scanner;
        EXPECT_THROW(static_cast<void>(scanner.find(start)), Error) << start;
    }
}

TEST(ChunkSize, IsReadStrictly) {
    const struct {
        const char* line;
        std::optional<std::uint64_t> size;
    } cases[] = {
        {"0", 0},
        {"a", 10},
        {"1F", 31},
        {"00000010", 16},
        {"7fffffffffffffff", 9223372036854775807u},
        {"5;ext", 5},
        {"5 ; ext=\"a b\"", 5},
        {"5;", 5},
        {"", std::nullopt},
        {" 5", std::nullopt},
        {"5 ", std::nullopt},
        {"5 x", std::nullopt},
        {"+5", std::nullopt},
        {"-5", std::nullopt},
        {"0x5", std::nullopt},
        {"5g", std::nullopt},
        {"5\r", std::nullopt},
        {"5;a\rb", std::nullopt},
        {"8000000000000000", std::nullopt},
        {"10000000000000000", std::nullopt},
        {"fffffffffffffffff", std::nullopt},
    };
    for (const auto& c : cases) EXPECT_EQ(parseChunkSize(c.line), c.size) << c.line;
}

}  // namespace
}  // namespace chunkvault::http
