// The same loop under TLS, and certificates that change while the server runs.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/http/certificate.h"
#include "tests/http/raw_client.h"
#include "tests/http/test_server.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::http::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const std::string hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

class Tls : public testing::Test {
  protected:
    Tls() { writeCertificate(cert_, key_); }

    [[nodiscard]] ServerOptions options() {
        ServerOptions options;
        options.tlsCert = cert_;
        options.tlsKey = key_;
        options.warn = [this](std::string_view message) {
            const std::lock_guard lock(mutex_);
            warnings_.emplace_back(message);
        };
        return options;
    }

    [[nodiscard]] std::vector<std::string> warnings() {
        const std::lock_guard lock(mutex_);
        return warnings_;
    }

    chunkvault::test::TempFolder folder_;
    const fs::path cert_ = folder_.path() / "cert.pem";
    const fs::path key_ = folder_.path() / "key.pem";
    std::mutex mutex_;
    std::vector<std::string> warnings_;
};

TEST_F(Tls, CarriesRequestsAndAnswersOfEverySize) {
    TestServer server(options());
    RawClient client(server.port(), {.tls = true});
    client.send("GET /origin HTTP/1.1\r\nHost: x\r\n\r\n" + hello);
    EXPECT_EQ(client.readAnswer().body, "127.0.0.1 secure");
    EXPECT_EQ(client.readAnswer().body, "hello");
    client.send("GET /bytes/5000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body.size(), 5'000'000u);
    client.send("GET /stream/5000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body.size(), 5'000'000u);
    const std::string body(3'000'000, 'x');
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + body);
    EXPECT_EQ(client.readAnswer().body, "3000000");
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + body.substr(0, 60000));
    EXPECT_EQ(client.readAnswer().body, body.substr(0, 60000));
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.readAnswer().body, "hello");
    EXPECT_TRUE(client.closed());
}

TEST_F(Tls, KeepsDeadlines) {
    ServerOptions hurried = options();
    hurried.headerTimeout = 200ms;
    hurried.idleTimeout = 200ms;
    hurried.stallTimeout = 200ms;
    TestServer server(hurried);
    RawClient silent(server.port());  // never begins the handshake
    EXPECT_TRUE(silent.closed());
    RawClient idle(server.port(), {.tls = true});
    EXPECT_TRUE(idle.closed());
    RawClient slow(server.port(), {.tls = true});
    slow.send("GET /hello");
    EXPECT_EQ(slow.readAnswer().status, 408);
    RawClient stalled(server.port(), {.tls = true});
    stalled.send("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
    EXPECT_EQ(stalled.readAnswer().status, 408);
    RawClient greedy(server.port(), {.tls = true, .receiveBufferBytes = 4096});
    greedy.send("GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!server.nextTold().truncated) {
    }
    EXPECT_FALSE(greedy.readAnswer().whole);
    server.awaitConnections(0);
}

TEST_F(Tls, EndsConnectionsThatSpeakSomethingElse) {
    TestServer server(options());
    RawClient plain(server.port());
    plain.send(hello);
    EXPECT_EQ(plain.readToEnd().find("HTTP/"), std::string::npos);
    server.awaitConnections(0);
}

TEST_F(Tls, IsStoppedLikePlainConnections) {
    TestServer server(options());
    RawClient idle(server.port(), {.tls = true});
    RawClient handshaking(server.port());
    server.awaitConnections(2);
    server.server().stop();
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(handshaking.closed());
}

TEST_F(Tls, GivesNewConnectionsTheNewCertificate) {
    TestServer server(options());
    RawClient before(server.port(), {.tls = true});
    const std::string old = before.certificateFingerprint();
    EXPECT_EQ(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    writeCertificate(folder_.path() / "new_cert.pem", folder_.path() / "new_key.pem");
    fs::rename(folder_.path() / "new_cert.pem", cert_);
    fs::rename(folder_.path() / "new_key.pem", key_);
    EXPECT_NE(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    before.send(hello);
    EXPECT_EQ(before.readAnswer().body, "hello");
    EXPECT_TRUE(warnings().empty());
}

TEST_F(Tls, KeepsTheOldCertificateWhileTheNewOneIsBroken) {
    TestServer server(options());
    const std::string old = RawClient(server.port(), {.tls = true}).certificateFingerprint();
    // Only one of the two files has been replaced so far.
    writeCertificate(cert_, folder_.path() / "new_key.pem");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    ASSERT_EQ(warnings().size(), 1u);
    EXPECT_NE(warnings()[0].find(key_.string()), std::string::npos) << warnings()[0];

    std::ofstream(key_) << "nonsense";
    EXPECT_EQ(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    fs::remove(cert_);
    EXPECT_EQ(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    EXPECT_EQ(warnings().size(), 3u);

    writeCertificate(cert_, key_);
    EXPECT_NE(RawClient(server.port(), {.tls = true}).certificateFingerprint(), old);
    EXPECT_EQ(warnings().size(), 3u);
}

TEST_F(Tls, DoesNotStartWithoutAGoodPair) {
    const Router router({});
    const auto refusal = [&](const fs::path& cert, const fs::path& key) -> std::string {
        try {
            const Server server(router, {.port = 0, .tlsCert = cert, .tlsKey = key}, {});
        } catch (const Error& error) {
            return error.publicMessage();
        }
        return "";
    };
    EXPECT_EQ(refusal(cert_, key_), "");
    EXPECT_NE(refusal(folder_.path() / "none.pem", key_).find("none.pem"), std::string::npos);
    EXPECT_NE(refusal(cert_, folder_.path() / "none.pem").find("none.pem"), std::string::npos);
    EXPECT_NE(refusal(cert_, ""), "");
    EXPECT_NE(refusal(key_, cert_), "");
}

}  // namespace
}  // namespace chunkvault::http::test
