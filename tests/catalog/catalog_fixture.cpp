#include "tests/catalog/catalog_fixture.h"

#include "tests/support/postgres.h"

namespace chunkvault::catalog {

namespace {

// One for all tests of the process: emptying it is quicker than making one.
const std::string& sharedPostgresUrl() {
    static const test::FreshDatabase shared;
    return shared.url();
}

void emptyTables(Database& database) {
    database.write([](Session& session) {
        session.script(
            "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' CASCADE'"
            " FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'); END $$");
    });
}

}  // namespace

CatalogTest::CatalogTest() {
    database_.emplace(options());
    database_->open();
    if (isPostgres()) emptyTables(*database_);
}

DatabaseOptions CatalogTest::options() const {
    DatabaseOptions options;
    if (isPostgres()) options.postgresUrl = sharedPostgresUrl();
    else options.sqliteFile = folder_.path() / "catalog.sqlite";
    return options;
}

void CatalogTest::reopen() {
    database_.reset();
    database_.emplace(options());
    database_->open();
}

User CatalogTest::makeUser(const std::string& name) {
    return Accounts(database(), clock()).create({.username = name, .email = "", .passwordHash = "hash"});
}

std::optional<std::int64_t> CatalogTest::number(std::string_view sql, std::initializer_list<Value> values) {
    std::optional<std::int64_t> result;
    database().read([&](Session& session) {
        result.reset();
        session.query(sql, values, [&](const Row& row) {
            if (!result) result = row.maybeInteger(0);
        });
    });
    return result;
}

std::string nameOfEngine(const testing::TestParamInfo<EngineKind>& info) {
    return info.param == EngineKind::sqlite ? "sqlite" : "postgres";
}

}  // namespace chunkvault::catalog
