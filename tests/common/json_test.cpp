#include "common/wire/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "common/wire/error_table.h"

namespace chunkvault::wire {
namespace {

using testing::HasSubstr;

template <typename Work>
std::string messageOf(ErrorCode expected, Work&& work) {
    try {
        work();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), expected) << error.publicMessage();
        return error.publicMessage();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

TEST(Json, ThatIsMalformedIsRefusedWithItsPosition) {
    for (const char* text : {"", "{", "{\"a\":}", "{\"a\":1}x", "nul", "{\"a\":\"\xff\"}", "{\"a\":1e999}", "[1,]"})
        EXPECT_THAT(messageOf(ErrorCode::badRequest, [&] { (void)parseJson(text); }), HasSubstr("JSON")) << text;
}

TEST(Json, ThatIsNestedDeeplyIsRefusedWithoutHarm) {
    const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
    EXPECT_THAT(messageOf(ErrorCode::badRequest, [&] { (void)parseJson(deep); }), HasSubstr("nested"));
    EXPECT_NO_THROW((void)parseJson("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"));
}

TEST(Json, ThatBeginsWithAByteOrderMarkIsRefused) {
    const std::string mark = "\xef\xbb\xbf";
    for (const std::string& text : {mark, mark + "{}", mark + R"({"a": 1})", mark + mark + "1"})
        EXPECT_THAT(messageOf(ErrorCode::badRequest, [&] { (void)parseJson(text); }), HasSubstr("byte order mark"));
    EXPECT_EQ(parseJson("\"" + mark + "\""), mark) << "inside a string it is a character";
}

TEST(Json, WithANameTwiceInAnObjectIsRefusedByName) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"size": 1, "size": 1})", "\"size\""},
        {R"({"size": 1, "other": 2, "size": null})", "\"size\""},
        {R"({"a": {"inner": 1, "b": [], "inner": 2}})", "\"inner\""},
        {R"([1, {"x": {"y": 1}, "x": {"y": 1}}])", "\"x\""},
        {R"({"a": 1, "\u0061": 2})", "\"a\""},
        {R"({"": 1, "": 2})", "\"\""},
    };
    for (const auto& [text, name] : cases)
        EXPECT_THAT(messageOf(ErrorCode::badRequest, [&] { (void)parseJson(text); }), HasSubstr(name)) << text;
    for (const char* text : {R"({"a": {"a": {"a": 1}}})", R"([{"a": 1}, {"a": 1}])", R"({"a": 1, "A": 2})",
                             R"({"a": {"b": 1}, "c": {"b": 1}, "b": 1})"})
        EXPECT_NO_THROW((void)parseJson(text)) << text;
}

TEST(Json, WithTooManyNamesInAnObjectIsRefused) {
    const auto objectOf = [](std::size_t fields) {
        std::string text = "{";
        for (std::size_t i = 0; i < fields; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
        return text + "}";
    };
    EXPECT_EQ(parseJson(objectOf(maxFields)).size(), maxFields);
    EXPECT_THAT(messageOf(ErrorCode::badRequest, [&] { (void)parseJson(objectOf(maxFields + 1)); }),
                HasSubstr("1000 fields"));
}

TEST(Json, WithTooManyValuesIsRefusedHoweverShortTheyAre) {
    const auto of = [](std::size_t values) {
        std::string text = "[";
        for (std::size_t i = 1; i < values; ++i) text += i % 3 == 0 ? "[]," : i % 3 == 1 ? "{}," : "1,";
        text.back() = ']';
        return text;
    };
    EXPECT_EQ(parseJson(of(maxJsonValues)).size(), maxJsonValues - 1);
    try {
        (void)parseJson(of(maxJsonValues + 1));
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::badRequest);
    }
}

TEST(ObjectReader, NamesTheFieldThatIsWrong) {
    const Json document =
        parseJson(R"({"text": "abc", "number": 7, "big": 9223372036854775808, "half": 1.5, "flag": true,
                                        "time": "yesterday", "hash": "12", "list": [1, 2, 3], "nothing": null})");
    ObjectReader reader(document, "files[2]");
    const auto refused = [&](auto&& get) { return messageOf(ErrorCode::invalidValue, get); };
    EXPECT_THAT(refused([&] { (void)reader.string("absent"); }), HasSubstr("\"files[2].absent\" is required"));
    EXPECT_THAT(refused([&] { (void)reader.string("nothing"); }), HasSubstr("required"));
    EXPECT_THAT(refused([&] { (void)reader.string("number"); }), HasSubstr("string"));
    EXPECT_THAT(refused([&] { (void)reader.string("text", 2); }), HasSubstr("at most 2 bytes"));
    EXPECT_THAT(refused([&] { (void)reader.integer("number", 8, 9); }), HasSubstr("from 8 to 9"));
    EXPECT_THAT(refused([&] { (void)reader.integer("big", 0, INT64_MAX); }), HasSubstr("whole number"));
    EXPECT_THAT(refused([&] { (void)reader.integer("half", 0, 9); }), HasSubstr("whole number"));
    EXPECT_THAT(refused([&] { (void)reader.boolean("number", false); }), HasSubstr("true or false"));
    EXPECT_THAT(refused([&] { (void)reader.maybeTime("time"); }), HasSubstr("RFC 3339"));
    EXPECT_THAT(refused([&] { (void)reader.digest("hash"); }), HasSubstr("SHA-256"));
    EXPECT_THAT(refused([&] { (void)reader.array("list", 1, 2); }), HasSubstr("1 to 2"));
    EXPECT_THAT(refused([&] { (void)reader.oneOf("text", {"x", "y"}, "x"); }), HasSubstr("x, y"));
    EXPECT_THAT(refused([&] { (void)ObjectReader(Json(3)); }), HasSubstr("object"));
}

TEST(ObjectReader, RefusesFieldsThatNobodyAskedFor) {
    const Json document = parseJson(R"({"password": "x", "pasword": "y"})");
    ObjectReader reader(document);
    EXPECT_EQ(reader.string("password"), "x");
    EXPECT_THAT(messageOf(ErrorCode::invalidValue, [&] { reader.finish(); }), HasSubstr("pasword"));
}

TEST(ObjectReader, TreatsNullAsAbsentButCanTellThem) {
    const Json document = parseJson(R"({"limit": null})");
    ObjectReader reader(document);
    EXPECT_FALSE(reader.maybeInteger("limit", 0, 1));
    EXPECT_TRUE(reader.mentions("limit"));
    EXPECT_FALSE(reader.mentions("other"));
    EXPECT_NO_THROW(reader.finish());
}

TEST(ErrorTable, GivesEveryErrorAProblemDocumentThatHidesThePrivateDetail) {
    const Error error(ErrorCode::nameTaken, "There is a file \"a\" already.", "UNIQUE files_clash");
    const Json problem = parseJson(problemJson(error, "r1"));
    EXPECT_EQ(problem["status"], 409);
    EXPECT_EQ(problem["type"], "urn:chunkvault:error:name_taken");
    EXPECT_EQ(problem["detail"], error.publicMessage());
    EXPECT_EQ(problem["request_id"], "r1");
    EXPECT_THAT(problem.dump(), testing::Not(HasSubstr("UNIQUE")));
}

}  // namespace
}  // namespace chunkvault::wire
