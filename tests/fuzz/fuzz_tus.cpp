// What a stranger may send as Upload-Metadata, and as a number of tus.

#include "common/error/error.h"
#include "server/api/tus_headers.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const std::string_view text = fuzz::Input(data, bytes).rest();
    expect(server::parseTusNumber(text).value_or(0) >= 0, "a number is not negative");
    try {
        for (const FileName& folder : server::parseTusFile(text).folders)
            expect(folder.text() != ".." && folder.text().find('/') == std::string::npos, "a folder is one step down");
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::badRequest || error.code() == ErrorCode::invalidValue,
               "metadata are refused as the client's mistake");
    }
    return 0;
}
