#include "common/http/request_body.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "common/http/ascii.h"

namespace chunkvault::http {

namespace {

constexpr std::size_t maxChunkLineBytes = 1 << 10;
constexpr std::size_t fairFramingBytes = 16;  // a chunk's size line and end, without extensions
constexpr std::size_t maxFramingExcess = 16 << 10;
constexpr std::size_t maxTrailerBytes = 8 << 10;
constexpr const char* endedEarly = "The request body ended early. Send as many bytes as were announced.";
constexpr std::string_view continueAnswer = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

RequestBody::RequestBody(const RequestHead& head, ClientSocket& socket, InputBuffer& input)
    : socket_(socket),
      input_(input),
      length_(head.chunked ? std::nullopt : std::optional(head.contentLength.value_or(0))),
      remaining_(length_.value_or(0)),
      chunked_(head.chunked),
      continueWanted_(head.expectsContinue && head.hasBody()),
      state_(head.chunked     ? State::chunkHeader
             : remaining_ > 0 ? State::data
                              : State::ended) {}

void RequestBody::allow(std::uint64_t maxBytes, Patience& patience) {
    maxBytes_ = maxBytes;
    patience_ = &patience;
    hurried_.reset();
}

bool RequestBody::awaitData() {
    if (!goOn()) return false;
    if (!input_.empty()) return true;
    const std::size_t count = readSocket(input_.room());
    if (count == 0) fail(endedEarly);
    input_.filled(count);
    return true;
}

void RequestBody::hurryWhile(std::function<bool()> wanted) {
    assert(patience_ != nullptr && !hurried_);
    patience_ = &hurried_.emplace(*patience_, std::move(wanted));
}

std::size_t RequestBody::read(std::span<char> buffer) {
    if (buffer.empty() || !goOn()) return 0;
    const std::size_t count = readAvailable(buffer.first(std::min<std::uint64_t>(buffer.size(), remaining_)));
    remaining_ -= count;
    bytesRead_ += count;
    if (remaining_ == 0) state_ = chunked_ ? State::chunkEnd : State::ended;
    return count;
}

bool RequestBody::drainable(std::size_t maxBytes) const {
    if (state_ == State::ended) return true;
    return state_ != State::failed && !continueWanted_ && remaining_ <= maxBytes;
}

bool RequestBody::drain(std::size_t maxBytes, Patience& patience) noexcept try {
    if (!drainable(maxBytes)) return false;
    allow(bytesRead_ + maxBytes, patience);
    std::array<char, 16 << 10> discarded;
    while (read(discarded) > 0) {
    }
    return true;
} catch (const Error&) {
    return false;
}

void RequestBody::fail(const char* sentence) {
    state_ = State::failed;
    throw Error(ErrorCode::badRequest, sentence);
}

bool RequestBody::goOn() {
    if (continueWanted_) sendContinue();
    if (state_ != State::data) readChunkFraming();
    return state_ != State::ended;
}

std::size_t RequestBody::readAvailable(std::span<char> buffer) {
    if (const std::string_view early = input_.view(); !early.empty()) {
        const std::size_t count = std::min(early.size(), buffer.size());
        std::memcpy(buffer.data(), early.data(), count);
        input_.consume(count);
        return count;
    }
    const std::size_t count = readSocket(buffer);
    if (count == 0) fail(endedEarly);
    return count;
}

std::size_t RequestBody::readSocket(std::span<char> buffer) try {
    return socket_.read(buffer, *patience_);
} catch (const Error&) {
    state_ = State::failed;
    throw;
}

void RequestBody::readChunkFraming() {
    for (;;) {
        switch (state_) {
            case State::data:
            case State::ended: return;
            case State::failed: fail("The request body could not be read.");
            case State::chunkHeader: {
                const std::string_view line = peekLine(maxChunkLineBytes);
                const auto size = parseChunkSize(line);
                if (!size) fail("A chunk of the request body does not begin with its size.");
                limitFraming(line.size(), *size);
                input_.consume(line.size() + 2);
                if (*size > maxBytes_ - bytesRead_) {
                    state_ = State::failed;
                    throw Error(ErrorCode::payloadTooLarge,
                                "The request body is too large here: at most " + std::to_string(maxBytes_) + " bytes.");
                }
                remaining_ = *size;
                state_ = remaining_ == 0 ? State::trailers : State::data;
                break;
            }
            case State::chunkEnd:
                if (!peekLine(0).empty()) fail("A chunk of the request body does not end where its size says.");
                input_.consume(2);
                state_ = State::chunkHeader;
                break;
            case State::trailers: {
                const std::string_view line = peekLine(maxTrailerBytes - trailerBytes_);
                if (line.empty()) state_ = State::ended;
                if (!isFieldValue(line)) fail("A trailer of the request body holds a control character.");
                trailerBytes_ += line.size();
                input_.consume(line.size() + 2);
                break;
            }
        }
    }
}

// Long extensions on tiny chunks would make a small body cost any amount of reading.
void RequestBody::limitFraming(std::size_t lineBytes, std::uint64_t chunkBytes) {
    framingExcess_ += lineBytes;
    framingExcess_ -=
        std::min<std::uint64_t>(framingExcess_, fairFramingBytes + std::min<std::uint64_t>(chunkBytes, lineBytes));
    if (framingExcess_ > maxFramingExcess) fail("The chunks of the request body hold too much besides their bytes.");
}

std::string_view RequestBody::peekLine(std::size_t maxBytes) {
    for (;;) {
        const std::string_view view = input_.view();
        const std::size_t lineFeed = view.find('\n');
        if (lineFeed != std::string_view::npos) {
            if (lineFeed == 0 || view[lineFeed - 1] != '\r')
                fail("A line in the request body's framing ends without CR LF.");
            if (lineFeed - 1 > maxBytes) fail("A line in the request body's framing is too long.");
            return view.substr(0, lineFeed - 1);
        }
        if (view.size() > maxBytes + 1) fail("A line in the request body's framing is too long.");
        const std::size_t count = readSocket(input_.room());
        if (count == 0) fail("The request body ended early. Its last chunk is missing.");
        input_.filled(count);
    }
}

void RequestBody::sendContinue() {
    continueWanted_ = false;
    // Who sends the body unasked need not be told.
    if (!input_.empty()) return;
    try {
        socket_.write(continueAnswer, {}, *patience_);
    } catch (const Error&) {
        fail("The client left before it sent the request body.");
    }
}

}  // namespace chunkvault::http
