// A client that sends exactly the bytes it is told to and reads answers strictly, plain or TLS. Each wait is bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/types.h>

namespace chunkvault::http::test {

struct Answer {
    int status = 0;  // 0: the connection ended before an answer
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    bool whole = false;  // the body ended where its framing said

    // The only header of that name; nullopt when it is absent or there are several.
    [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
};

class RawClient {
  public:
    struct Options {
        bool tls = false;
        int receiveBufferBytes = 0;  // 0: the system's choice
        std::string address = "127.0.0.1";
    };
    explicit RawClient(std::uint16_t port) : RawClient(port, Options()) {}
    RawClient(std::uint16_t port, const Options& options);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    // False: the server has closed.
    bool send(std::string_view bytes);
    void endSending();
    // Closes at once, with a reset.
    void reset();

    // The next answer on the connection. toHead: of a HEAD request, so without a body.
    [[nodiscard]] Answer readAnswer(bool toHead = false);
    // Some bytes; empty at the end of the connection.
    [[nodiscard]] std::string readSome();
    // Everything up to the end of the connection.
    [[nodiscard]] std::string readToEnd();
    // Whether the server closes the connection within the bound, without another byte.
    [[nodiscard]] bool closed();
    // Whether the server sends anything, or closes, within time.
    [[nodiscard]] bool hears(std::chrono::milliseconds time);

    // SHA-256 of the server's certificate; TLS only.
    [[nodiscard]] std::string certificateFingerprint() const;

  private:
    struct TlsDeleter {
        void operator()(SSL* tls) const noexcept;
        void operator()(SSL_CTX* context) const noexcept;
    };

    [[nodiscard]] bool fill();
    [[nodiscard]] std::optional<std::string> readLine();

    int descriptor_ = -1;
    std::unique_ptr<SSL_CTX, TlsDeleter> context_;
    std::unique_ptr<SSL, TlsDeleter> tls_;
    std::string buffer_;
};

// One request on a connection of its own.
[[nodiscard]] Answer ask(std::uint16_t port, std::string_view request);

}  // namespace chunkvault::http::test
