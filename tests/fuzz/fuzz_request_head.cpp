// The header block of a request, whole and as it arrives, and the line of a chunk.

#include <algorithm>
#include <optional>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/request_head.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

namespace {

constexpr std::size_t refused = SIZE_MAX;

// Where the header ends when it arrives in steps of stepBytes; refused, or nullopt when it does not end.
std::optional<std::size_t> endOf(std::string_view bytes, std::size_t stepBytes) {
    http::HeadScanner scanner;
    try {
        for (std::size_t arrived = 0; arrived < bytes.size();) {
            arrived = std::min(bytes.size(), arrived + stepBytes);
            if (const auto end = scanner.find(bytes.substr(0, arrived))) return end;
        }
    } catch (const Error&) {
        return refused;
    }
    return std::nullopt;
}

void parse(std::string_view block) {
    try {
        const http::RequestHead head = http::parseRequestHead(block, 8 << 10);
        expect(head.headers.size() <= http::maxHeaderCount, "headers are counted");
        expect(!(head.chunked && head.contentLength), "a body has one length");
        expect(head.target.size() <= 8 << 10, "a target is within its limit");
        expect(http::isFieldValue(head.target), "a target has no control characters");
        for (const http::Header& header : head.headers)
            expect(http::isToken(header.name) && http::isFieldValue(header.value),
                   "a header has no control characters");
    } catch (const Error& error) {
        expect(error.code() != ErrorCode::internal, "a header is refused as the client's mistake");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = fuzz::Input(data, size).rest();
    const auto end = endOf(bytes, 1);
    const auto atOnce = endOf(bytes, std::max<std::size_t>(bytes.size(), 1));
    expect(end == atOnce, "a header ends at the same place however it arrives");
    if (end && *end != refused) {
        expect(*end <= bytes.size(), "a header ends within what arrived");
        parse(bytes.substr(0, *end));
    }
    (void)http::parseChunkSize(bytes.substr(0, bytes.find('\r')));
    return 0;
}
