// JSON from outside, and an object with a field of each kind.

#include "common/error/error.h"
#include "common/wire/json.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

namespace {

void readFields(const wire::Json& document) {
    wire::ObjectReader reader(document, "document");
    expect(reader.string("name", 100).size() <= 100, "a string is within its limit");
    (void)reader.maybeString("note");
    const std::int64_t size = reader.integer("size", -5, 1000);
    expect(size >= -5 && size <= 1000, "a number is within its range");
    (void)reader.maybeInteger("limit", INT64_MIN, INT64_MAX);
    (void)reader.boolean("flag", true);
    if (const auto time = reader.maybeTime("time"))
        expect(parseRfc3339(toRfc3339(*time)) == time, "a time is written as it is read");
    (void)reader.maybeDigest("hash");
    const std::string mode = reader.oneOf("mode", {"a", "b"}, "a");
    expect(mode == "a" || mode == "b", "a choice is one of its values");
    (void)reader.mentions("gone");
    if (reader.has("items"))
        for (const wire::Json& item : reader.array("items", 1, 10)) {
            wire::ObjectReader inner(item, "items");
            (void)inner.digest("hash");
            inner.finish();
        }
    reader.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    try {
        const wire::Json document = wire::parseJson(fuzz::Input(data, bytes).rest());
        expect(wire::parseJson(document.dump()) == document, "JSON is written as it is read");
        readFields(document);
    } catch (const Error& error) {
        const ErrorCode code = error.code();
        expect(code == ErrorCode::badRequest || code == ErrorCode::invalidValue,
               "JSON is refused as the client's mistake");
    }
    return 0;
}
