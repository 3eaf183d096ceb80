#include "database/catalog/database.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "database/catalog/engine.h"
#include "database/catalog/migrations.h"
#include "tests/catalog/catalog_fixture.h"
#include "tests/support/postgres.h"

namespace chunkvault::catalog {
namespace {

using namespace std::chrono_literals;

// A table of its own beside the schema, so that the cases do not follow the catalog's rules.
class DatabaseTest : public CatalogTest {
  protected:
    DatabaseTest() {
        database().write([&](Session& session) {
            if (isPostgres()) session.script("DROP TABLE IF EXISTS things CASCADE");
            session.script(
                sqlFor("CREATE TABLE things (id {id}, n BIGINT UNIQUE, t TEXT, b {blob}, k {key},"
                       " parent BIGINT REFERENCES things (id), small INTEGER CHECK (small < 10))",
                       isPostgres()));
        });
    }

    void insert(std::int64_t n) {
        database().write([&](Session& session) { session.execute("INSERT INTO things (n) VALUES ($1)", {n}); });
    }
    [[nodiscard]] std::int64_t count() { return *number("SELECT COUNT(*) FROM things"); }
};

std::optional<SqlFailure> failureOf(const std::function<void()>& call) {
    try {
        call();
    } catch (const SqlError& error) {
        return error.failure();
    }
    ADD_FAILURE() << "no SqlError was thrown";
    return std::nullopt;
}

TEST_P(DatabaseTest, ValuesComeBackAsTheyWentIn) {
    const Sha256Digest digest = Sha256Digest::of(std::string_view("abc"));
    constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
    database().write([&](Session& session) {
        session.execute("INSERT INTO things (n, t, b, small) VALUES ($1, $2, $3, $4)",
                        {largest, "größe ☃", digest, true});
        session.execute("INSERT INTO things (n, t, b, small) VALUES ($1, $2, $3, $4)",
                        {smallest, "", Value(std::nullopt), false});
        session.execute("INSERT INTO things (n, t, b) VALUES ($1, $2, $3)", {0, std::optional<std::string>(), digest});
    });
    int rows = 0;
    database().read([&](Session& session) {
        session.query("SELECT n, t, b, small FROM things ORDER BY id", {}, [&](const Row& row) {
            switch (rows++) {
                case 0:
                    EXPECT_EQ(row.integer(0), largest);
                    EXPECT_EQ(row.text(1), "größe ☃");
                    EXPECT_EQ(row.digest(2), digest);
                    EXPECT_TRUE(row.truth(3));
                    break;
                case 1:
                    EXPECT_EQ(row.integer(0), smallest);
                    EXPECT_EQ(row.maybeText(1), "");
                    EXPECT_TRUE(row.isNull(2));
                    EXPECT_FALSE(row.truth(3));
                    break;
                default:
                    EXPECT_EQ(row.maybeInteger(0), 0);
                    EXPECT_EQ(row.maybeText(1), std::nullopt);
                    EXPECT_EQ(row.maybeDigest(2), digest);
                    EXPECT_EQ(row.maybeInteger(3), std::nullopt);
            }
        });
    });
    EXPECT_EQ(rows, 3);
}

TEST_P(DatabaseTest, AnEmptyBlobIsNotNull) {
    database().write([](Session& session) {
        session.execute("INSERT INTO things (n, b) VALUES (1, $1)", {Sha256Digest()});
        session.execute("UPDATE things SET b = SUBSTR(b, 1, 0)");
        session.query("SELECT b IS NULL, LENGTH(b) FROM things", {}, [](const Row& row) {
            EXPECT_FALSE(row.truth(0));
            EXPECT_EQ(row.integer(1), 0);
        });
    });
}

TEST_P(DatabaseTest, PlaceholdersAreBoundByTheirNumberInAnyOrder) {
    insert(5);
    std::string text;
    database().read([&](Session& session) {
        session.query("SELECT CAST($3 AS TEXT) FROM things WHERE n = $2 AND n > $1 AND n < $2 + 1", {1, 5, "three"},
                      [&](const Row& row) { text = row.text(0); });
    });
    EXPECT_EQ(text, "three");
    EXPECT_EQ(failureOf([&] { (void)number("SELECT n FROM things WHERE n = $1 AND n = $2", {1}); }), SqlFailure::other);
}

TEST_P(DatabaseTest, AWrongTypeOrAnUnexpectedNullIsAnInternalError) {
    database().write([](Session& session) { session.execute("INSERT INTO things (t) VALUES ($1)", {"words"}); });
    database().read([](Session& session) {
        session.query("SELECT n, t FROM things", {}, [](const Row& row) {
            for (const auto& call : std::vector<std::function<void()>>{
                     [&] { (void)row.integer(0); }, [&] { (void)row.text(0); }, [&] { (void)row.digest(0); },
                     [&] { (void)row.integer(1); }, [&] { (void)row.digest(1); }, [&] { (void)row.text(2); }})
                EXPECT_EQ(errorOf(call), ErrorCode::internal);
        });
    });
}

TEST_P(DatabaseTest, SaysHowManyRowsChangedOrCame) {
    database().write([](Session& session) {
        EXPECT_EQ(session.execute("INSERT INTO things (n) VALUES (1), (2), (3)"), 3);
        EXPECT_EQ(session.execute("UPDATE things SET small = 1 WHERE n > 1"), 2);
        EXPECT_EQ(session.execute("UPDATE things SET small = 1 WHERE n > 100"), 0);
        EXPECT_EQ(session.query("SELECT n FROM things", {}, [](const Row&) {}), 3);
        EXPECT_EQ(session.query("DELETE FROM things WHERE n < 3 RETURNING n", {}, [](const Row&) {}), 2);
        EXPECT_EQ(session.execute("DELETE FROM things"), 1);
    });
}

TEST_P(DatabaseTest, AStatementMayRunAgainInsideItsOwnRows) {
    for (int n = 1; n <= 3; ++n) insert(n);
    std::string seen;
    database().read([&](Session& session) {
        const std::string_view sql = "SELECT n FROM things WHERE n > $1 ORDER BY n";
        session.query(sql, {0}, [&](const Row& outer) {
            session.query(sql, {outer.integer(0)}, [&](const Row& inner) {
                seen += std::to_string(outer.integer(0)) + std::to_string(inner.integer(0)) + ' ';
            });
        });
    });
    EXPECT_EQ(seen, "12 13 23 ");
}

TEST_P(DatabaseTest, ErrorsSayWhatWasBroken) {
    insert(1);
    const struct {
        const char* sql;
        SqlFailure failure;
    } cases[] = {
        {"INSERT INTO things (n) VALUES (1)", SqlFailure::unique},
        {"INSERT INTO things (id, n) SELECT id, 2 FROM things", SqlFailure::unique},
        {"INSERT INTO things (parent) VALUES (999)", SqlFailure::foreignKey},
        {"INSERT INTO things (small) VALUES (10)", SqlFailure::check},
        {"INSERT INTO migrations (version) VALUES (999)", SqlFailure::check},
        {"SELECT nothing FROM nowhere", SqlFailure::other},
        {"SELEKT", SqlFailure::other},
    };
    for (const auto& [sql, failure] : cases)
        EXPECT_EQ(failureOf([&] { database().write([&](Session& session) { session.execute(sql); }); }), failure)
            << sql;
    EXPECT_EQ(failureOf([&] {
                  database().write([&](Session& session) {
                      session.execute("INSERT INTO things (t) VALUES ($1)", {std::string("a\0b", 3)});
                  });
              }),
              SqlFailure::badText);
    EXPECT_EQ(count(), 1);
}

TEST_P(DatabaseTest, AViolationInASavepointLeavesTheRestOfTheTransaction) {
    database().write([](Session& session) {
        session.execute("INSERT INTO things (n) VALUES (1)");
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(failureOf([&] {
                          session.savepoint([&] {
                              session.execute("INSERT INTO things (n) VALUES (7)");
                              session.execute("INSERT INTO things (n) VALUES ($1)", {1});
                          });
                      }),
                      SqlFailure::unique);
        session.savepoint([&] {
            session.execute("INSERT INTO things (n) VALUES ($1)", {2});
            EXPECT_THROW(session.savepoint([&] {
                session.execute("INSERT INTO things (n) VALUES ($1)", {3});
                throw std::runtime_error("inner");
            }),
                         std::runtime_error);
        });
    });
    EXPECT_EQ(count(), 2);
    EXPECT_EQ(number("SELECT SUM(n) FROM things"), 3);
}

TEST_P(DatabaseTest, APreparedStatementWorksAfterItFailed) {
    for (int round = 0; round < 3; ++round) {
        insert(round);
        EXPECT_EQ(failureOf([&] { insert(round); }), SqlFailure::unique);
    }
    EXPECT_EQ(count(), 3);
}

TEST_P(DatabaseTest, AThrowRollsTheWholeWorkBack) {
    EXPECT_THROW(database().write([](Session& session) {
        session.execute("INSERT INTO things (n) VALUES (1)");
        throw std::runtime_error("no");
    }),
                 std::runtime_error);
    EXPECT_EQ(count(), 0);
    insert(1);
    EXPECT_EQ(count(), 1);
}

TEST_P(DatabaseTest, ReadingCannotWrite) {
    EXPECT_EQ(failureOf([&] {
                  database().read([](Session& session) { session.execute("INSERT INTO things (n) VALUES (1)"); });
              }),
              SqlFailure::other);
    EXPECT_EQ(count(), 0);
}

TEST_P(DatabaseTest, KeysAreComparedAndSortedBytewise) {
    database().write([](Session& session) {
        for (const char* key : {"b", "B", "a", "ä", "Z", "_", "a b"})
            session.execute("INSERT INTO things (k) VALUES ($1)", {key});
    });
    std::string order;
    database().read([&](Session& session) {
        session.query("SELECT k FROM things ORDER BY k", {}, [&](const Row& row) { order += row.text(0) + ","; });
        session.query("SELECT k FROM things WHERE k > $1 AND k < $2 ORDER BY k", {"Z", "b"},
                      [&](const Row& row) { order += row.text(0) + ";"; });
    });
    EXPECT_EQ(order, "B,Z,_,a,a b,b,ä,_;a;a b;");
}

CATALOG_SUITE(DatabaseTest);

}  // namespace
}  // namespace chunkvault::catalog
