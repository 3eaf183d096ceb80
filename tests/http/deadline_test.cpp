// Clients that are slow or silent lose the connection in time; those that are merely unhurried do not.
#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/http/certificate.h"
#include "tests/http/raw_client.h"
#include "tests/http/test_server.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::http::test {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

// Long enough that a busy machine does not reach it by accident where a test expects it not to be reached.
constexpr auto tooLong = 10s;

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

// Sends a byte every pause on a thread of its own until it is told to end or the server closes.
class Trickle {
  public:
    Trickle(RawClient& client, std::chrono::milliseconds pause)
        : thread_([this, &client, pause] {
              while (!ended_ && client.send("x")) std::this_thread::sleep_for(pause);
          }) {}
    ~Trickle() {
        ended_ = true;
        thread_.join();
    }
    Trickle(const Trickle&) = delete;
    Trickle& operator=(const Trickle&) = delete;

  private:
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

TEST(Deadlines, EndAnIdleConnectionWithoutAWord) {
    TestServer server({.idleTimeout = 50ms});
    RawClient silent(server.port());
    EXPECT_TRUE(silent.closed());
    RawClient client(server.port());
    client.send(hello);
    EXPECT_EQ(client.readAnswer().body, "hello");
    EXPECT_TRUE(client.closed());
    server.awaitConnections(0);
}

TEST(Deadlines, KeepAConnectionThatRestsForShorterThanTheIdleTimeout) {
    // Past the point where an idle connection gives its memory back.
    TestServer server({.idleTimeout = 60s});
    RawClient client(server.port());
    client.send(hello);
    EXPECT_EQ(client.readAnswer().body, "hello");
    EXPECT_FALSE(client.hears(1300ms));
    client.send(hello);
    EXPECT_EQ(client.readAnswer().body, "hello");
}

TEST(Deadlines, EndAHeaderThatTakesTooLong) {
    TestServer server({.headerTimeout = 100ms});
    for (const char* start : {"G", "GET /hello HTTP/1.1\r\n", "GET /hello HTTP/1.1\r\nHost: x\r\nX: "}) {
        RawClient client(server.port());
        client.send(start);
        const Answer answer = client.readAnswer();
        EXPECT_EQ(answer.status, 408) << start;
        EXPECT_EQ(answer.header("Connection"), "close") << start;
    }
}

TEST(Deadlines, EndAHeaderThatTricklesIn) {
    TestServer server({.headerTimeout = 200ms});
    RawClient client(server.port());
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\nX: ");
    const auto begin = SteadyClock::now();
    const Trickle trickle(client, 10ms);
    EXPECT_EQ(client.readAnswer().status, 408);
    EXPECT_LT(SteadyClock::now() - begin, tooLong);
}

TEST(Deadlines, EndAShortBodyThatTricklesIn) {
    TestServer server({.bodyTimeout = 200ms});
    RawClient client(server.port());
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    const Trickle trickle(client, 10ms);
    EXPECT_EQ(client.readAnswer().status, 408);
}

TEST(Deadlines, EndAnUnreadBodyThatTricklesIn) {
    TestServer server({.bodyTimeout = 200ms});
    RawClient client(server.port());
    client.send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body, "ignored");
    const Trickle trickle(client, 10ms);
    EXPECT_TRUE(client.closed());
}

TEST(Deadlines, EndATransferThatStalls) {
    TestServer server({.stallTimeout = 100ms});
    RawClient client(server.port());
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
    EXPECT_EQ(client.readAnswer().status, 408);
    EXPECT_EQ(server.nextTold().bytesIn, 4u);
}

