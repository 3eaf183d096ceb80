#include "common/http/tls_context.h"

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/error/error.h"

namespace chunkvault::http {

namespace {

[[noreturn]] void throwUnusable(const std::string& what) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    throw Error(ErrorCode::unavailable, what + " (" + reason.data() + ")");
}

// Instead of asking on the terminal.
int noPassphrase(char*, int, int, void*) { return 0; }

}  // namespace

void TlsContext::ContextDeleter::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

TlsContext::TlsContext(std::string certFile, std::string keyFile, std::function<void(std::string_view)> warn)
    : certFile_(std::move(certFile)),
      keyFile_(std::move(keyFile)),
      warn_(std::move(warn)),
      loaded_(stamps()),
      context_(load()) {}

TlsContext::~TlsContext() = default;

SSL_CTX* TlsContext::current() {
    if (const Stamps now = stamps(); now != loaded_) {
        loaded_ = now;
        try {
            context_ = load();
        } catch (const Error& error) {
            warn_(error.publicMessage() + "; the certificate read before stays in use");
        }
    }
    return context_.get();
}

TlsContext::Context TlsContext::load() const {
    ERR_clear_error();
    Context context(SSL_CTX_new(TLS_server_method()));
    if (context == nullptr) throwUnusable("TLS cannot be used");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    // A missing close_notify is seen as an end: the framing tells whether the body was whole.
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    // Idle connections give their record buffers back; a write may take less than all and go on from another address.
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(context.get(), noPassphrase);
    if (SSL_CTX_use_certificate_chain_file(context.get(), certFile_.c_str()) != 1)
        throwUnusable("the TLS certificate " + certFile_ + " cannot be read");
    if (SSL_CTX_use_PrivateKey_file(context.get(), keyFile_.c_str(), SSL_FILETYPE_PEM) != 1)
        throwUnusable("the TLS key " + keyFile_ + " cannot be read or does not belong to " + certFile_);
    if (SSL_CTX_check_private_key(context.get()) != 1)
        throwUnusable("the TLS key " + keyFile_ + " does not belong to " + certFile_);
    return context;
}

TlsContext::Stamps TlsContext::stamps() const {
    Stamps stamps{};
    for (std::size_t i = 0; i < stamps.size(); ++i) {
        struct stat status {};
        if (::stat((i == 0 ? certFile_ : keyFile_).c_str(), &status) == 0)
            stamps[i] = {status.st_dev, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size};
    }
    return stamps;
}

}  // namespace chunkvault::http
