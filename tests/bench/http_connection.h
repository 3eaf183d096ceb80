// A keep-alive HTTP/1.1 connection to 127.0.0.1 that costs next to nothing, for load on servers of this machine. It
// understands answers with Content-Length and answers without a body; it is no general client. For one thread at a
// time. Everything throws std::runtime_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chunkvault::bench {

struct Answer {
    int status;
    std::uint64_t bodyBytes;
    std::string body;      // empty when a sink took it
    std::string location;  // of the header of that name
};

class HttpConnection {
  public:
    HttpConnection(std::uint16_t port, std::string token);
    ~HttpConnection();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    using Sink = std::function<void(std::string_view)>;

    // headers: whole lines, each ended by CRLF. The body is the parts one after another. Throws, naming the answer,
    // when the status is not 2xx.
    Answer call(std::string_view method, std::string_view path, std::string_view headers,
                const std::vector<std::string_view>& body, const Sink& sink = {});
    Answer get(std::string_view path, const Sink& sink = {}) { return call("GET", path, "", {}, sink); }
    Answer post(std::string_view path, std::string_view json);

  private:
    void send(std::vector<std::string_view> parts);
    std::size_t receive(char* into, std::size_t size);

    int socket_ = -1;
    std::string token_;
    std::vector<char> buffer_;
};

}  // namespace chunkvault::bench
