#include "common/http/percent.h"

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(Percent, DecodesWhatIsWellEncoded) {
    const struct {
        const char* text;
        const char* decoded;
    } cases[] = {{"", ""},
                 {"plain", "plain"},
                 {"a%20b", "a b"},
                 {"%41%2f%2F", "A//"},
                 {"a+b", "a+b"},
                 {"%C3%A4", "\xc3\xa4"},
                 {"%F0%9F%98%80", "\xf0\x9f\x98\x80"},
                 {"%25%34%31", "%41"}};
    for (const auto& c : cases) EXPECT_EQ(percentDecode(c.text), c.decoded) << c.text;
}

TEST(Percent, RefusesBadEscapesNulAndWhatIsNotUtf8) {
    for (const char* text : {"%", "%4", "a%", "%zz", "%4g", "%-1", "% 1", "%00", "a%00b", "%ff", "%C3", "%C3%28",
                             "%ED%A0%80", "%C0%AF", "%F4%90%80%80", "\xff"})
        EXPECT_FALSE(percentDecode(text)) << text;
}

TEST(Percent, TakesAQueryApart) {
    const struct {
        const char* query;
        Pairs pairs;
    } cases[] = {
        {"", {}},
        {"&&", {}},
        {"a=1", {{"a", "1"}}},
        {"a=1&b=2&a=3", {{"a", "1"}, {"b", "2"}, {"a", "3"}}},
        {"a", {{"a", ""}}},
        {"a=", {{"a", ""}}},
        {"=1", {{"", "1"}}},
        {"a=b=c", {{"a", "b=c"}}},
        {"a+b=c+d%2Be", {{"a b", "c d+e"}}},
        {"q=%C3%A4%26%3D", {{"q", "\xc3\xa4&="}}},
    };
    for (const auto& c : cases) EXPECT_EQ(parseQuery(c.query), c.pairs) << c.query;
}

TEST(Percent, RefusesAQueryThatIsNotWellEncoded) {
    for (const char* query : {"a=%", "%zz=1", "a=1&b=%0", "a=%00", "a=%FF"}) {
        try {
            static_cast<void>(parseQuery(query));
            ADD_FAILURE() << query;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::badRequest) << query;
        }
    }
}

}  // namespace
}  // namespace chunkvault::http
