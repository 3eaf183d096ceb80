#include "database/catalog/export.h"

#include <algorithm>
#include <map>
#include <regex>

#include <gmock/gmock.h>

#include "database/catalog/nodes.h"
#include "tests/catalog/vault_fixture.h"
#include "tests/support/postgres.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// A SQLite vault with something in each table.
class ExportTest : public VaultTest {
  protected:
    ExportTest() {
        const User alice = makeUser("alice");
        const User bob = accounts.create(
            {.username = "Bob", .email = "bob@example.org", .passwordHash = "\\x00\t\n\r\\N\\.", .role = Role::admin});
        accounts.change(bob.id, {.quota = std::optional<std::int64_t>(123)});
        accounts.change(bob.id, {.quota = std::optional<std::int64_t>(std::nullopt)});
        const SessionId session = accounts.openSession(alice.id, alice.passwordChangedAt, ChunkId::of("r1"), "::1",
                                                       "größe ☃ \"quoted\"", time.now() + hourUs);
        EXPECT_EQ(accounts.rotate(ChunkId::of("r1"), ChunkId::of("r2"), "::1", time.now() + hourUs).session, session);
        (void)accounts.createApiToken(alice.id, "", ChunkId::of("t"), true, std::nullopt);
        accounts.countAttempt("key", 10, 60);
        const std::vector path = {FileName::parse("tab\\t and back\\slash"), FileName::parse("两")};
        const FileId folder = tree.makeFolders(alice.id, alice.root, path).id;
        const FileId file = put(alice, "f", std::string(250, 'x')).entry.id;
        time.advance(hourUs);
        (void)put(alice, "f", "another version");
        (void)putAtOnce(bob, "empty", "");
        (void)tree.copy(alice.id, file, folder, std::nullopt, OnConflict::fail);
        tree.moveToTrash(alice.id, put(alice, "thrown away", "x").entry.id);
        const Upload open = uploads.create(alice.id, newUpload(alice, "open", "open", std::string(150, 'y')));
        send(open.id, cut(std::string(150, 'y'))[0]);
        last = uploads.create(alice.id, newUpload(alice, "ended", "ended", "z")).id;
        uploads.end(last);
        chunks.replicaBad(chunks.auditAfter(ChunkRow{0}, 1)[0].row, stores[1]);
        chunks.setStoreState(stores[2], StoreState::drained);
        (void)chunks.vaultId();
        Nodes nodes(database(), 3);
        EXPECT_TRUE(nodes.beginSweep("scrub", "w", hourUs, std::nullopt));
        database().write([&](Session& statements) {
            statements.execute("DELETE FROM uploads WHERE id = $1", {last});
            statements.execute(
                "INSERT INTO shares (owner_id, file_id, kind, token_hash, salt, created_at) VALUES ($1, $2, 'download',"
                " $3, '', $4)",
                {alice.id, file, ChunkId::of("share"), time.now()});
            statements.execute(
                "INSERT INTO share_tickets (share_id, ticket_hash, file_id, version, bytes_left, expires_at)"
                " SELECT id, $1, file_id, 1, 9223372036854775807, 0 FROM shares",
                {ChunkId::of("ticket")});
            statements.execute(
                "INSERT INTO share_downloads (share_id, file_id, owner_id, count, last_at)"
                " SELECT id, file_id, owner_id, 3, 5 FROM shares");
        });
    }

    // Every row of every table as one text, sorted.
    static std::map<std::string, std::vector<std::string>> rowsOf(Database& sqlite, Database& database) {
        struct Column {
            std::string name, type;
        };
        std::map<std::string, std::vector<Column>> tables;
        sqlite.read([&](Session& session) {
            session.query(
                "SELECT t.name, c.name, c.type FROM sqlite_master t JOIN pragma_table_info(t.name) c"
                " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'migrations' ORDER BY t.name, "
                "c.cid",
                {}, [&](const Row& row) {
                    tables[row.text(0)].push_back({row.text(1), row.text(2)});
                });
        });
        std::map<std::string, std::vector<std::string>> rows;
        for (const auto& [table, columns] : tables) {
            std::string names;
            for (const Column& column : columns) names += (names.empty() ? "" : ", ") + column.name;
            std::vector<std::string>& found = rows[table];
            database.read([&](Session& session) {
                session.query("SELECT " + names + " FROM " + table, {}, [&](const Row& row) {
                    std::string text;
                    for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
                        const std::string& type = columns[static_cast<std::size_t>(i)].type;
                        text += columns[static_cast<std::size_t>(i)].name + '=';
                        if (row.isNull(i)) text += "NULL";
                        else if (type == "TEXT") text += '"' + row.text(i) + '"';
                        else if (type == "BLOB") text += "blob " + row.digest(i).toHex();
                        else text += std::to_string(row.integer(i));
                        text += ' ';
                    }
                    found.push_back(text);
                });
            });
            std::ranges::sort(found);
        }
        return rows;
    }

    // Of rows of stores: they are in other states there.
    static void withoutStates(std::vector<std::string>& rows) {
        for (std::string& row : rows) row = std::regex_replace(row, std::regex("(state|state_since)=\\S+ "), "");
        std::ranges::sort(rows);
    }

    UploadId last{};
    test::FreshDatabase target;
};

