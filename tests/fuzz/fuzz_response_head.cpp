// The header block of an answer, as a client of ours reads it.

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/request_head.h"
#include "common/http/response_head.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = fuzz::Input(data, size).rest();
    try {
        http::HeadScanner scanner;
        const auto end = scanner.find(bytes);
        if (!end) return 0;
        const http::ResponseHead head = http::parseResponseHead(bytes.substr(0, *end));
        expect(head.status >= 200 && head.status <= 599, "a status is in its range");
        expect(head.headers.size() <= http::maxHeaderCount, "headers are counted");
        expect(!(head.chunked && head.contentLength), "a body has one length");
        expect(head.chunked || head.contentLength || head.status == 204 || head.status == 304,
               "a body's length is known");
        for (const http::Header& header : head.headers)
            expect(http::isToken(header.name) && http::isFieldValue(header.value),
                   "a header has no control characters");
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::badRequest, "an answer is refused as malformed");
    }
    return 0;
}
