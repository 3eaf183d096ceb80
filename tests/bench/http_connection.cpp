#include "tests/bench/http_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace chunkvault::bench {

namespace {

constexpr std::size_t bufferBytes = 256 << 10;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

std::string locationOf(const std::string& head) {
    constexpr std::string_view name = "\r\nLocation: ";
    const auto at = head.find(name);
    if (at == std::string::npos) return {};
    const auto begin = at + name.size();
    return head.substr(begin, head.find('\r', begin) - begin);
}

std::uint64_t contentLength(std::string head) {
    std::transform(head.begin(), head.end(), head.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::string_view name = "\r\ncontent-length:";
    const auto at = head.find(name);
    return at == std::string::npos ? 0 : std::stoull(head.substr(at + name.size()));
}

}  // namespace

HttpConnection::HttpConnection(std::uint16_t port, std::string token) : token_(std::move(token)), buffer_(bufferBytes) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) fail("socket");
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket_);
        fail("connect");
    }
}

HttpConnection::~HttpConnection() { ::close(socket_); }

Answer HttpConnection::post(std::string_view path, std::string_view json) {
    return call("POST", path, "Content-Type: application/json\r\n", {json});
}

Answer HttpConnection::call(std::string_view method, std::string_view path, std::string_view headers,
                            const std::vector<std::string_view>& body, const Sink& sink) {
    std::size_t length = 0;
    for (const std::string_view part : body) length += part.size();
    std::string head =
        std::string(method) + ' ' + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + std::string(headers);
    if (!token_.empty()) head += "Authorization: Bearer " + token_ + "\r\n";
    if (!body.empty()) head += "Content-Length: " + std::to_string(length) + "\r\n";
    head += "\r\n";
    std::vector<std::string_view> parts{head};
    parts.insert(parts.end(), body.begin(), body.end());
    send(std::move(parts));

    std::string received;
    std::size_t end = std::string::npos;
    while (end == std::string::npos) {
        received.append(buffer_.data(), receive(buffer_.data(), buffer_.size()));
        end = received.find("\r\n\r\n");
    }
    const std::string answerHead = received.substr(0, end);
    Answer answer{std::stoi(received.substr(9, 3)), contentLength(answerHead), {}, locationOf(answerHead)};
    const std::string_view beyond = std::string_view(received).substr(end + 4);
    const bool good = answer.status >= 200 && answer.status < 300;
    const auto take = [&](std::string_view bytes) {
        if (sink && good) sink(bytes);
        else answer.body += bytes;
    };
    take(beyond);
    for (std::uint64_t left = answer.bodyBytes - beyond.size(); left > 0;) {
        const std::size_t size =
            receive(buffer_.data(), static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.size())));
        take({buffer_.data(), size});
        left -= size;
    }
    if (!good)
        throw std::runtime_error(std::string(method) + ' ' + std::string(path) + " answered " +
                                 std::to_string(answer.status) + ": " + answer.body);
    return answer;
}

void HttpConnection::send(std::vector<std::string_view> parts) {
    constexpr std::size_t most = 1000;
    for (std::size_t at = 0; at < parts.size();) {
        std::vector<iovec> pieces;
        for (std::size_t i = at; i < parts.size() && pieces.size() < most; ++i)
            pieces.push_back({const_cast<char*>(parts[i].data()), parts[i].size()});
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = pieces.size();
        const ssize_t sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        auto left = static_cast<std::size_t>(sent);
        while (at < parts.size() && left >= parts[at].size()) left -= parts[at++].size();
        if (at < parts.size()) parts[at].remove_prefix(left);
    }
}

std::size_t HttpConnection::receive(char* into, std::size_t size) {
    const ssize_t received = ::recv(socket_, into, size, 0);
    if (received < 0) fail("recv");
    if (received == 0) throw std::runtime_error("the server closed the connection within an answer");
    return static_cast<std::size_t>(received);
}

}  // namespace chunkvault::bench
