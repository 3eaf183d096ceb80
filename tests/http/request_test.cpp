// What the connection loop makes of requests, whole, broken or hostile, on real sockets.
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/http/raw_client.h"
#include "tests/http/test_server.h"

namespace chunkvault::http::test {
namespace {

using namespace std::chrono_literals;

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view path, std::string_view headers, std::string_view body) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

std::string sized(std::string_view path, std::string_view body) {
    return post(path, "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
}

std::string chunked(std::string_view path, std::string_view chunks) {
    return post(path, "Transfer-Encoding: chunked\r\n", chunks);
}

TEST(Requests, AreAnsweredHoweverTheirBytesAreSplit) {
    TestServer server;
    for (const std::string& request :
         {sized("/echo", "body"), chunked("/echo", "2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nT: u\r\n\r\n")}) {
        RawClient client(server.port());
        for (std::size_t split = 0; split <= request.size(); ++split) {
            ASSERT_TRUE(client.send(request.substr(0, split)));
            ASSERT_TRUE(client.send(request.substr(split)));
            const Answer answer = client.readAnswer();
            EXPECT_EQ(answer.status, 200) << split;
            EXPECT_EQ(answer.body, "body") << split;
        }
    }
}

TEST(Requests, AreNeverAnsweredWith200WhenTheyEndEarly) {
    TestServer server;
    for (const std::string& request :
         {sized("/echo", "body"), chunked("/echo", "4\r\nbody\r\n0\r\n\r\n"), sized("/count", "body")}) {
        for (std::size_t kept = 0; kept < request.size(); ++kept) {
            RawClient client(server.port());
            client.send(request.substr(0, kept));
            client.endSending();
            const Answer answer = client.readAnswer();
            EXPECT_EQ(answer.status, kept == 0 ? 0 : 400) << kept;
            EXPECT_TRUE(client.closed()) << kept;
            if (kept > 0) {
                EXPECT_EQ(server.nextTold().status, 400);
            }
        }
    }
}

TEST(Requests, ThatEndEarlyByAResetLeaveTheServerWell) {
    TestServer server;
    const std::string request = sized("/count", "body");
    for (std::size_t kept = 0; kept < request.size(); ++kept) {
        RawClient client(server.port());
        client.send(request.substr(0, kept));
        client.reset();
    }
    server.awaitConnections(0);
    EXPECT_EQ(ask(server.port(), hello).body, "hello");
}

TEST(Requests, MayBePipelined) {
    TestServer server;
    RawClient client(server.port());
    std::string requests;
    for (int i = 0; i < 50; ++i)
        requests += hello + sized("/echo", "one") + chunked("/echo", "3\r\ntwo\r\n0\r\n\r\n") + sized("/ignore", hello);
    client.send(requests);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(client.readAnswer().body, "hello");
        EXPECT_EQ(client.readAnswer().body, "one");
        EXPECT_EQ(client.readAnswer().body, "two");
        EXPECT_EQ(client.readAnswer().body, "ignored");
    }
}

TEST(Requests, MayFollowOneEmptyLine) {
    TestServer server;
    RawClient client(server.port());
    client.send("\r\n" + hello + "\r\n" + hello);
    EXPECT_EQ(client.readAnswer().body, "hello");
    EXPECT_EQ(client.readAnswer().body, "hello");
    client.send("\r\n\r\n" + hello);
    EXPECT_EQ(client.readAnswer().status, 400);
}

TEST(Requests, ThatAreMalformedGetAProblemAnswerAndTheEndOfTheConnection) {
    const struct {
        std::string request;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: x\n\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        {"nonsense\r\n\r\n", 400},
        {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03\n", 400},
        {post("/echo", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        {post("/echo", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"), 400},
        {post("/echo", "Content-Length: 4\r\nContent-Length: 5\r\n", "bodyx"), 400},
        {post("/echo", "Content-Length: 4\r\nContent-Length: 4\r\n", "body"), 400},
        {post("/echo", "Content-Length: -1\r\n", ""), 400},
        {post("/echo", "Content-Length: 99999999999999999999\r\n", ""), 400},
        {post("/echo", "Transfer-Encoding: gzip\r\n", ""), 501},
        {post("/echo", "Expect: something\r\n", ""), 417},
        {"BREW /hello HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {chunked("/echo", "x\r\n"), 400},
        {chunked("/echo", "-1\r\n"), 400},
        {chunked("/echo", "0x4\r\nbody\r\n0\r\n\r\n"), 400},
        {chunked("/echo", "4\nbody\r\n0\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbodyx\r\n0\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbody\n0\r\n\r\n"), 400},
        {chunked("/echo", "3\r\nbody\r\n0\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbody0\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbody\r\n0\r\nbad\x01trailer\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbody\r\n0\r\nT: u\n\r\n"), 400},
        {chunked("/echo", "4;" + std::string(2000, 'x') + "\r\nbody\r\n0\r\n\r\n"), 400},
        {chunked("/echo", "4\r\nbody\r\n0\r\n" + std::string(10000, 'x') + "\r\n\r\n"), 400},
        {chunked("/echo", "ffffffffffffffff\r\n"), 400},
    };
    TestServer server;
    for (const auto& c : cases) {
        RawClient client(server.port());
        // A second request behind a broken one must not be read as one.
        client.send(c.request + hello);
        const Answer answer = client.readAnswer();
        EXPECT_EQ(answer.status, c.status) << c.request;
        EXPECT_EQ(answer.header("Content-Type"), "application/problem+json") << c.request;
        EXPECT_EQ(answer.header("Connection"), "close") << c.request;
        EXPECT_NE(answer.body.find("\"detail\""), std::string::npos) << c.request;
        client.endSending();
        EXPECT_TRUE(client.closed()) << c.request;
        EXPECT_EQ(server.nextTold().status, c.status) << c.request;
    }
}

TEST(Requests, WithTinyChunksAndLongExtensionsAreRefused) {
    TestServer server;
    std::string chunks;
    for (int i = 0; i < 100; ++i) chunks += "1;" + std::string(900, 'x') + "\r\na\r\n";
    EXPECT_EQ(ask(server.port(), chunked("/count", chunks + "0\r\n\r\n")).status, 400);
    chunks.clear();
    for (int i = 0; i < 5000; ++i) chunks += "1;a=b\r\na\r\n";
    EXPECT_EQ(ask(server.port(), chunked("/count", chunks + "0\r\n\r\n")).body, "5000");
}

TEST(Requests, AboveALimitGetTheStatusThatNamesIt) {
    TestServer server({.maxHeaderBytes = 4096, .maxTargetBytes = 1024});
    const std::string line = "GET /hello?" + std::string(1024 - 7, 'q');
    EXPECT_EQ(ask(server.port(), line + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    EXPECT_EQ(ask(server.port(), line + "q HTTP/1.1\r\nHost: x\r\n\r\n").status, 414);
    EXPECT_EQ(ask(server.port(), "GET /" + std::string(3000, 'a')).status, 414);
    EXPECT_EQ(ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'a') + "\r\n\r\n").status,
              200);
    EXPECT_EQ(ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(4096, 'a') + "\r\n\r\n").status,
              431);
    EXPECT_EQ(ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(5000, 'a')).status, 431);
    std::string many;
    for (int i = 0; i < 200; ++i) many += "X: y\r\n";
    EXPECT_EQ(ask(server.port(), "GET /hello HTTP/1.1\r\nHost: x\r\n" + many + "\r\n").status, 431);
}

TEST(Requests, WithTooLargeABodyAreRefusedBeforeItIsRead) {
    TestServer server;
    const std::string fits(64 << 10, 'b');
    EXPECT_EQ(ask(server.port(), sized("/echo", fits)).body, fits);
    EXPECT_EQ(ask(server.port(), post("/echo", "Content-Length: 65537\r\n", "")).status, 413);
    EXPECT_EQ(ask(server.port(), chunked("/echo", "10000\r\n" + fits + "\r\n0\r\n\r\n")).body, fits);
    EXPECT_EQ(ask(server.port(), chunked("/echo", "10001\r\n")).status, 413);
    EXPECT_EQ(ask(server.port(), chunked("/echo", "10000\r\n" + fits + "\r\n1\r\n")).status, 413);
}

TEST(Requests, AreFollowedByOthersWhenTheirUnreadBodyIsSmall) {
    TestServer server({.maxDrainBytes = 1000});
    RawClient client(server.port());
    client.send(sized("/ignore", std::string(1000, 'x')) + hello);
    EXPECT_EQ(client.readAnswer().body, "ignored");
    EXPECT_EQ(client.readAnswer().body, "hello");
    client.send(chunked("/ignore", "3\r\nabc\r\n0\r\n\r\n") + hello);
    EXPECT_EQ(client.readAnswer().body, "ignored");
    EXPECT_EQ(client.readAnswer().body, "hello");
    client.send(sized("/nothing", "xyz") + hello);
    EXPECT_EQ(client.readAnswer().status, 404);
    EXPECT_EQ(client.readAnswer().body, "hello");
}

TEST(Requests, EndTheConnectionWhenTheirUnreadBodyIsLarge) {
    TestServer server({.maxDrainBytes = 1000});
    {
        RawClient client(server.port());
        client.send(sized("/ignore", std::string(1001, 'x')) + hello);
        const Answer answer = client.readAnswer();
        EXPECT_EQ(answer.body, "ignored");
        EXPECT_EQ(answer.header("Connection"), "close");
        EXPECT_TRUE(client.closed());
    }
    {
        RawClient client(server.port());
        client.send(chunked("/ignore", "3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\ny\r\n0\r\n\r\n") + hello);
        EXPECT_EQ(client.readAnswer().body, "ignored");
        EXPECT_TRUE(client.closed());
    }
}

TEST(Requests, ThatAreRefusedWhileTheirBodyStreamsInStillSeeTheAnswer) {
    TestServer server;
    RawClient client(server.port());
    client.send(post("/echo", "Content-Length: 8000000\r\n", ""));
    client.send(std::string(8'000'000, 'x'));
    const Answer answer = client.readAnswer();
    EXPECT_EQ(answer.status, 413);
    EXPECT_TRUE(answer.whole);
}

TEST(Requests, ThatExpectContinueAreToldSoWhenTheBodyIsFirstRead) {
    TestServer server;
    RawClient client(server.port());
    client.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 4\r\n", ""));
    EXPECT_EQ(client.readAnswer().status, 100);
    client.send("body" + hello);
    EXPECT_EQ(client.readAnswer().body, "body");
    EXPECT_EQ(client.readAnswer().body, "hello");

    // Sent unasked: no word is needed.
    client.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 4\r\n", "body"));
    EXPECT_EQ(client.readAnswer().body, "body");

    // Not read: whether the body comes is unknown, so nothing can follow.
    client.send(post("/ignore", "Expect: 100-continue\r\nContent-Length: 4\r\n", ""));
    const Answer answer = client.readAnswer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Connection"), "close");
    client.endSending();
    EXPECT_TRUE(client.closed());
}

TEST(Requests, ThatExpectContinueAreRefusedWithoutIt) {
    TestServer server;
    RawClient client(server.port());
    client.send(post("/echo", "Expect: 100-continue\r\nContent-Length: 70000\r\n", ""));
    EXPECT_EQ(client.readAnswer().status, 413);
}

TEST(Requests, OfHttp10CloseUnlessTheyAskToStay) {
    TestServer server;
    RawClient closing(server.port());
    closing.send("GET /hello HTTP/1.0\r\n\r\n");
    EXPECT_EQ(closing.readAnswer().header("Connection"), "close");
    EXPECT_TRUE(closing.closed());
    RawClient staying(server.port());
    for (int i = 0; i < 2; ++i) {
        staying.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        const Answer answer = staying.readAnswer();
        EXPECT_EQ(answer.header("Connection"), "keep-alive");
        EXPECT_EQ(answer.body, "hello");
    }
}

TEST(Requests, OfHttp11StayUnlessTheyAskToClose) {
    TestServer server;
    RawClient client(server.port());
    client.send(hello);
    EXPECT_EQ(client.readAnswer().header("Connection"), std::nullopt);
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + hello);
    EXPECT_EQ(client.readAnswer().header("Connection"), "close");
    EXPECT_TRUE(client.closed());
}

TEST(Requests, ReachTheirHandlerInEveryFormOfTarget) {
    TestServer server;
    EXPECT_EQ(ask(server.port(), "GET http://x/hello?a=b HTTP/1.1\r\nHost: y\r\n\r\n").body, "hello");
    EXPECT_EQ(ask(server.port(), "GET /hello?%zz HTTP/1.1\r\nHost: y\r\n\r\n").status, 400);
    EXPECT_EQ(ask(server.port(), "GET /bytes/%2f HTTP/1.1\r\nHost: y\r\n\r\n").status, 400);
    const Answer options = ask(server.port(), "OPTIONS * HTTP/1.1\r\nHost: y\r\n\r\n");
    EXPECT_EQ(options.status, 204);
    EXPECT_TRUE(options.header("Allow"));
    const Answer ofPath = ask(server.port(), "OPTIONS /hello HTTP/1.1\r\nHost: y\r\n\r\n");
    EXPECT_EQ(ofPath.status, 204);
    EXPECT_EQ(ofPath.header("Allow"), "GET, HEAD, OPTIONS");
}

TEST(Requests, MayCarryLargeBodies) {
    TestServer server;
    RawClient client(server.port());
    const std::size_t size = 20 << 20;
    const std::string body(size, 'x');
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body);
    EXPECT_EQ(client.readAnswer().body, std::to_string(size));
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; ++i) client.send("100000\r\n" + body.substr(0, 1 << 20) + "\r\n");
    client.send("0\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body, std::to_string(size));
    const Told told = server.nextTold();
    EXPECT_EQ(told.bytesIn, size);
    EXPECT_EQ(told.route, "/count");
}

TEST(Requests, KeepFailingOnceTheirBodyHasFailed) {
    std::string first, second;
    const Route stubborn{.method = Method::post, .pattern = "/stubborn", .handler = [&](Request& request, Response&) {
                             for (std::string* text : {&first, &second}) {
                                 try {
                                     *text = request.body->readAll(1000);
                                 } catch (const Error& error) {
                                     *text = error.publicMessage();
                                 }
                             }
                             throw Error(ErrorCode::badRequest, "The body was not whole.");
                         }};
    TestServer server({}, {stubborn});
    RawClient client(server.port());
    client.send(post("/stubborn", "Content-Length: 10\r\n", "half"));
    client.endSending();
    EXPECT_EQ(client.readAnswer().status, 400);
    EXPECT_NE(first.find("early"), std::string::npos);
    EXPECT_FALSE(second.empty());
}

}  // namespace
}  // namespace chunkvault::http::test
