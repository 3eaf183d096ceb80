#include "common/http/multipart.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/http/fake_body.h"

namespace chunkvault::http {
namespace {

using test::FakeBody;
using testing::ElementsAre;

constexpr std::string_view formType = "multipart/form-data; boundary=B";

struct Part {
    std::string name;
    std::optional<std::string> filename;
    std::string contentType;
    std::string bytes;
    bool operator==(const Part&) const = default;
};

std::vector<Part> partsOf(BodyReader& body, std::string_view contentType = formType, std::size_t bufferBytes = 7) {
    MultipartReader reader(body, contentType);
    std::vector<Part> parts;
    std::vector<char> buffer(bufferBytes);
    while (reader.next()) {
        Part part{reader.name(), reader.filename(), std::string(reader.contentType()), {}};
        while (const std::size_t count = reader.read(buffer)) part.bytes.append(buffer.data(), count);
        EXPECT_EQ(reader.read(buffer), 0u) << "a part that has ended goes on";
        parts.push_back(std::move(part));
    }
    EXPECT_FALSE(reader.next()) << "a form that has ended goes on";
    return parts;
}

std::vector<Part> partsOf(const std::string& form, std::string_view contentType = formType) {
    FakeBody body(form);
    return partsOf(body, contentType);
}

std::string partWith(const std::string& headers, const std::string& bytes = "x") {
    return "--B\r\n" + headers + "\r\n\r\n" + bytes + "\r\n--B--\r\n";
}

std::optional<ErrorCode> refusalOf(const std::string& form, std::string_view contentType = formType) {
    try {
        (void)partsOf(form, contentType);
    } catch (const Error& error) {
        return error.code();
    }
    return std::nullopt;
}

// Every kind of part, and bytes that look like a boundary but are none.
const std::string tricky =
    "a preamble\r\n--A\r\n"
    "--B\r\nContent-Disposition: form-data; name=\"folder_id\"\r\n\r\n42\r\n"
    "--B \t\r\ncontent-disposition:form-data;name=file;filename=\"a.bin\"\r\nContent-Type: image/png\r\nX-Other: "
    "y\r\n\r\n"
    "\r\n--\r\n--A\r\r\n--\r\n-B\n--B\r--B\r\n\r\n"
    "--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
    "--B\r\nContent-Disposition: form-data; name=\"bare\"\r\n\r\n"
    "--B--\r\nan epilogue\r\n--B\r\n";
const std::vector<Part> trickyParts = {{"folder_id", {}, "", "42"},
                                       {"file", "a.bin", "image/png", "\r\n--\r\n--A\r\r\n--\r\n-B\n--B\r--B\r\n"},
                                       {"empty", {}, "", ""},
                                       {"bare", {}, "", ""}};

TEST(Multipart, GivesThePartsHoweverTheBodyIsSplit) {
    EXPECT_EQ(partsOf(tricky), trickyParts);
    for (std::size_t split = 1; split < tricky.size(); ++split) {
        FakeBody body(tricky, split);
        ASSERT_EQ(partsOf(body), trickyParts) << "split at " << split;
        ASSERT_TRUE(body.readToTheEnd());
    }
    for (const std::size_t bufferBytes : {1u, 2u, 3u, 1u << 10, 300u << 10}) {
        FakeBody body(tricky, 1, 1);
        ASSERT_EQ(partsOf(body, formType, bufferBytes), trickyParts) << bufferBytes;
    }
}

TEST(Multipart, RefusesAFormThatEndsBeforeItsLastBoundary) {
    const std::size_t end = tricky.find("--B--") + 5;
    for (std::size_t length = 0; length < end; ++length)
        ASSERT_EQ(refusalOf(tricky.substr(0, length)), ErrorCode::badRequest) << "cut at " << length;
    EXPECT_EQ(refusalOf(tricky.substr(0, end)), std::nullopt);
}

TEST(Multipart, SkipsWhatIsLeftOfAPart) {
    FakeBody body(tricky, 100, 50);
    MultipartReader reader(body, formType);
    std::vector<std::string> names;
    std::array<char, 3> buffer;
    while (reader.next()) {
        names.push_back(reader.name());
        EXPECT_EQ(reader.readFull(buffer), reader.name() == "file" ? 3u : reader.name() == "folder_id" ? 2u : 0u);
    }
    EXPECT_THAT(names, ElementsAre("folder_id", "file", "empty", "bare"));
}

TEST(Multipart, ReadFullStopsAtThePartsEnd) {
    FakeBody body(partWith("Content-Disposition: form-data; name=a", "12345"), 1, 1);
    MultipartReader reader(body, formType);
    ASSERT_TRUE(reader.next());
    std::array<char, 4> buffer;
    EXPECT_EQ(reader.readFull(buffer), 4u);
    EXPECT_EQ(reader.readFull(buffer), 1u);
    EXPECT_EQ(reader.readFull(buffer), 0u);
}

TEST(Multipart, AFormWithoutPartsIsEmpty) { EXPECT_TRUE(partsOf("--B--\r\n").empty()); }

TEST(Multipart, CarriesAGiantPartThroughBuffersOfAnySize) {
    std::string bytes(3'000'000, '\0');
    std::uint32_t state = 1;
    // Mostly the characters of the delimiter, so that it nearly begins everywhere.
    for (char& c : bytes) c = "\r\n--B-xB"[(state = state * 1664525 + 1013904223) >> 29];
    for (std::size_t at = bytes.find("\r\n--B"); at != std::string::npos; at = bytes.find("\r\n--B", at))
        bytes[at] = 'x';
    const std::string form = partWith("Content-Disposition: form-data; name=\"f\"; filename=\"f\"", bytes);
    for (const std::size_t bufferBytes : {100u, 4096u, 65'536u, 200'000u, 4u << 20})
        for (const std::size_t piece : {1000u, 65'536u, 1u << 20}) {
            FakeBody body(form, piece, piece);
            const auto parts = partsOf(body, formType, bufferBytes);
            ASSERT_EQ(parts.size(), 1u);
            ASSERT_TRUE(parts[0].bytes == bytes) << bufferBytes << ' ' << piece;
        }
}

TEST(Multipart, FindsTheBoundaryAtEveryPlaceOfItsBuffers) {
    for (std::size_t length = (64 << 10) - 150; length < (64 << 10) + 20; ++length)
        for (const std::size_t bufferBytes : {64u << 10, 1u << 20}) {
            const std::string bytes(length, '-');
            FakeBody body(partWith("Content-Disposition: form-data; name=a", bytes));
            const auto parts = partsOf(body, formType, bufferBytes);
            ASSERT_EQ(parts.size(), 1u);
            ASSERT_TRUE(parts[0].bytes == bytes) << length;
        }
}

TEST(Multipart, ReadsNamesAsClientsSendThem) {
    const struct {
        const char* disposition;
        const char* name;
        std::optional<std::string> filename;
    } cases[] = {
        {"form-data; name=\"a\"", "a", {}},
        {"form-data; name=a; filename=b.txt", "a", "b.txt"},
        {"FORM-DATA ; NAME = \"a\" ; FileName = \"b\" ;", "a", "b"},
        {"form-data; name=\"\"; filename=\"\"", "", ""},
        {"form-data; name=\"a\"; filename=\"x;y=z, w.txt\"", "a", "x;y=z, w.txt"},
        {"form-data; name=\"a\"; filename=\"Gr\xC3\xB6\xC3\x9F"
         "e.txt\"",
         "a", "Größe.txt"},
        {"form-data; name=\"a\"; filename=\"say %22hi%22%0D%0A.txt\"", "a", "say \"hi\"\r\n.txt"},
        {"form-data; name=\"a\"; filename=\"say \\\"hi\\\" \\\\ .txt\"", "a", "say \"hi\" \\ .txt"},
        {"form-data; name=\"a\"; filename=\"C:\\dir\\b.txt\"", "a", "C:\\dir\\b.txt"},
        {"form-data; name=\"a\"; filename=\"dir/b%41.txt\"", "a", "dir/b%41.txt"},
        {"form-data; name=\"a\"; filename=\"e_.txt\"; filename*=UTF-8''%e2%82%AC%20.txt", "a", "€ .txt"},
        {"form-data; name=\"a\"; filename*=utf-8'de'%C3%9F; filename=\"ss\"", "a", "ß"},
        {"form-data; name=\"a\"; size=3", "a", {}},
    };
    for (const auto& c : cases) {
        const auto parts = partsOf(partWith(std::string("Content-Disposition: ") + c.disposition));
        ASSERT_EQ(parts.size(), 1u) << c.disposition;
        EXPECT_EQ(parts[0].name, c.name) << c.disposition;
        EXPECT_EQ(parts[0].filename, c.filename) << c.disposition;
    }
}

TEST(Multipart, RefusesMalformedForms) {
    const std::string good = "Content-Disposition: form-data; name=a";
    for (const std::string& form : {std::string("no form at all"),
                                    std::string("--B"),
                                    std::string("--Bx\r\n") + good + "\r\n\r\nx\r\n--B--",
                                    "--B\n" + good + "\n\nx\n--B--",
                                    partWith("Content-Type: text/plain"),
                                    partWith("Content-Disposition: attachment; name=a"),
                                    partWith("Content-Disposition: form-data"),
                                    partWith("Content-Disposition: form-data; filename=a"),
                                    partWith("Content-Disposition: form-data; name=\"a"),
                                    partWith("Content-Disposition: form-data; name"),
                                    partWith("Content-Disposition: form-data; name=\"a\"b"),
                                    partWith("Content-Disposition: form-data; name=\"a\" b=c"),
                                    partWith("Content-Disposition: form-data; name=a; name=b"),
                                    partWith(good + "; filename=a; filename=b"),
                                    partWith(good + "\r\n" + good),
                                    partWith(good + "; filename*=latin1''a"),
                                    partWith(good + "; filename*=UTF-8''%C3"),
                                    partWith(good + "; filename*=UTF-8''%0"),
                                    partWith(good + "; filename*=UTF-8''%00"),
                                    partWith(good + "; filename*=x"),
                                    partWith(good + "\r\nno colon"),
                                    partWith(good + "\r\n: x"),
                                    partWith(good + "\r\nA b: x"),
                                    partWith(good + "\r\nA: x\ny"),
                                    partWith(good + "\r\n folded: x"),
                                    partWith(good + "\r\nX: a\x01"
                                                    "b"),
                                    partWith(good, "x\r\n--B!"),
                                    partWith(good, "x\r\n--B-")})
        EXPECT_EQ(refusalOf(form), ErrorCode::badRequest) << form;
}

TEST(Multipart, HasLimits) {
    const std::string good = "Content-Disposition: form-data; name=a\r\nX: ";
    EXPECT_EQ(refusalOf(partWith(good + std::string(16'000, 'x'))), std::nullopt);
    EXPECT_EQ(refusalOf(partWith(good + std::string(17'000, 'x'))), ErrorCode::badRequest);
    EXPECT_EQ(refusalOf(partWith(good + std::string(1'000'000, 'x'))), ErrorCode::badRequest);
    std::string many;
    for (int i = 0; i < 64; ++i) many += "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
    EXPECT_EQ(partsOf(many + "--B--").size(), 64u);
    EXPECT_EQ(refusalOf(many + many.substr(0, many.size() / 64) + "--B--"), ErrorCode::badRequest);
}

TEST(Multipart, IsMultipartFormDataWithABoundary) {
    const auto form = [](const std::string& boundary) {
        return "--" + boundary + "\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--" + boundary + "--";
    };
    const std::string longest(70, 'b');
    EXPECT_EQ(partsOf(form("a b:c"), "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a b:c\"").size(), 1u);
    EXPECT_EQ(partsOf(form("----x_1"), "multipart/form-data;boundary=----x_1").size(), 1u);
    EXPECT_EQ(partsOf(form(longest), "multipart/form-data; boundary=" + longest).size(), 1u);
    for (const std::string& type :
         {std::string(), std::string("text/plain"), std::string("multipart/mixed; boundary=B"),
          std::string("multipart/form-data"), std::string("multipart/form-data; boundary="),
          std::string("multipart/form-data; boundary=\"\""), std::string("multipart/form-data; boundary"),
          std::string("multipart/form-data; boundary=\"B"), std::string("multipart/form-data; boundary=\"B "),
          std::string("multipart/form-data; boundary=\"B \""), std::string("multipart/form-data; boundary=\"a\r\nb\""),
          std::string("multipart/form-data; boundary=\xC3\xB6"),
          std::string("multipart/form-data; boundary=A; boundary=B"), "multipart/form-data; boundary=" + longest + "b"})
        EXPECT_EQ(refusalOf(form("B"), type), ErrorCode::unsupportedMediaType) << type;
}

}  // namespace
}  // namespace chunkvault::http