TEST_P(ExportTest, EveryRowArrivesAsItIs) {
    std::map<std::string, std::int64_t> told;
    const ExportReport report =
        exportTo(database(), target.url(), [&](const std::string& table, std::int64_t rows) { told[table] = rows; });
    DatabaseOptions options;
    options.postgresUrl = target.url();
    Database cluster(options);
    cluster.open();
    auto source = rowsOf(database(), database()), arrived = rowsOf(database(), cluster);
    for (auto* tables : {&source, &arrived}) withoutStates(tables->at("stores"));
    EXPECT_THAT(report.tables, SizeIs(source.size()));
    for (const auto& [table, rows] : source) {
        EXPECT_THAT(rows, Not(IsEmpty())) << table;
        EXPECT_EQ(arrived.at(table), rows) << table;
        EXPECT_EQ(told[table], static_cast<std::int64_t>(rows.size())) << table;
    }
    for (const ExportReport::Table& table : report.tables)
        EXPECT_EQ(table.rows, static_cast<std::int64_t>(source.at(table.name).size()));

    // The cluster goes on where the embedded server was, and gives out no id again.
    Accounts moved(cluster, clock());
    const User alice = moved.findForLogin("alice")->user;
    EXPECT_EQ(alice.revision.seq, accounts.findForLogin("alice")->user.revision.seq);
    EXPECT_GT(moved.create({.username = "new", .email = "", .passwordHash = "hash"}).root, alice.root);
    Uploads movedUploads(cluster, clock(), uploadLimits, treeLimits, quota);
    EXPECT_GT(movedUploads.create(alice.id, newUpload(alice, "new", "new", "z")).id, last);
    EXPECT_THAT(Tree(cluster, clock(), treeLimits, quota).auditUsage(), SizeIs(3));
}

TEST_P(ExportTest, TextThatIsNoUtf8ArrivesAsFarAsItIs) {
    database().write([](Session& session) {
        session.execute("UPDATE sessions SET user_agent = $1", {std::string_view("caf\xE9 1.0 \xE2\x98")});
    });
    (void)exportTo(database(), target.url(), [](const std::string&, std::int64_t) {});
    DatabaseOptions options;
    options.postgresUrl = target.url();
    Database cluster(options);
    cluster.open();
    std::vector<std::string> agents;
    cluster.read([&](Session& session) {
        agents.clear();
        session.query("SELECT user_agent FROM sessions", {}, [&](const Row& row) { agents.push_back(row.text(0)); });
    });
    EXPECT_THAT(agents, ElementsAre("caf\xEF\xBF\xBD 1.0 \xEF\xBF\xBD\xEF\xBF\xBD"));
}

TEST_P(ExportTest, StoresCountForNothingUntilTheirNodesReport) {
    Nodes(database(), 3).remove(stores[1]);
    (void)exportTo(database(), target.url(), [](const std::string&, std::int64_t) {});
    DatabaseOptions options;
    options.postgresUrl = target.url();
    Database cluster(options);
    cluster.open();
    Chunks moved(cluster, clock(), 3);
    Nodes nodes(cluster, 3);
    std::vector<StoreState> states;
    for (const Store& store : moved.stores()) states.push_back(store.state);
    EXPECT_THAT(states, ElementsAre(StoreState::down, StoreState::removed, StoreState::down));
    EXPECT_EQ(moved.totals().missing, moved.totals().chunks);

    NodeReport report{.nodeId = "a", .storeId = "uuid-a", .zone = "a", .url = "http://a:8001"};
    EXPECT_EQ(nodes.report(report).state, StoreState::down);
    EXPECT_TRUE(nodes.report(report).mustBeReached);
    nodes.reached(stores[0]);
    EXPECT_EQ(nodes.find("a")->state, StoreState::up);
    EXPECT_GT(nodes.find("a")->replicas, 0);
    report = {.nodeId = "c", .storeId = "uuid-c", .zone = "c", .url = "http://c:8001"};
    nodes.reached(nodes.report(report).row);
    EXPECT_EQ(nodes.find("c")->state, StoreState::drained) << "what an administrator wanted lasts";
}

TEST_P(ExportTest, ADatabaseWithRowsIsLeftAlone) {
    DatabaseOptions options;
    options.postgresUrl = target.url();
    Database cluster(options);
    cluster.open();
    Chunks others(cluster, clock(), 3);
    const std::string id = others.vaultId();
    try {
        (void)exportTo(database(), target.url(), [](const std::string&, std::int64_t) {});
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::conflict);
        EXPECT_THAT(error.publicMessage(), HasSubstr("not empty"));
    }
    EXPECT_EQ(others.vaultId(), id);
    EXPECT_EQ(Accounts(cluster, clock()).count(), 0);
}

TEST_P(ExportTest, WhatFailsHalfWayLeavesNothing) {
    const auto stop = [](const std::string& table, std::int64_t) {
        if (table == "versions") throw Error(ErrorCode::unavailable, "Stopped.");
    };
    EXPECT_EQ(errorOf([&] { (void)exportTo(database(), target.url(), stop); }), ErrorCode::unavailable);
    (void)exportTo(database(), target.url(), [](const std::string&, std::int64_t) {});
}

INSTANTIATE_TEST_SUITE_P(Engines, ExportTest, testing::Values(EngineKind::sqlite), nameOfEngine);

}  // namespace
}  // namespace chunkvault::catalog
