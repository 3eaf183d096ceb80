// The server as a whole: limits, addresses, proxies, and its end.
#include <sys/socket.h>

#include <chrono>
#include <list>
#include <thread>

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/http/raw_client.h"
#include "tests/http/test_server.h"

namespace chunkvault::http::test {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(Server, RefusesConnectionsAboveTheLimitWithAnAnswer) {
    TestServer server({.maxConnections = 3});
    std::list<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back(server.port()).send(hello);
        EXPECT_EQ(clients.back().readAnswer().status, 200);
    }
    for (int i = 0; i < 3; ++i) {
        RawClient refused(server.port());
        refused.send(hello);
        const Answer answer = refused.readAnswer();
        EXPECT_EQ(answer.status, 503);
        EXPECT_EQ(answer.header("Connection"), "close");
        EXPECT_TRUE(answer.header("Retry-After"));
        EXPECT_TRUE(refused.closed());
    }
    EXPECT_EQ(server.server().connections(), 3u);
    clients.pop_front();
    server.awaitConnections(2);
    EXPECT_EQ(ask(server.port(), hello).status, 200);
}

TEST(Server, HoldsThousandsOfIdleConnections) {
    TestServer server;
    std::list<RawClient> clients;
    for (int i = 0; i < 2000; ++i) clients.emplace_back(server.port());
    clients.front().send(hello);
    EXPECT_EQ(clients.front().readAnswer().body, "hello");
    clients.back().send(hello);
    EXPECT_EQ(clients.back().readAnswer().body, "hello");
    server.awaitConnections(2000);
    clients.clear();
    server.awaitConnections(0);
}

TEST(Server, ListensOnIpv6) {
    TestServer server({.host = "::1"});
    RawClient client(server.port(), {.address = "::1"});
    client.send("GET /origin HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body, "::1 plain");
}

TEST(Server, SaysWhyItCannotListen) {
    TestServer first;
    const Router router({});
    const struct {
        std::string host;
        std::uint16_t port;
    } cases[] = {{"127.0.0.1", first.port()}, {"192.0.2.1", 0}, {"no.such.host.invalid", 0}};
    for (const auto& c : cases) {
        try {
            const Server server(router, {.host = c.host, .port = c.port}, {});
            ADD_FAILURE() << c.host;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unavailable) << c.host;
            EXPECT_NE(error.publicMessage().find(c.host), std::string::npos) << error.publicMessage();
        }
    }
}

TEST(Server, BelievesTrustedProxiesOnly) {
    const std::string request =
        "GET /origin HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
        "X-Request-Id: from-proxy\r\n\r\n";
    TestServer trusting({.trustedProxies = {"127.0.0.0/8"}});
    const Answer trusted = ask(trusting.port(), request);
    EXPECT_EQ(trusted.body, "203.0.113.9 secure");
    EXPECT_EQ(trusted.header("X-Request-Id"), "from-proxy");
    EXPECT_EQ(trusting.nextTold().clientAddress, "203.0.113.9");

    TestServer wary({.trustedProxies = {"10.0.0.0/8"}});
    const Answer untrusted = ask(wary.port(), request);
    EXPECT_EQ(untrusted.body, "127.0.0.1 plain");
    EXPECT_NE(untrusted.header("X-Request-Id"), "from-proxy");
}

TEST(Server, TellsTheRouteAndNeverThePath) {
    TestServer server;
    static_cast<void>(ask(server.port(), "GET /bytes/10?secret HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_EQ(server.nextTold().route, "/bytes/{count}");
    static_cast<void>(ask(server.port(), "GET /s/secret HTTP/1.1\r\nHost: x\r\n\r\n"));
    const Told unmatched = server.nextTold();
    EXPECT_EQ(unmatched.route, "");
    EXPECT_EQ(unmatched.error.find("secret"), std::string::npos);
    static_cast<void>(ask(server.port(), "OPTIONS /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_EQ(server.nextTold().route, "");
}

TEST(Stopping, ClosesIdleConnectionsAtOnce) {
    TestServer server;
    RawClient fresh(server.port());
    RawClient used(server.port());
    used.send(hello);
    EXPECT_EQ(used.readAnswer().body, "hello");
    server.awaitConnections(2);
    const auto begin = SteadyClock::now();
    server.server().stop();
    EXPECT_LT(SteadyClock::now() - begin, 10s);
    EXPECT_TRUE(fresh.closed());
    EXPECT_TRUE(used.closed());
    EXPECT_EQ(server.server().connections(), 0u);
    EXPECT_THROW(RawClient late(server.port()), std::runtime_error);
}

TEST(Stopping, LetsRunningRequestsFinish) {
    TestServer server;
    RawClient client(server.port());
    client.send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
    server.entered.wait();
    std::thread stopping([&] { server.server().stop(); });
    // Once nobody is accepted any more, stop() is under way.
    const auto refused = [&] {
        try {
            const RawClient late(server.port());
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    };
    while (!refused()) std::this_thread::sleep_for(1ms);
    server.leave.open();
    const Answer answer = client.readAnswer();
    EXPECT_EQ(answer.body, "through");
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(client.closed());
    stopping.join();
}

TEST(Stopping, CutsTransfersThatTakeTooLong) {
    TestServer server({.stopTimeout = 100ms});
    RawClient reading(server.port(), {.receiveBufferBytes = 4096});
    reading.send("GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(reading.readSome(), "");
    RawClient writing(server.port());
    writing.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
    server.awaitConnections(2);
    const auto begin = SteadyClock::now();
    server.server().stop();
    EXPECT_LT(SteadyClock::now() - begin, 10s);
    EXPECT_EQ(server.server().connections(), 0u);
    EXPECT_TRUE(server.nextTold().truncated || server.nextTold().truncated);
}

TEST(Stopping, MayBeAskedForTwiceAndBeforeTheStart) {
    const Router router({});
    Server server(router, {.port = 0}, {});
    server.stop();
    server.stop();
    TestServer running;
    std::thread one([&] { running.server().stop(); });
    running.server().stop();
    one.join();
    EXPECT_EQ(running.server().connections(), 0u);
}

TEST(Stopping, RacesWithClientsThatComeAndGo) {
    for (int round = 0; round < 20; ++round) {
        TestServer server({.stopTimeout = 5s});
        std::vector<std::thread> clients;
        for (int i = 0; i < 4; ++i)
            clients.emplace_back([&] {
                try {
                    for (int j = 0; j < 50; ++j) {
                        RawClient client(server.port());
                        client.send(hello);
                        const Answer answer = client.readAnswer();
                        EXPECT_TRUE(answer.status == 0 || answer.body == "hello");
                        if (answer.status == 0) return;
                    }
                } catch (const std::runtime_error&) {  // nobody listens any more
                }
            });
        std::this_thread::sleep_for(std::chrono::milliseconds(round % 5));
        server.server().stop();
        for (std::thread& client : clients) client.join();
    }
}

}  // namespace
}  // namespace chunkvault::http::test
