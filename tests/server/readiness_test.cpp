#include "server/api/readiness.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/catalog/database.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::server {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ReadinessTest : public testing::Test {
  protected:
    // Of a server whose clock is so far ahead of the database's.
    std::string reasonAt(Timestamp aheadUs) {
        return notReadyReason(database_, [&] { return database_.now() + aheadUs; });
    }

    static catalog::DatabaseOptions optionsIn(const test::TempFolder& folder) {
        catalog::DatabaseOptions options;
        options.sqliteFile = (folder.path() / "catalog.sqlite").string();
        return options;
    }

    test::TempFolder folder_;
    catalog::Database database_{optionsIn(folder_)};
};

TEST_F(ReadinessTest, IsGivenWhileTheClocksAgree) {
    for (const Timestamp aheadS : {0, 29, -29}) EXPECT_THAT(reasonAt(aheadS * secondUs), IsEmpty()) << aheadS;
}

TEST_F(ReadinessTest, EndsWithAClockThatIsWrongAndSaysByHowMuch) {
    EXPECT_THAT(reasonAt(hourUs), HasSubstr("ahead of the database's"));
    EXPECT_THAT(reasonAt(hourUs), HasSubstr("3600 s"));
    EXPECT_THAT(reasonAt(-31 * secondUs), HasSubstr("31 s behind the database's"));
    EXPECT_THAT(reasonAt(31 * secondUs), HasSubstr("30 s are allowed"));
}

TEST_F(ReadinessTest, IsNotLostToADatabaseThatAnswersLate) {
    const std::vector<Timestamp> readings{systemNow() - 40 * secondUs, systemNow()};  // before and after the question
    std::size_t read = 0;
    EXPECT_THAT(notReadyReason(database_, [&] { return readings.at(read++); }), IsEmpty());
    EXPECT_EQ(read, readings.size());
}

}  // namespace
}  // namespace chunkvault::server
