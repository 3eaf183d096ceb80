// Puts the answer to one request on the connection: header, framing, streamed body.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/http/client_socket.h"
#include "common/http/message.h"
#include "common/http/patience.h"

namespace chunkvault::http {

class ResponseWriter final : public Response, private BodyWriter {
  public:
    struct Terms {
        std::string_view requestId;
        std::string_view date;  // of the Date header
        bool head = false;      // the request's method is HEAD
        bool http11 = true;
        bool keepAliveNamed = false;         // HTTP/1.0 must be told that the connection stays
        std::function<bool()> mayKeepAlive;  // asked once, when the header is made
    };
    // All must outlive the writer.
    ResponseWriter(ClientSocket& socket, Patience& patience, Terms terms);

    void setHeader(std::string_view name, std::string_view value) override;
    void send(int status, std::string_view contentType, std::string_view body) override;
    void sendEmpty(int status) override;
    BodyWriter& begin(int status, std::string_view contentType, std::optional<std::uint64_t> length) override;
    [[nodiscard]] bool clientGone() const override { return socket_.peerClosed(); }
    [[nodiscard]] bool started() const override { return status_ != 0; }
    [[nodiscard]] int status() const override { return status_; }

    // Instead of what was set so far: the problem answer. Only while nothing is on the wire.
    void sendProblem(const Error& error, std::string_view allow);
    // After the handler: sends what is still held back. False: the body is not as long as was announced.
    [[nodiscard]] bool finish();

    [[nodiscard]] bool onWire() const { return onWire_; }
    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] bool keepAlive() const { return keepAlive_; }
    // The end of the body is the end of the connection, so that only a reset shows that it is not whole.
    [[nodiscard]] bool endsWithConnection() const { return framing_ == Framing::connection; }
    [[nodiscard]] std::uint64_t bodyBytes() const { return bodyBytes_; }

  private:
    enum class Framing { none, counted, chunked, connection };

    void write(std::span<const char> data) override;
    std::size_t writeSome(std::span<const char> data, std::chrono::nanoseconds maxWait) override;
    void awaitWritable() override;
    void checkRoom(std::span<const char> data) const;
    void start(int status, std::string_view contentType, Framing framing, std::optional<std::uint64_t> length);
    void put(std::span<const char> body);
    // Chunked coding: puts the size of the next chunk into pending_, unless the last one is not written whole yet.
    void beginChunk(std::size_t size);
    void countBody(std::size_t size);

    ClientSocket& socket_;
    Patience& patience_;
    Terms terms_;
    std::vector<Header> headers_;
    std::string pending_;  // header or chunk framing that goes out in front of the next bytes
    int status_ = 0;
    Framing framing_ = Framing::none;
    std::uint64_t announced_ = 0;
    std::uint64_t bodyBytes_ = 0;
    std::size_t chunkLeft_ = 0;  // of the chunk (of the transfer coding) that was begun
    bool onWire_ = false;
    bool complete_ = false;
    bool keepAlive_ = false;
};

}  // namespace chunkvault::http
