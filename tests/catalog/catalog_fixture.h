// The catalog's tests run on both engines: derive a suite from CatalogTest, write TEST_P, and end the file with
// CATALOG_SUITE(Suite). Each test starts from an empty, migrated database.
#pragma once

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "database/catalog/accounts.h"
#include "database/catalog/database.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::catalog {

enum class EngineKind { sqlite, postgres };

class CatalogTest : public testing::TestWithParam<EngineKind> {
  protected:
    CatalogTest();

    [[nodiscard]] bool isPostgres() const { return GetParam() == EngineKind::postgres; }
    [[nodiscard]] DatabaseOptions options() const;  // of this test's database, to open it a second time
    [[nodiscard]] Database& database() { return *database_; }
    [[nodiscard]] Clock clock() { return time.clock(); }
    void reopen();  // as a restart of the server does

    // An active user with the password hash "hash".
    User makeUser(const std::string& name);
    // The first column of the first row.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view sql, std::initializer_list<Value> values = {});

    test::ManualClock time;

  private:
    test::TempFolder folder_;
    std::optional<Database> database_;
};

// The code of the Error that call throws; fails the test when it throws none.
template <typename Call>
std::optional<ErrorCode> errorOf(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return std::nullopt;
}

[[nodiscard]] std::string nameOfEngine(const testing::TestParamInfo<EngineKind>& info);

}  // namespace chunkvault::catalog

#define CATALOG_SUITE(suite) \
    INSTANTIATE_TEST_SUITE_P(Engines, suite, testing::Values(EngineKind::sqlite, EngineKind::postgres), nameOfEngine)
