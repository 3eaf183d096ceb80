#include "tests/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/http/ascii.h"

namespace chunkvault::http::test {

namespace {

// Far beyond what a test needs, so that a hang fails instead of lasting.
constexpr int patienceMs = 20'000;

}  // namespace

void RawClient::TlsDeleter::operator()(SSL* tls) const noexcept { SSL_free(tls); }
void RawClient::TlsDeleter::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

std::optional<std::string> Answer::header(std::string_view name) const {
    std::optional<std::string> found;
    for (const auto& [key, value] : headers) {
        if (!equalsIgnoringCase(key, name)) continue;
        if (found) return std::nullopt;
        found = value;
    }
    return found;
}

RawClient::RawClient(std::uint16_t port, const Options& options) {
    const bool v6 = options.address.find(':') != std::string::npos;
    descriptor_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (options.receiveBufferBytes > 0)
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &options.receiveBufferBytes, sizeof(int));
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{.tv_sec = patienceMs / 1000, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in v4Address{};
    v4Address.sin_family = AF_INET;
    v4Address.sin_port = htons(port);
    sockaddr_in6 v6Address{};
    v6Address.sin6_family = AF_INET6;
    v6Address.sin6_port = htons(port);
    ::inet_pton(AF_INET, options.address.c_str(), &v4Address.sin_addr);
    ::inet_pton(AF_INET6, options.address.c_str(), &v6Address.sin6_addr);
    const auto* address =
        v6 ? reinterpret_cast<const sockaddr*>(&v6Address) : reinterpret_cast<const sockaddr*>(&v4Address);
    if (::connect(descriptor_, address, v6 ? sizeof v6Address : sizeof v4Address) != 0)
        throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    if (!options.tls) return;
    context_.reset(SSL_CTX_new(TLS_client_method()));
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), descriptor_);
    if (SSL_connect(tls_.get()) != 1) throw std::runtime_error("the TLS handshake failed");
}

RawClient::~RawClient() {
    tls_.reset();
    if (descriptor_ >= 0) ::close(descriptor_);
}

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto count = tls_ != nullptr ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                           : ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

void RawClient::endSending() { ::shutdown(descriptor_, SHUT_WR); }

void RawClient::reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(descriptor_);
    descriptor_ = -1;
}

Answer RawClient::readAnswer(bool toHead) {
    Answer answer;
    const auto statusLine = readLine();
    if (!statusLine || !statusLine->starts_with("HTTP/1.1 ")) return answer;
    std::from_chars(statusLine->data() + 9, statusLine->data() + statusLine->size(), answer.status);
    for (;;) {
        const auto line = readLine();
        if (!line) return answer;
        if (line->empty()) break;
        const std::size_t colon = line->find(": ");
        if (colon == std::string::npos) throw std::runtime_error("not a header: " + *line);
        answer.headers.emplace_back(line->substr(0, colon), line->substr(colon + 2));
    }
    if (toHead || answer.status == 204 || answer.status == 304 || answer.status == 100) {
        answer.whole = true;
        return answer;
    }
    const auto take = [&](std::size_t count) {
        while (buffer_.size() < count && fill()) {
        }
        const std::size_t taken = std::min(count, buffer_.size());
        answer.body.append(buffer_, 0, taken);
        buffer_.erase(0, taken);
        return taken == count;
    };
    if (const auto length = answer.header("Content-Length")) {
        answer.whole = take(std::stoul(*length));
    } else if (answer.header("Transfer-Encoding") == "chunked") {
        for (;;) {
            const auto sizeLine = readLine();
            if (!sizeLine) return answer;
            const std::size_t size = std::stoul(*sizeLine, nullptr, 16);
            if (!take(size) || readLine() != "") return answer;
            if (size == 0) break;
        }
        answer.whole = true;
    } else {
        const auto rest = readToEnd();
        answer.body = rest;
        answer.whole = true;
    }
    return answer;
}

std::string RawClient::readSome() {
    if (buffer_.empty() && !fill()) return {};
    return std::exchange(buffer_, {});
}

std::string RawClient::readToEnd() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

bool RawClient::closed() { return buffer_.empty() && !fill(); }

bool RawClient::hears(std::chrono::milliseconds time) {
    if (!buffer_.empty()) return true;
    pollfd entry{.fd = descriptor_, .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, static_cast<int>(time.count())) > 0;
}

std::string RawClient::certificateFingerprint() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(tls_.get()), X509_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
    return {reinterpret_cast<const char*>(digest.data()), size};
}

bool RawClient::fill() {
    std::array<char, 64 << 10> piece;
    const auto count = tls_ != nullptr ? SSL_read(tls_.get(), piece.data(), static_cast<int>(piece.size()))
                                       : ::recv(descriptor_, piece.data(), piece.size(), 0);
    if (tls_ == nullptr && count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        throw std::runtime_error("the server neither answers nor closes");
    if (count <= 0) return false;
    buffer_.append(piece.data(), static_cast<std::size_t>(count));
    return true;
}

std::optional<std::string> RawClient::readLine() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
        if (!fill()) return std::nullopt;
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return line;
}

Answer ask(std::uint16_t port, std::string_view request) {
    RawClient client(port);
    client.send(request);
    return client.readAnswer(request.starts_with("HEAD "));
}

}  // namespace chunkvault::http::test
