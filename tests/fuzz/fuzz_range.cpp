// Range, If-Range, If-None-Match. Input: 8 bytes of size, then the header's value.

#include "common/http/range.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const auto size = input.take<std::uint64_t>();
    const http::ParsedRange range = http::parseRange(input.rest(), size);
    if (range.outcome == http::RangeOutcome::satisfiable) {
        expect(range.length > 0, "a satisfiable range has bytes");
        expect(range.offset < size && range.length <= size - range.offset, "a range is within its file");
    }
    constexpr std::string_view etag = "\"a\"";
    if (http::ifRangeMatches(input.rest(), etag))
        expect(http::ifNoneMatchMatches(input.rest(), etag), "what is strongly the same is weakly the same");
    return 0;
}
