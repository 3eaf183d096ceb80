#include "common/http/client_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <new>

#include <Poco/Net/SocketImpl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/error/error.h"

namespace chunkvault::http {

namespace {

constexpr std::size_t tlsRecordBytes = 16 << 10;
constexpr const char* tooSlow = "the client took the answer too slowly";

int clampedLength(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, INT_MAX)); }

bool wouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

[[noreturn]] void throwGone(const char* how) {
    throw Error(ErrorCode::unavailable, "The connection to the client was lost.", how);
}

}  // namespace

void ClientSocket::TlsDeleter::operator()(SSL* tls) const noexcept { SSL_free(tls); }

ClientSocket::ClientSocket(const Poco::Net::StreamSocket& socket, SSL_CTX* tls)
    : socket_(socket), descriptor_(static_cast<int>(socket_.impl()->sockfd())) {
    if (tls == nullptr) return;
    socket_.setBlocking(false);
    tls_.reset(SSL_new(tls));
    if (tls_ == nullptr || SSL_set_fd(tls_.get(), descriptor_) != 1) throw std::bad_alloc();
    SSL_set_accept_state(tls_.get());
}

ClientSocket::~ClientSocket() = default;

bool ClientSocket::handshake(Patience& patience) {
    while (tls_ != nullptr && SSL_is_init_finished(tls_.get()) == 0) {
        ERR_clear_error();
        const int result = SSL_do_handshake(tls_.get());
        if (result == 1) return true;
        const Need need = tlsStep(result).need;
        if (need == Need::nothing || !waitPatiently(need, patience)) return false;
    }
    return true;
}

bool ClientSocket::awaitInput(std::chrono::nanoseconds time) {
    if (tls_ != nullptr && SSL_has_pending(tls_.get()) == 1) return true;
    return wait(Need::input, time).ready;
}

bool ClientSocket::peerClosed() const noexcept {
    pollfd entry{.fd = descriptor_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&entry, 1, 0) > 0;
}

std::size_t ClientSocket::read(std::span<char> buffer, Patience& patience) {
    for (;;) {
        const Step step = tryRead(buffer);
        if (step.need == Need::nothing) {
            patience.moved(step.bytes);
            return step.bytes;
        }
        if (!waitPatiently(step.need, patience))
            throw Error(ErrorCode::requestTimeout, "The request arrived too slowly. Send it again, faster.");
    }
}

void ClientSocket::write(std::span<const char> head, std::span<const char> body, Patience& patience) {
    (void)writeSome(head, body, std::chrono::nanoseconds::max(), patience);
}

std::size_t ClientSocket::writeSome(std::span<const char> head, std::span<const char> body,
                                    std::chrono::nanoseconds maxWait, Patience& patience) {
    const std::size_t size = head.size() + body.size();
    std::size_t done = 0;
    while (done < size) {
        const std::size_t ofHead = std::min(done, head.size());
        const Step step = tryWrite(head.subspan(ofHead), body.subspan(done - ofHead));
        if (step.need == Need::nothing) {
            patience.moved(step.bytes);
            done += step.bytes;
            continue;
        }
        writeNeed_ = step.need;
        if (maxWait.count() <= 0) break;
        const auto time = wait(step.need, std::min(maxWait, patience.left()));
        maxWait -= time.passed;
        if (!patience.waited(time.passed) && !time.ready) throwGone(tooSlow);
    }
    return done;
}

void ClientSocket::awaitWritable(Patience& patience) {
    for (;;) {
        const auto time = wait(writeNeed_, patience.left());
        const bool patient = patience.waited(time.passed);
        if (time.ready) return;
        if (!patient) throwGone(tooSlow);
    }
}

void ClientSocket::close(std::chrono::nanoseconds time) noexcept {
    if (tls_ != nullptr) {
        ERR_clear_error();
        SSL_shutdown(tls_.get());
    }
    ::shutdown(descriptor_, SHUT_WR);
    std::array<char, 4096> discarded;
    const auto end = std::chrono::steady_clock::now() + time;
    for (auto left = time; left.count() > 0; left = end - std::chrono::steady_clock::now()) {
        if (!wait(Need::input, left).ready) return;
        const auto count = ::recv(descriptor_, discarded.data(), discarded.size(), MSG_DONTWAIT);
        if (count == 0 || (count < 0 && !wouldBlock() && errno != EINTR)) return;
    }
}

void ClientSocket::resetOnEnd() noexcept {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void ClientSocket::endInput() noexcept { ::shutdown(descriptor_, SHUT_RD); }

void ClientSocket::interrupt() noexcept { ::shutdown(descriptor_, SHUT_RDWR); }

ClientSocket::Step ClientSocket::tryRead(std::span<char> buffer) noexcept {
    if (tls_ != nullptr) {
        ERR_clear_error();
        return tlsStep(SSL_read(tls_.get(), buffer.data(), clampedLength(buffer.size())));
    }
    for (;;) {
        const auto count = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
        if (wouldBlock()) return {.need = Need::input};
        if (errno != EINTR) return {};
    }
}

ClientSocket::Step ClientSocket::tryWrite(std::span<const char> head, std::span<const char> body) {
    if (tls_ != nullptr) {
        // A small answer becomes one record; the copy is of the same bytes each time it must be tried again.
        std::array<char, tlsRecordBytes> record;
        std::span<const char> piece = head.empty() ? body : head;
        if (!head.empty() && !body.empty() && head.size() + body.size() <= record.size()) {
            std::memcpy(record.data(), head.data(), head.size());
            std::memcpy(record.data() + head.size(), body.data(), body.size());
            piece = std::span(record).first(head.size() + body.size());
        }
        ERR_clear_error();
        const Step step = tlsStep(SSL_write(tls_.get(), piece.data(), clampedLength(piece.size())));
        if (step.bytes == 0 && step.need == Need::nothing) throwGone("the TLS connection broke");
        return step;
    }
    std::array<iovec, 2> pieces{iovec{const_cast<char*>(head.data()), head.size()},
                                iovec{const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    for (;;) {
        const auto count = ::sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
        if (wouldBlock()) return {.need = Need::output};
        if (errno != EINTR) throwGone("the client closed the connection");
    }
}

ClientSocket::Step ClientSocket::tlsStep(int result) const noexcept {
    if (result > 0) return {.bytes = static_cast<std::size_t>(result)};
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ: return {.need = Need::input};
        case SSL_ERROR_WANT_WRITE: return {.need = Need::output};
        default: return {};
    }
}

ClientSocket::Wait ClientSocket::wait(Need need, std::chrono::nanoseconds time) const noexcept {
    pollfd entry{
        .fd = descriptor_, .events = static_cast<short>(need == Need::output ? POLLOUT : POLLIN), .revents = 0};
    const auto begin = std::chrono::steady_clock::now();
    for (auto passed = std::chrono::nanoseconds(0);;) {
        const auto left = std::max(time - passed, std::chrono::nanoseconds(0));
        const auto leftMs = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(leftMs, INT_MAX)));
        const bool interrupted = ready < 0 && errno == EINTR;
        passed = std::chrono::steady_clock::now() - begin;
        if (!interrupted) return {.ready = ready > 0, .passed = passed};
    }
}

bool ClientSocket::waitPatiently(Need need, Patience& patience) const {
    const Wait time = wait(need, patience.left());
    return patience.waited(time.passed) || time.ready;
}

}  // namespace chunkvault::http
