#include "common/http/range.h"

#include <gtest/gtest.h>

namespace chunkvault::http {
namespace {

constexpr auto ignored = RangeOutcome::ignore;
constexpr auto satisfiable = RangeOutcome::satisfiable;
constexpr auto unsatisfiable = RangeOutcome::unsatisfiable;

TEST(Range, IsReadByRfc9110) {
    const struct {
        const char* header;
        std::uint64_t size;
        RangeOutcome outcome;
        std::uint64_t offset = 0, length = 0;
    } cases[] = {
        {"bytes=0-0", 10, satisfiable, 0, 1},
        {"bytes=0-9", 10, satisfiable, 0, 10},
        {"bytes=0-10", 10, satisfiable, 0, 10},
        {"bytes=9-", 10, satisfiable, 9, 1},
        {"bytes=3-5", 10, satisfiable, 3, 3},
        {"BYTES=3-5", 10, satisfiable, 3, 3},
        {" bytes=\t3-5 ", 10, satisfiable, 3, 3},
        {"bytes=,3-5,", 10, satisfiable, 3, 3},
        {"bytes=-1", 10, satisfiable, 9, 1},
        {"bytes=-10", 10, satisfiable, 0, 10},
        {"bytes=-11", 10, satisfiable, 0, 10},
        {"bytes=0-", UINT64_MAX, satisfiable, 0, UINT64_MAX},
        {"bytes=5000000000-5000000001", 6'000'000'000, satisfiable, 5'000'000'000, 2},
        {"bytes=1-18446744073709551615", 10, satisfiable, 1, 9},
        {"bytes=1-99999999999999999999999999", 10, satisfiable, 1, 9},
        {"bytes=-99999999999999999999999999", 10, satisfiable, 0, 10},
        {"bytes=10-", 10, unsatisfiable},
        {"bytes=10-20", 10, unsatisfiable},
        {"bytes=99999999999999999999999999-", 10, unsatisfiable},
        {"bytes=99999999999999999999999999-", UINT64_MAX, unsatisfiable},
        {"bytes=-0", 10, unsatisfiable},
        {"bytes=0-", 0, unsatisfiable},
        {"bytes=0-0", 0, unsatisfiable},
        {"bytes=-5", 0, unsatisfiable},
        {"bytes=5-4", 10, ignored},
        {"bytes=0-1,3-4", 10, ignored},
        {"bytes=0-1, -1", 10, ignored},
        {"bytes=", 10, ignored},
        {"bytes=-", 10, ignored},
        {"bytes=1", 10, ignored},
        {"bytes=1-2-3", 10, ignored},
        {"bytes=--1", 10, ignored},
        {"bytes=+1-2", 10, ignored},
        {"bytes=1 - 2", 10, ignored},
        {"bytes=a-b", 10, ignored},
        {"bytes=0x1-2", 10, ignored},
        {"bytes 1-2", 10, ignored},
        {"bytes =1-2", 10, ignored},
        {"items=1-2", 10, ignored},
        {"bytes", 10, ignored},
        {"", 10, ignored},
    };
    for (const auto& c : cases) {
        const ParsedRange range = parseRange(c.header, c.size);
        EXPECT_EQ(range.outcome, c.outcome) << c.header << " of " << c.size;
        EXPECT_EQ(range.offset, c.offset) << c.header << " of " << c.size;
        EXPECT_EQ(range.length, c.length) << c.header << " of " << c.size;
    }
}

TEST(IfRange, MatchesOnlyTheSameStrongTag) {
    EXPECT_TRUE(ifRangeMatches("\"a\"", "\"a\""));
    EXPECT_TRUE(ifRangeMatches(" \"a\" ", "\"a\""));
    for (const char* header : {"\"b\"", "W/\"a\"", "a", "*", "", "\"a\", \"a\"", "Wed, 21 Oct 2015 07:28:00 GMT"})
        EXPECT_FALSE(ifRangeMatches(header, "\"a\"")) << header;
    EXPECT_FALSE(ifRangeMatches("W/\"a\"", "W/\"a\""));
}

TEST(IfNoneMatch, MatchesAnyTagOfTheListWeakly) {
    for (const char* header :
         {"\"a\"", "W/\"a\"", "*", " * ", "\"x\", \"a\"", "\"x\",W/\"a\",\"y\"", ",, \"a\" ,", "\"a,b\", \"a\""})
        EXPECT_TRUE(ifNoneMatchMatches(header, "\"a\"")) << header;
    EXPECT_TRUE(ifNoneMatchMatches("\"a\"", "W/\"a\""));
    for (const char* header :
         {"\"b\"", "a", "", "\"a", "\"x\" \"a\"", "w/\"a\"", "\"a\", *", "\"a\"x", "\"x,\"a\"", "W/", "\"a \""})
        EXPECT_FALSE(ifNoneMatchMatches(header, "\"a\"")) << header;
}

}  // namespace
}  // namespace chunkvault::http
