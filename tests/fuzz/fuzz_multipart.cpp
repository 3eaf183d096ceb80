// The form reader. Input: the size of the pieces a body arrives in (2 bytes), of the buffer it is read to (2 bytes),
// then a body with the boundary "B".

#include <optional>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/http/multipart.h"
#include "tests/fuzz/input.h"
#include "tests/http/fake_body.h"

using namespace chunkvault;
using fuzz::expect;

namespace {

// All that a handler could see, and how it ended.
std::string seen(std::string_view form, std::size_t pieceBytes, std::size_t bufferBytes) {
    http::test::FakeBody body(std::string(form), pieceBytes, pieceBytes);
    std::vector<char> buffer(bufferBytes);
    std::string all;
    try {
        http::MultipartReader reader(body, "multipart/form-data; boundary=B");
        while (reader.next()) {
            all += "part " + reader.name() + '|' + reader.filename().value_or("none") + '|' +
                   std::string(reader.contentType()) + '|';
            while (const std::size_t count = reader.read(buffer)) all.append(buffer.data(), count);
        }
        expect(body.readToTheEnd(), "a form is read with what follows it");
        all += "whole";
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::badRequest, "a form is refused as a bad request");
        all += "refused: " + error.publicMessage();
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    const std::size_t pieceBytes = input.take<std::uint16_t>() + 1u, bufferBytes = input.take<std::uint16_t>() + 1u;
    expect(seen(input.rest(), pieceBytes, bufferBytes) == seen(input.rest(), SIZE_MAX, 64 << 10),
           "a form is the same however it arrives");
    return 0;
}
