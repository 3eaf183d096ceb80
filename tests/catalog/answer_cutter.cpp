#include "tests/catalog/answer_cutter.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace chunkvault::catalog {

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

bool sendAll(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

}  // namespace

AnswerCutter::AnswerCutter(const std::string& url) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        throw std::runtime_error("cannot listen");
    const std::size_t colon = url.rfind(':'), slash = url.rfind('/');
    url_ = url.substr(0, colon + 1) + std::to_string(ntohs(address.sin_port)) + url.substr(slash);
    const int port = std::stoi(url.substr(colon + 1, slash - colon - 1));
    accepting_ = std::jthread([this, port] { accept(static_cast<std::uint16_t>(port)); });
}

AnswerCutter::~AnswerCutter() {
    ::shutdown(listener_, SHUT_RDWR);  // wakes the accepting thread
    accepting_.join();
    connections_.clear();
    ::close(listener_);
}

void AnswerCutter::accept(std::uint16_t serverPort) {
    for (int client = 0; (client = ::accept(listener_, nullptr, nullptr)) >= 0;) {
        const int server = ::socket(AF_INET, SOCK_STREAM, 0);
        const sockaddr_in address = loopback(serverPort);
        (void)::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        connections_.emplace_back([this, client, server] {
            pass(client, server);
            ::close(client);
            ::close(server);
        });
    }
}

void AnswerCutter::pass(int client, int server) {
    std::array<pollfd, 2> both{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
    std::array<char, 64 << 10> buffer{};
    bool cutting = false;
    while (::poll(both.data(), both.size(), -1) > 0)
        for (const pollfd& from : both) {
            if (from.revents == 0) continue;
            const ssize_t size = ::recv(from.fd, buffer.data(), buffer.size(), 0);
            if (size <= 0) return;
            const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
            if (from.fd == server && cutting) return;
            if (from.fd == client && bytes.find("COMMIT") != std::string_view::npos) cutting = armed_.exchange(false);
            if (!sendAll(from.fd == client ? server : client, bytes)) return;
        }
}

}  // namespace chunkvault::catalog
