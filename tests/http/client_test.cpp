#include "common/http/client.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "common/http/response_head.h"
#include "tests/http/test_server.h"
#include "tests/support/fake_server.h"

namespace chunkvault::http {
namespace {

using namespace std::chrono_literals;
using chunkvault::test::FakeServer;
using test::TestServer;
using testing::HasSubstr;

constexpr std::string_view okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr ClientTimeouts quick{.answer = 200ms, .stall = 200ms, .whole = 1s};

ServerAddress local(std::uint16_t port) { return {"127.0.0.1", port}; }

struct Failure {
    ErrorCode code;
    std::string detail;
};

Failure failureOf(Client& client, const ClientRequest& request) {
    try {
        const ClientAnswer answer = client.ask(request);
        ADD_FAILURE() << "answered with " << answer.status << ' ' << answer.body;
        return {};
    } catch (const Error& error) {
        return {error.code(), error.privateDetail()};
    }
}

TEST(ServerAddress, IsReadFromAUrl) {
    struct Case {
        const char* url;
        const char* authority;
    };
    for (const Case& c : {Case{"http://node1:8001", "node1:8001"}, Case{"http://node1:8001/", "node1:8001"},
                          Case{"http://10.0.0.1", "10.0.0.1:80"}, Case{"http://[::1]:9", "[::1]:9"}})
        EXPECT_EQ(ServerAddress::parse(c.url).authority(), c.authority) << c.url;
    for (const char* const bad : {"", "node1:8001", "ftp://node1", "http://", "http://:80", "http://node1:0",
                                  "http://node1:65536", "http://node1:80x", "http://node1/path", "http://user@node1",
                                  "http://node1:80/?q", "http://[::1", "http://a b", "http://[::1]x"})
        EXPECT_THROW((void)ServerAddress::parse(bad), Error) << bad;
    try {
        (void)ServerAddress::parse("https://node1:8001");
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.publicMessage(), HasSubstr("https"));
    }
}

TEST(ResponseHead, IsReadStrictly) {
    const ResponseHead head = parseResponseHead(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nX-A: b\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head.status, 503);
    EXPECT_EQ(head.contentLength, 12u);
    EXPECT_FALSE(head.keepAlive);
    EXPECT_EQ(head.headers.size(), 3u);
    EXPECT_TRUE(parseResponseHead("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n").chunked);
    EXPECT_FALSE(parseResponseHead("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keepAlive);
    EXPECT_TRUE(parseResponseHead("HTTP/1.1 204 No Content\r\n\r\n").keepAlive);
    for (const std::string& bad :
         {std::string("HTTP/1.1 OK\r\n\r\n"), std::string("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
          std::string("HTTP/1.1 100 Continue\r\n\r\n"), std::string("HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\n\r\n"), std::string("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
          std::string("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n folded\r\n\r\n"), std::string("\r\n\r\n"),
          std::string("HTTP/1.1 200 \x01\r\nContent-Length: 0\r\n\r\n")})
        EXPECT_THROW((void)parseResponseHead(bad), Error) << bad;
}

TEST(HttpClient, AsksOverOneConnectionThatIsKept) {
    TestServer server;
    Client client(local(server.port()));
    for (int i = 0; i < 5; ++i) {
        const ClientAnswer answer = client.ask({.target = "/hello"});
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body, "hello");
        EXPECT_EQ(answer.header("content-type"), "text/plain");
        EXPECT_EQ(client.ask({.method = Method::head, .target = "/hello"}).status, 200);
        EXPECT_EQ(client.ask({.target = "/no such"}).status, 400);
        EXPECT_EQ(client.ask({.target = "/nothing"}).status, 404);
    }
    EXPECT_LE(server.server().connections(), 2u) << "a malformed target ends its connection";
    EXPECT_EQ(client.idle(), 1u);
}

TEST(HttpClient, SendsABodyInPiecesAndGetsALargeOneWhereItBelongs) {
    TestServer server;
    Client client(local(server.port()));
    const std::string small(1000, 's'), large(3 << 20, 'l');
    const std::vector<std::string_view> pieces{small, large, small, "", small, large};
    const ClientAnswer counted = client.ask({.method = Method::put, .target = "/count", .body = pieces});
    EXPECT_EQ(counted.status, 200);
    EXPECT_THAT(counted.body, HasSubstr(std::to_string(3 * small.size() + 2 * large.size())));
    const std::vector<std::string_view> shortBody{"ab", "c"};
    EXPECT_EQ(client.ask({.method = Method::post, .target = "/echo", .body = shortBody}).body, "abc");

    for (const char* const kind : {"/bytes/", "/stream/"}) {
        std::string into(5'000'000, '\0');
        EXPECT_EQ(client.ask({.target = kind + std::to_string(into.size()), .into = into}).intoBytes, into.size());
        EXPECT_EQ(into.find('\0'), std::string::npos);
        EXPECT_EQ(client.ask({.target = kind + std::string("10"), .into = into}).intoBytes, 10u);
        EXPECT_EQ(failureOf(client, {.target = kind + std::to_string(into.size() + 1), .into = into}).code,
                  ErrorCode::payloadTooLarge);
        EXPECT_EQ(failureOf(client, {.target = kind + std::string("11"), .maxBodyBytes = 10}).code,
                  ErrorCode::payloadTooLarge);
        EXPECT_EQ(client.ask({.target = kind + std::string("10"), .maxBodyBytes = 10}).body.size(), 10u);
    }
    const ClientAnswer problem = client.ask({.target = "/nothing", .into = std::span<char>(const_cast<char*>("x"), 1)});
    EXPECT_EQ(problem.intoBytes, 0u);
    EXPECT_THAT(problem.body, HasSubstr("not_found"));
}

TEST(HttpClient, IsUsedByManyThreadsAndKeepsABoundedNumberOfConnections) {
    TestServer server;
    Client client(local(server.port()), {.maxIdle = 2});
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) EXPECT_EQ(client.ask({.target = "/hello"}).body, "hello");
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(client.idle(), 2u);
}

TEST(HttpClient, AsksAgainWhenAKeptConnectionHasBeenClosed) {
    // The first connection answers once and is closed on the second request, unread.
    FakeServer server([](FakeServer::Peer& peer) {
        (void)peer.readRequest();
        peer.send(okAnswer);
        (void)peer.readRequest();
        if (peer.number > 0) peer.send(okAnswer);
    });
    Client client(local(server.port()));
    EXPECT_EQ(client.ask({.target = "/"}).body, "ok");
    EXPECT_EQ(client.ask({.target = "/"}).body, "ok");
    EXPECT_EQ(server.connections(), 2u);
}

TEST(HttpClient, DoesNotAskAgainOnAFreshConnection) {
    FakeServer server([](FakeServer::Peer& peer) { (void)peer.readRequest(); });
    Client client(local(server.port()));
    const Failure failure = failureOf(client, {.target = "/"});
    EXPECT_EQ(failure.code, ErrorCode::unavailable);
    EXPECT_THAT(failure.detail, HasSubstr("without an answer"));
    EXPECT_EQ(server.connections(), 1u);
}

TEST(HttpClient, DoesNotAskAgainWhenAKeptConnectionIsOnlySlow) {
    FakeServer server([](FakeServer::Peer& peer) {
        (void)peer.readRequest();
        peer.send(okAnswer);
        peer.awaitEnd();
    });
    Client client(local(server.port()));
    EXPECT_EQ(client.ask({.target = "/"}).body, "ok");
    EXPECT_EQ(failureOf(client, {.target = "/", .timeouts = quick}).code, ErrorCode::unavailable);
    EXPECT_EQ(server.connections(), 1u);
}

TEST(HttpClient, LeavesAConnectionAloneThatTheServerEndedOrWroteToUnasked) {
    const std::string unasked = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    FakeServer server([&](FakeServer::Peer& peer) {
        (void)peer.readRequest();
        peer.send(std::string(okAnswer) + (peer.number == 0 ? unasked : ""));
        if (peer.number == 0) peer.awaitEnd();
    });
    Client client(local(server.port()));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(client.ask({.target = "/"}).body, "ok");
    EXPECT_EQ(server.connections(), 4u);
}

TEST(HttpClient, DropsConnectionsThatWereIdleForTooLong) {
    FakeServer server([](FakeServer::Peer& peer) {
        while (!peer.readRequest().empty()) peer.send(okAnswer);
    });
    Client client(local(server.port()), {.idleTimeout = 0ms});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask({.target = "/"}).body, "ok");
    EXPECT_EQ(server.connections(), 3u);
}

TEST(HttpClient, TakesAnAnswerThatComesBeforeTheRequestIsSent) {
    FakeServer server([](FakeServer::Peer& peer) {
        peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!");
        peer.awaitEnd();
    });
    Client client(local(server.port()));
    const std::string large(64 << 20, 'x');
    const std::vector<std::string_view> body{large};
    const ClientAnswer answer = client.ask({.method = Method::put, .target = "/", .body = body});
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.body, "no!");
    EXPECT_EQ(client.idle(), 0u);
}

TEST(HttpClient, FailsWithinItsDeadlinesWhateverTheServerDoes) {
    struct Case {
        const char* what;
        std::function<void(FakeServer::Peer&)> serve;
        ErrorCode code;
        const char* detail;
    };
    const auto after = [](std::string_view start, std::string_view again) {
        return [start = std::string(start), again = std::string(again)](FakeServer::Peer& peer) {
            (void)peer.readRequest();
            peer.send(start);
            while (!again.empty() && peer.send(again)) {
            }
            if (again.empty()) peer.awaitEnd();
        };
    };
    const auto drip = [](std::string_view start) {
        return [start = std::string(start)](FakeServer::Peer& peer) {
            (void)peer.readRequest();
            peer.send(start);
            while (peer.send("x")) std::this_thread::sleep_for(20ms);
        };
    };
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    const std::vector<Case> cases{
        {"silent", after("", ""), ErrorCode::unavailable, "in time"},
        {"silent in the header", after("HTTP/1.1 2", ""), ErrorCode::unavailable, "in time"},
        {"silent in the body", after(ok + "Content-Length: 9\r\n\r\nx", ""), ErrorCode::unavailable, "slowly"},
        {"a dripping header", drip(ok + "X-A: "), ErrorCode::unavailable, "in time"},
        {"a dripping body", drip(ok + "Content-Length: 1000\r\n\r\n"), ErrorCode::unavailable, "slowly"},
        {"an endless header", after(ok, "X-A: b\r\n"), ErrorCode::unavailable, "too large"},
        {"an endless line", after("", "xxxxxxxxxx"), ErrorCode::unavailable, "too large"},
        {"an endless body", after(ok + "Transfer-Encoding: chunked\r\n\r\n", "5\r\nabcde\r\n"),
         ErrorCode::payloadTooLarge, "longer"},
        {"a body announced as endless", after(ok + "Content-Length: 9223372036854775807\r\n\r\n", "x"),
         ErrorCode::payloadTooLarge, "longer"},
        {"garbage", after("SSH-2.0-OpenSSH\r\n\r\n", ""), ErrorCode::unavailable, "no answer"},
        {"bad chunks", after(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", ""), ErrorCode::unavailable, "malformed"},
        {"cut in the header",
         [](FakeServer::Peer& peer) {
             (void)peer.readRequest();
             peer.send("HTTP/1.1 200");
         },
         ErrorCode::unavailable, "ended in the header"},
        {"cut in the body",
         [](FakeServer::Peer& peer) {
             (void)peer.readRequest();
             peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
         },
         ErrorCode::unavailable, "ended early"},
    };
    for (const Case& c : cases) {
        FakeServer server(c.serve);
        Client client(local(server.port()));
        const auto begin = std::chrono::steady_clock::now();
        const Failure failure = failureOf(client, {.target = "/", .timeouts = quick});
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << c.what;
        EXPECT_EQ(failure.code, c.code) << c.what;
        EXPECT_THAT(failure.detail, HasSubstr(c.detail)) << c.what;
        EXPECT_EQ(client.idle(), 0u) << c.what;
    }
}

TEST(HttpClient, FailsWhenTheServerTakesTheRequestTooSlowly) {
    std::atomic<bool> done = false;
    FakeServer server([&](FakeServer::Peer&) { done.wait(false); });
    Client client(local(server.port()));
    const std::string large(64 << 20, 'x');
    const std::vector<std::string_view> body{large};
    const Failure failure = failureOf(client, {.method = Method::put, .target = "/", .body = body, .timeouts = quick});
    EXPECT_EQ(failure.code, ErrorCode::unavailable);
    EXPECT_THAT(failure.detail, HasSubstr("too slowly"));
    done = true;
    done.notify_all();
}

TEST(HttpClient, SaysWhenNobodyListens) {
    std::uint16_t port = 0;
    {
        port = FakeServer([](FakeServer::Peer&) {}).port();
    }
    Client client(local(port));
    const Failure failure = failureOf(client, {.target = "/"});
    EXPECT_EQ(failure.code, ErrorCode::unavailable);
    EXPECT_THAT(failure.detail, HasSubstr("cannot connect"));
    Client nameless({"no-such-host.invalid", 80});
    EXPECT_EQ(failureOf(nameless, {.target = "/"}).code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace chunkvault::http
