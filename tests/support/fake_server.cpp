#include "tests/support/fake_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace chunkvault::test {

std::string FakeServer::Peer::readRequest() {
    std::array<char, 64 << 10> block;
    for (;;) {
        const std::size_t headEnd = arrived_.find("\r\n\r\n");
        std::size_t needed = std::string::npos;
        if (headEnd != std::string::npos) {
            constexpr std::string_view field = "Content-Length: ";
            const std::size_t length = arrived_.substr(0, headEnd).find(field);
            needed = headEnd + 4;
            if (length != std::string::npos) needed += std::stoul(arrived_.substr(length + field.size()));
        }
        if (arrived_.size() >= needed) {
            std::string request = arrived_.substr(0, needed);
            arrived_.erase(0, needed);
            return request;
        }
        const ssize_t count = ::recv(descriptor_, block.data(), block.size(), 0);
        if (count <= 0) return {};
        arrived_.append(block.data(), static_cast<std::size_t>(count));
    }
}

bool FakeServer::Peer::send(std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

void FakeServer::Peer::awaitEnd() {
    std::array<char, 64 << 10> block;
    while (::recv(descriptor_, block.data(), block.size(), 0) > 0) {
    }
}

FakeServer::FakeServer(std::function<void(Peer&)> serve)
    : serve_(std::move(serve)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || ::bind(listener_, any, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, any, &size) != 0)
        throw std::runtime_error("no socket to listen on");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
}

FakeServer::~FakeServer() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        for (const int descriptor : open_) ::shutdown(descriptor, SHUT_RDWR);
    }
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
}

void FakeServer::accept() {
    for (;;) {
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        const std::lock_guard lock(mutex_);
        if (ending_) ::shutdown(descriptor, SHUT_RDWR);
        open_.push_back(descriptor);
        threads_.emplace_back([this, descriptor, number = accepted_++] {
            Peer peer(descriptor, number);
            serve_(peer);
            const std::lock_guard end(mutex_);
            std::erase(open_, descriptor);
            ::close(descriptor);
        });
    }
}

}  // namespace chunkvault::test
