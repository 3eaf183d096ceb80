#include <fstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::test {
namespace {

TEST(FreshDatabase, IsEmptyAndItsOwnAndGoneAtTheEnd) {
    std::string url;
    {
        const FreshDatabase one;
        const FreshDatabase two;
        url = one.url();
        executeSql(one.url(), "CREATE TABLE things (id BIGINT)");
        executeSql(two.url(), "CREATE TABLE things (id BIGINT)");
        EXPECT_THROW(executeSql(two.url(), "CREATE TABLE things (id BIGINT)"), std::runtime_error);
    }
    EXPECT_THROW(executeSql(url, "SELECT 1"), std::runtime_error);
}

TEST(TempFolder, IsRemovedWithWhatIsInIt) {
    std::filesystem::path path;
    {
        const TempFolder folder;
        path = folder.path();
        std::filesystem::create_directories(path / "a" / "b");
        std::ofstream(path / "a" / "b" / "file") << "text";
        EXPECT_TRUE(std::filesystem::exists(path / "a" / "b" / "file"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ManualClock, MovesOnlyWhenItIsMoved) {
    ManualClock manual(5 * secondUs);
    const Clock clock = manual.clock();
    EXPECT_EQ(clock(), 5 * secondUs);
    manual.advance(minuteUs);
    EXPECT_EQ(clock(), 65 * secondUs);
    manual.set(0);
    EXPECT_EQ(clock(), 0);
}

}  // namespace
}  // namespace chunkvault::test
