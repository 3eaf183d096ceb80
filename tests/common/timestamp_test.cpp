#include "common/wire/timestamp.h"

#include <gtest/gtest.h>

namespace chunkvault {
namespace {

TEST(Timestamp, IsWrittenAsRfc3339) {
    EXPECT_EQ(toRfc3339(0), "1970-01-01T00:00:00Z");
    EXPECT_EQ(toRfc3339(1'790'000'000 * secondUs + 1500), "2026-09-21T14:13:20.001500Z");
    EXPECT_EQ(toRfc3339(253'402'300'799 * secondUs), "9999-12-31T23:59:59Z");
    EXPECT_EQ(toRfc3339(-250'000), "1969-12-31T23:59:59.750000Z");
    EXPECT_EQ(toRfc3339(-62'167'219'200 * secondUs), "0000-01-01T00:00:00Z");
}

TEST(Timestamp, IsReadFromEveryFormOfRfc3339) {
    const struct {
        const char* text;
        Timestamp expected;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:01.5z", 1'500'000},
        {"1970-01-01T00:00:00.000001999Z", 1},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1970-01-01T00:00:00-01:30", 90 * minuteUs},
        {"2024-02-29T12:00:00Z", 1'709'208'000 * secondUs},
        {"1969-12-31T23:59:59.75Z", -250'000},
        {"1970-01-01T00:00:00+00:01", -minuteUs},
        {"1904-01-01T00:00:00Z", -2'082'844'800 * secondUs},
        {"0000-01-01T00:00:00Z", -62'167'219'200 * secondUs},
        {"9999-12-31T23:59:59.999999Z", 253'402'300'800 * secondUs - 1},
    };
    for (const auto& c : cases) EXPECT_EQ(parseRfc3339(c.text), c.expected) << c.text;
}

TEST(Timestamp, RefusesWhatIsNotATime) {
    for (const char* text :
         {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-01", "2024-01-01T00:00Z", "2024-01-01T24:00:00Z",
          "2024-01-01T00:60:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z",
          "2024-01-01T00:00:00+2:00", "2024-01-01T00:00:00Zx", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:60Z",
          "0000-01-01T00:00:00+00:01", "-024-01-01T00:00:00Z", "2024-1-01T00:00:00Z"})
        EXPECT_FALSE(parseRfc3339(text)) << text;
}

}  // namespace
}  // namespace chunkvault
