// The server's certificate, read again when its files change.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace chunkvault::http {

class TlsContext {
  public:
    // PEM files: the certificate with its chain, and its key without a passphrase. Throws Error unavailable, which
    // names the file, when they cannot be used. warn is called when a later pair cannot be used.
    TlsContext(std::string certFile, std::string keyFile, std::function<void(std::string_view)> warn);
    ~TlsContext();

    // What a new connection uses: the newest pair that was good. For one thread at a time; a connection that has begun
    // keeps what it began with.
    [[nodiscard]] SSL_CTX* current();

  private:
    struct ContextDeleter {
        void operator()(SSL_CTX* context) const noexcept;
    };
    using Context = std::unique_ptr<SSL_CTX, ContextDeleter>;
    struct Stamp {
        std::uint64_t device = 0, inode = 0;
        std::int64_t modifiedS = 0, modifiedNs = 0, size = 0;
        bool operator==(const Stamp&) const = default;
    };
    using Stamps = std::array<Stamp, 2>;

    [[nodiscard]] Context load() const;
    [[nodiscard]] Stamps stamps() const;

    std::string certFile_;
    std::string keyFile_;
    std::function<void(std::string_view)> warn_;
    Stamps loaded_;
    Context context_;
};

}  // namespace chunkvault::http
