// The header of a batch of small files.

#include "common/error/error.h"
#include "server/api/batch_header.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    try {
        const server::BatchHeader header = server::parseBatchHeader(fuzz::Input(data, bytes).rest());
        expect(!header.files.empty() && header.files.size() <= server::maxBatchFiles, "files are counted");
        std::int64_t total = 0;
        for (const server::BatchFile& file : header.files) {
            expect(file.size >= 0 && file.size <= server::maxBatchBytes, "a file's size is within its limit");
            expect(file.path.empty() == file.refused.has_value(), "a file has a path or is refused");
            total += file.size;
        }
        expect(total <= server::maxBatchBytes, "the files together are within their limit");
    } catch (const Error& error) {
        const ErrorCode code = error.code();
        expect(code == ErrorCode::badRequest || code == ErrorCode::invalidValue || code == ErrorCode::payloadTooLarge,
               "a batch is refused as the client's mistake");
    }
    return 0;
}