TEST(Deadlines, EndATransferBelowTheMinimumRate) {
    TestServer server({.stallTimeout = 200ms, .minBytesPerS = 10'000});
    RawClient client(server.port());
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    const Trickle trickle(client, 10ms);
    EXPECT_EQ(client.readAnswer().status, 408);
}

TEST(Deadlines, LetATransferTakeLongerThanAnyOtherBody) {
    TestServer server({.bodyTimeout = 100ms, .stallTimeout = 60s, .minBytesPerS = 10});
    RawClient client(server.port());
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n");
    const auto begin = SteadyClock::now();
    for (int sent = 0; sent < 60; ++sent) {
        client.send("x");
        std::this_thread::sleep_for(5ms);
    }
    EXPECT_GT(SteadyClock::now() - begin, 100ms);
    EXPECT_EQ(client.readAnswer().body, "60");
}

TEST(Deadlines, DoNotBlameTheClientForASlowHandler) {
    const Route slow{.method = Method::post, .pattern = "/slow", .handler = [](Request& request, Response& response) {
                         std::this_thread::sleep_for(150ms);
                         const std::string body = request.body->readAll(1000);
                         std::this_thread::sleep_for(150ms);
                         response.send(200, "text/plain", body);
                     }};
    TestServer server({.headerTimeout = 100ms, .bodyTimeout = 100ms, .stallTimeout = 100ms}, {slow});
    EXPECT_EQ(ask(server.port(), "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody").body, "body");
}

TEST(Deadlines, CutAnAnswerThatNobodyTakes) {
    TestServer server({.stallTimeout = 100ms});
    for (const char* path : {"/bytes/100000000", "/stream/100000000"}) {
        RawClient client(server.port(), {.receiveBufferBytes = 4096});
        client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        const Told told = server.nextTold();
        EXPECT_TRUE(told.truncated);
        EXPECT_NE(told.error.find("slow"), std::string::npos);
        EXPECT_FALSE(client.readAnswer().whole);
    }
}

TEST(Deadlines, CutAnAnswerThatIsTakenBelowTheMinimumRate) {
    TestServer server({.stallTimeout = 200ms, .minBytesPerS = 1 << 30});
    RawClient client(server.port(), {.receiveBufferBytes = 4096});
    client.send("GET /bytes/2000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!client.readSome().empty()) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(server.nextTold().truncated);
}

TEST(Deadlines, LetAnAnswerBeTakenSlowlyButSteadily) {
    TestServer server({.stallTimeout = 5s, .minBytesPerS = 1000});
    RawClient client(server.port(), {.receiveBufferBytes = 4096});
    client.send("GET /bytes/4000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::size_t taken = 0;
    for (std::string some = client.readSome(); !some.empty(); some = client.readSome()) {
        taken += some.size();
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_GT(taken, 4'000'000u);
    EXPECT_FALSE(server.nextTold().truncated);
}

TEST(Deadlines, EndABodyThatTricklesInWhileOthersWait) {
    std::atomic<bool> wanted = false;
    const Route hurried{.method = Method::put,
                        .pattern = "/hurried",
                        .handler =
                            [&](Request& request, Response& response) {
                                EXPECT_TRUE(request.body->awaitData());
                                request.body->hurryWhile([&] { return wanted.load(); });
                                std::vector<char> body(1000);
                                const std::size_t size = request.body->readFull(body);
                                EXPECT_FALSE(request.body->awaitData());
                                response.send(200, "text/plain", std::to_string(size));
                            },
                        .maxBodyBytes = 1 << 20,
                        .transfer = true};
    TestServer server({}, {hurried});
    RawClient client(server.port());
    client.send("PUT /hurried HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    {
        const Trickle trickle(client, 50ms);
        EXPECT_FALSE(client.hears(2500ms));
        wanted = true;
        EXPECT_EQ(client.readAnswer().status, 408);
    }
    wanted = true;
    EXPECT_EQ(
        ask(server.port(), "PUT /hurried HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'))
            .body,
        "1000");
}

TEST(Deadlines, LetAHandlerDoSomethingElseWhileTheClientTakesNothing) {
    constexpr std::size_t total = 40'000'000;
    const std::string bytes = pattern(total);
    std::atomic<int> pauses = 0;
    const Route patient{
        .method = Method::get, .pattern = "/{kind}", .handler = [&](Request& request, Response& response) {
            const bool counted = request.param("kind") == "counted";
            BodyWriter& writer =
                response.begin(200, "text/plain", counted ? std::optional<std::uint64_t>(total) : std::nullopt);
            writer.write(std::span(bytes).first(10));
            std::span<const char> rest = std::span(bytes).subspan(10);
            for (;;) {
                rest = rest.subspan(writer.writeSome(rest, 20ms));
                if (rest.empty()) break;
                ++pauses;
                writer.awaitWritable();
            }
        }};
    const chunkvault::test::TempFolder folder;
    writeCertificate(folder.path() / "cert", folder.path() / "key");
    for (const bool tls : {false, true}) {
        SCOPED_TRACE(tls ? "TLS" : "plain");
        TestServer server(
            tls ? ServerOptions{.tlsCert = folder.path() / "cert", .tlsKey = folder.path() / "key"} : ServerOptions{},
            {patient});
        for (const std::string path : {"/counted", "/chunked"}) {
            SCOPED_TRACE(path);
            pauses = 0;
            RawClient client(server.port(), {.tls = tls, .receiveBufferBytes = 4096});
            client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
            while (pauses == 0) std::this_thread::yield();
            const Answer answer = client.readAnswer();
            EXPECT_TRUE(answer.whole);
            EXPECT_TRUE(answer.body == bytes);
            EXPECT_EQ(server.nextTold().bytesOut, total);
        }
    }
}

TEST(Deadlines, CutAnAnswerWhoseClientIsWaitedForTooLong) {
    const Route patient{.method = Method::get, .pattern = "/patient", .handler = [&](Request&, Response& response) {
                            const std::string bytes = pattern(40'000'000);
                            BodyWriter& writer = response.begin(200, "text/plain", bytes.size());
                            (void)writer.writeSome(bytes, 20ms);
                            writer.awaitWritable();
                        }};
    TestServer server({.stallTimeout = 100ms}, {patient});
    RawClient client(server.port(), {.receiveBufferBytes = 4096});
    client.send("GET /patient HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(server.nextTold().error.find("slow"), std::string::npos);
}

}  // namespace
}  // namespace chunkvault::http::test
