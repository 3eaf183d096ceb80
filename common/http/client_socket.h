// The bytes of one connection, plain or TLS: of an accepted one, with the client at the other end; or, plain, of one
// that Client has made. Used by the connection's thread; interrupt and endInput may come from any other while the
// object lives.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

#include <Poco/Net/StreamSocket.h>
#include <openssl/types.h>

#include "common/http/patience.h"

namespace chunkvault::http {

class ClientSocket {
  public:
    // tls: null for plain connections; needed only during the call.
    ClientSocket(const Poco::Net::StreamSocket& socket, SSL_CTX* tls);
    ~ClientSocket();
    ClientSocket(const ClientSocket&) = delete;
    ClientSocket& operator=(const ClientSocket&) = delete;

    [[nodiscard]] bool secure() const { return tls_ != nullptr; }

    // The TLS handshake; nothing on a plain connection. False: it failed or took too long, the connection is of no use.
    [[nodiscard]] bool handshake(Patience& patience);
    // Whether something, or the end, can be read within time.
    [[nodiscard]] bool awaitInput(std::chrono::nanoseconds time);
    // Whether the other end has closed its side or broken the connection, even if there is more to read before that.
    [[nodiscard]] bool peerClosed() const noexcept;
    // At least one byte; 0 when the client has ended or broken the connection. Throws Error requestTimeout.
    [[nodiscard]] std::size_t read(std::span<char> buffer, Patience& patience);
    // All of head, then all of body, in one packet where they fit. Throws Error unavailable: the client is gone or
    // slow.
    void write(std::span<const char> head, std::span<const char> body, Patience& patience);
    // The same, but gives up when the client was waited for as long as maxWait; how many bytes were written. What is
    // left must come unchanged in the next write.
    [[nodiscard]] std::size_t writeSome(std::span<const char> head, std::span<const char> body,
                                        std::chrono::nanoseconds maxWait, Patience& patience);
    // After a writeSome that gave up: until it is worth while to go on. Throws as write.
    void awaitWritable(Patience& patience);

    // Tells the client that no more comes, then discards what it still sends (for at most time), so that it can read
    // the last answer: closing on unread input would take that away from it.
    void close(std::chrono::nanoseconds time) noexcept;
    // The next end of this object is a reset that the client cannot take for an orderly end.
    void resetOnEnd() noexcept;

    // Reads end as if the client had sent its last byte. Writes go on.
    void endInput() noexcept;
    // Reads and writes end at once.
    void interrupt() noexcept;

  private:
    enum class Need { nothing, input, output };
    struct Step {
        std::size_t bytes = 0;
        Need need = Need::nothing;  // what to wait for before the next try, when bytes is 0
    };
    struct TlsDeleter {
        void operator()(SSL* tls) const noexcept;
    };

    [[nodiscard]] Step tryRead(std::span<char> buffer) noexcept;
    [[nodiscard]] Step tryWrite(std::span<const char> head, std::span<const char> body);
    [[nodiscard]] Step tlsStep(int result) const noexcept;
    struct Wait {
        bool ready;  // false: not within the time
        std::chrono::nanoseconds passed;
    };
    [[nodiscard]] Wait wait(Need need, std::chrono::nanoseconds time) const noexcept;
    // Waits within the patience; false when that is used up.
    [[nodiscard]] bool waitPatiently(Need need, Patience& patience) const;

    Poco::Net::StreamSocket socket_;
    int descriptor_;
    Need writeNeed_ = Need::output;  // what the last write that gave up waits for
    std::unique_ptr<SSL, TlsDeleter> tls_;
};

}  // namespace chunkvault::http
