// The body of one request as it comes off the connection: counted, or in chunks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "common/http/client_socket.h"
#include "common/http/input_buffer.h"
#include "common/http/message.h"
#include "common/http/patience.h"
#include "common/http/request_head.h"

namespace chunkvault::http {

class RequestBody final : public BodyReader {
  public:
    // All must outlive the body.
    RequestBody(const RequestHead& head, ClientSocket& socket, InputBuffer& input);

    // What the route allows; called before the first read. patience must outlive the body.
    void allow(std::uint64_t maxBytes, Patience& patience);

    [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }
    std::size_t read(std::span<char> buffer) override;
    [[nodiscard]] bool awaitData() override;
    void hurryWhile(std::function<bool()> wanted) override;

    [[nodiscard]] bool ended() const { return state_ == State::ended; }
    // Bytes handed out, drained ones included.
    [[nodiscard]] std::uint64_t bytesRead() const { return bytesRead_; }
    // Whether the rest is, or may be (chunks), at most maxBytes that can be read away.
    [[nodiscard]] bool drainable(std::size_t maxBytes) const;
    // Reads the rest away so that the next request can follow; false: there is more than maxBytes, or it did not come.
    [[nodiscard]] bool drain(std::size_t maxBytes, Patience& patience) noexcept;

  private:
    enum class State { data, chunkHeader, chunkEnd, trailers, ended, failed };

    [[noreturn]] void fail(const char* sentence);
    // Whether there are bytes of the body left.
    [[nodiscard]] bool goOn();
    [[nodiscard]] std::size_t readAvailable(std::span<char> buffer);
    [[nodiscard]] std::size_t readSocket(std::span<char> buffer);
    void readChunkFraming();
    void limitFraming(std::size_t lineBytes, std::uint64_t chunkBytes);
    // A line without its CR LF, of at most maxBytes; valid until the next read.
    [[nodiscard]] std::string_view peekLine(std::size_t maxBytes);
    void sendContinue();

    ClientSocket& socket_;
    InputBuffer& input_;
    Patience* patience_ = nullptr;
    std::optional<HurriedPace> hurried_;
    std::optional<std::uint64_t> length_;
    std::uint64_t maxBytes_ = 0;
    std::uint64_t bytesRead_ = 0;
    std::uint64_t remaining_ = 0;  // of the body, or of the chunk
    std::size_t trailerBytes_ = 0;
    std::uint64_t framingExcess_ = 0;
    bool chunked_;
    bool continueWanted_;  // the client waits for our word before it sends the body
    State state_;
};

}  // namespace chunkvault::http
