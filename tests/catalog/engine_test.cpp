// What Database promises when many use it at once, when a connection is lost, and when the disk or the pool is full.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "database/catalog/database.h"
#include "tests/catalog/catalog_fixture.h"
#include "tests/support/postgres.h"

namespace chunkvault::catalog {
namespace {

using namespace std::chrono_literals;

// Counts with the table of attempts: a key and a number.
class EngineTest : public CatalogTest {
  protected:
    static constexpr std::string_view addText =
        "INSERT INTO attempts (attempt_key, count, window_ends_at) VALUES ($1, 1, 0)"
        " ON CONFLICT (attempt_key) DO UPDATE SET count = attempts.count + 1";
    static void add(Session& session, const std::string& key) { session.execute(addText, {key}); }
    static void addLater(Session& session, const std::string& key) { session.executeLater(addText, {key}); }
    [[nodiscard]] std::int64_t countOf(const std::string& key) {
        return number("SELECT count FROM attempts WHERE attempt_key = $1", {key}).value_or(0);
    }
    // Ends every server process of this test's connections but the one it uses, as a restart of PostgreSQL does.
    void endBackends() {
        test::executeSql(options().postgresUrl,
                         "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                         " WHERE datname = current_database() AND pid <> pg_backend_pid()");
    }
};

constexpr auto patience = 30s;

// Waits until a thread of this process sleeps: as the kernel tells, after the name in parentheses.
void awaitSleep(const std::atomic<pid_t>& thread) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
        std::ifstream file("/proc/self/task/" + std::to_string(thread.load()) + "/stat");
        std::string line;
        if (std::getline(file, line) && line.compare(line.rfind(')') + 1, 3, " S ") == 0) return;
        std::this_thread::yield();
    }
    ADD_FAILURE() << "the thread never slept";
}

// Calls round() until it is true: for what happens in some order that a test cannot force, and has to see once.
template <typename Round>
void untilSeen(Round round) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!round()) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it never happened";
}

template <typename Work>
void onThreads(int count, Work work) {
    std::barrier start(count);
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            work(i);
        });
}

TEST_P(EngineTest, EveryAcknowledgedWriteOfManyThreadsIsThereAndNoFailedOne) {
    constexpr int threads = 16, rounds = 20;
    std::atomic<int> failed = 0;
    onThreads(threads, [&](int i) {
        for (int round = 0; round < rounds; ++round) {
            const bool fails = (i + round) % 5 == 0;
            try {
                database().write([&](Session& session) {
                    add(session, "sum");
                    add(session, "thread " + std::to_string(i));
                    if (fails) throw std::runtime_error("this one does not");
                });
                EXPECT_FALSE(fails);
            } catch (const std::runtime_error& error) {
                EXPECT_TRUE(fails);
                EXPECT_STREQ(error.what(), "this one does not");
                ++failed;
            }
        }
    });
    reopen();
    EXPECT_EQ(countOf("sum"), threads * rounds - failed);
    EXPECT_EQ(number("SELECT SUM(count) FROM attempts WHERE attempt_key <> $1", {"sum"}), threads * rounds - failed);
}

TEST_P(EngineTest, AFailedStatementOfOneWorkDoesNotTouchTheOthers) {
    makeUser("taken");
    std::atomic<int> refused = 0;
    onThreads(8, [&](int i) {
        try {
            database().write([&](Session& session) {
                add(session, "sum");
                if (i % 2 == 0) session.execute("INSERT INTO users SELECT * FROM users");
            });
        } catch (const SqlError& error) {
            EXPECT_EQ(error.failure(), SqlFailure::unique);
            ++refused;
        }
    });
    EXPECT_EQ(refused, 4);
    EXPECT_EQ(countOf("sum"), 4);
}

TEST_P(EngineTest, WhatWasExecutedLaterIsSeenByTheNextStatementAndCommitted) {
    constexpr int count = 200;
    database().write([&](Session& session) {
        for (int i = 0; i < count; ++i) addLater(session, "key " + std::to_string(i));
        addLater(session, "key 0");
        session.query("SELECT SUM(count) FROM attempts", {},
                      [&](const Row& row) { EXPECT_EQ(row.integer(0), count + 1); });
        addLater(session, "last");
    });
    EXPECT_EQ(countOf("key 0"), 2);
    EXPECT_EQ(countOf("last"), 1);
    database().write([&](Session& session) { addLater(session, "alone"); });
    EXPECT_EQ(countOf("alone"), 1);
}

TEST_P(EngineTest, AFailureOfWhatWasExecutedLaterUndoesTheWork) {
    makeUser("taken");
    const auto fail = [](Session& session) { session.executeLater("INSERT INTO users SELECT * FROM users"); };
    const std::vector<std::function<void(Session&)>> works = {
        [&](Session& session) {
            addLater(session, "a");
            fail(session);
        },
        [&](Session& session) {
            fail(session);
            addLater(session, "a");
        },
        [&](Session& session) {
            add(session, "a");
            fail(session);
            session.query("SELECT count FROM attempts", {}, [](const Row&) {});
            ADD_FAILURE() << "the next statement throws";
        },
        [&](Session& session) {
            session.savepoint([&] {
                addLater(session, "a");
                fail(session);
            });
            addLater(session, "a");
        },
    };
    for (const auto& work : works) {
        try {
            database().write(work);
            ADD_FAILURE() << "COMMIT throws at the latest";
        } catch (const SqlError& error) {
            EXPECT_EQ(error.failure(), SqlFailure::unique);
        }
        EXPECT_EQ(countOf("a"), 0);
    }
    database().write([](Session& session) { addLater(session, "a"); });
    EXPECT_EQ(countOf("a"), 1) << "the connection can be used";
}

TEST_P(EngineTest, ASavepointTakesBackWhatWasExecutedLaterInIt) {
    struct GivenUp {};
    const auto giveUp = [](Session& session, const std::function<void()>& work) {
        EXPECT_THROW(session.savepoint([&] {
            work();
            throw GivenUp();
        }),
                     GivenUp);
    };
    database().write([&](Session& session) {
        giveUp(session, [] {});
        addLater(session, "before");
        giveUp(session, [&] { addLater(session, "undone"); });
        giveUp(session, [&] {
            addLater(session, "undone");
            EXPECT_EQ(session.query("SELECT 1 FROM attempts", {}, [](const Row&) {}), 2);
            addLater(session, "undone");
        });
        session.savepoint([&] { addLater(session, "within"); });
        giveUp(session, [&] { addLater(session, "undone"); });
        session.savepoint([] {});
        addLater(session, "after");
    });
    EXPECT_EQ(countOf("undone"), 0);
    for (const char* kept : {"before", "within", "after"}) EXPECT_EQ(countOf(kept), 1) << kept;
}

TEST_P(EngineTest, AWorkSeesWhatIsCommittedAndItsOwnChanges) {
    database().write([](Session& session) { add(session, "a"); });
    database().write([&](Session& session) {
        add(session, "a");
        session.query("SELECT count FROM attempts", {}, [](const Row& row) { EXPECT_EQ(row.integer(0), 2); });
        EXPECT_EQ(countOf("a"), 1) << "another connection sees it before COMMIT";
    });
    EXPECT_EQ(countOf("a"), 2);
}

TEST_P(EngineTest, ReadsDoNotWaitForAWriter) {
    std::promise<void> writing, readDone;
    std::jthread writer([&] {
        database().write([&](Session& session) {
            add(session, "a");
            writing.set_value();
            readDone.get_future().wait();
        });
    });
    writing.get_future().wait();
    EXPECT_EQ(countOf("a"), 0);
    readDone.set_value();
    writer.join();
    EXPECT_EQ(countOf("a"), 1);
}

TEST_P(EngineTest, AReadWaitsForAConnectionAndGivesUpInTime) {
    DatabaseOptions small = options();
    small.sessions = 1;
    small.waitTimeout = 50ms;
    Database narrow(small);
    narrow.open();
    narrow.read([&](Session&) {
        // On a thread of its own: one thread never needs two.
        auto second = std::async(std::launch::async, [&] { return errorOf([&] { narrow.read([](Session&) {}); }); });
        EXPECT_EQ(second.get(), ErrorCode::unavailable);
    });

    small.waitTimeout = 10s;
    Database patient(small);
    patient.open();
    std::atomic<pid_t> waiting = 0;
    std::atomic<int> rows = 0;
    std::jthread second;
    patient.read([&](Session&) {
        second = std::jthread([&] {
            waiting = ::gettid();
            patient.read([&](Session& session) { session.query("SELECT 1", {}, [&](const Row&) { ++rows; }); });
        });
        awaitSleep(waiting);
        EXPECT_EQ(rows, 0);
    });
    second.join();
    EXPECT_EQ(rows, 1);
}

TEST_P(EngineTest, AWriteWaitsForAnotherAndGivesUpInTime) {
    const User user = makeUser("somebody");
    DatabaseOptions hasty = options();
    hasty.waitTimeout = 50ms;
    Database second(hasty);
    second.open();
    const auto change = [&](Session& session) {
        session.execute("UPDATE users SET seq = seq + 1 WHERE id = $1", {user.id});
    };
    second.write([&](Session& session) {
        change(session);
        auto other = std::async(std::launch::async, [&] { return errorOf([&] { second.write(change); }); });
        EXPECT_EQ(other.get(), ErrorCode::unavailable);
    });
    second.write(change);
    EXPECT_EQ(number("SELECT seq FROM users WHERE id = $1", {user.id}), 2);
}

CATALOG_SUITE(EngineTest);

class SqliteEngineTest : public EngineTest {
  protected:
    // Whether works before this one have changed "a" in the same transaction, which is not committed yet.
    bool seesUncommitted(Session& session) {
        std::int64_t inside = 0;
        session.query("SELECT count FROM attempts WHERE attempt_key = 'a'", {},
                      [&](const Row& row) { inside = row.integer(0); });
        return inside > countOf("a");
    }
};

TEST_P(SqliteEngineTest, TheFilesAreReadableByTheOwnerOnly) {
    database().write([](Session& session) { add(session, "a"); });
    int files = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(options().sqliteFile).parent_path())) {
        struct stat status {};
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
        ++files;
    }
    EXPECT_GE(files, 2);
}

TEST_P(SqliteEngineTest, TheJournalIsSyncedWithEveryCommitAndForeignKeysHold) {
    database().write([](Session& session) {
        session.query("PRAGMA synchronous", {}, [](const Row& row) { EXPECT_EQ(row.integer(0), 2); });
        session.query("PRAGMA journal_mode", {}, [](const Row& row) { EXPECT_EQ(row.text(0), "wal"); });
        session.query("PRAGMA foreign_keys", {}, [](const Row& row) { EXPECT_EQ(row.integer(0), 1); });
    });
}

TEST_P(SqliteEngineTest, WorksThatComeWhileAnotherCommitsShareOneTransaction) {
    std::atomic<int> sharing = 0;
    int written = 0;
    untilSeen([&] {
        onThreads(8, [&](int) {
            database().write([&](Session& session) {
                if (seesUncommitted(session)) ++sharing;
                add(session, "a");
            });
        });
        written += 8;
        return sharing > 0;
    });
    EXPECT_EQ(countOf("a"), written);
}

TEST_P(SqliteEngineTest, ATransactionThatSqliteTookAwayFailsOnlyTheWorkThatLostIt) {
    std::atomic<int> lost = 0;
    std::atomic<bool> tookOthersAlong = false;
    int rounds = 0;
    untilSeen([&] {
        onThreads(6, [&](int i) {
            try {
                database().write([&](Session& session) {
                    if (i == 3 && seesUncommitted(session)) tookOthersAlong = true;
                    add(session, "a");
                    if (i == 3) session.script("ROLLBACK");
                });
            } catch (const Error&) {
                EXPECT_EQ(i, 3);
                ++lost;
            }
        });
        ++rounds;
        return tookOthersAlong.load();
    });
    EXPECT_EQ(lost, rounds);
    EXPECT_EQ(countOf("a"), 5 * rounds);
}

TEST_P(SqliteEngineTest, AFullDiskIsSaidAndReadsAndLaterWritesGoOn) {
    database().write([](Session& session) {
        add(session, "a");
        session.script("PRAGMA max_page_count = 1");  // as many as there are now: SQLite never goes below
    });
    const auto fill = [&] {
        database().write([](Session& session) {
            for (int i = 0; i < 2000; ++i) add(session, std::string(200, 'x') + std::to_string(i));
        });
    };
    EXPECT_EQ(errorOf(fill), ErrorCode::storageFull);
    EXPECT_EQ(countOf("a"), 1);
    EXPECT_EQ(number("SELECT COUNT(*) FROM attempts"), 1);
    database().write([](Session& session) { session.script("PRAGMA max_page_count = 1000000"); });
    fill();
    EXPECT_EQ(number("SELECT COUNT(*) FROM attempts"), 2001);
}

INSTANTIATE_TEST_SUITE_P(Engines, SqliteEngineTest, testing::Values(EngineKind::sqlite), nameOfEngine);

class PostgresEngineTest : public EngineTest {};

TEST_P(PostgresEngineTest, ALostIdleConnectionIsReplacedUnnoticed) {
    database().write([](Session& session) { add(session, "a"); });
    endBackends();
    EXPECT_EQ(countOf("a"), 1);
    endBackends();
    database().write([](Session& session) { add(session, "a"); });
    EXPECT_EQ(countOf("a"), 2);
}

TEST_P(PostgresEngineTest, AWriteWhoseConnectionIsLostBeforeCommitRunsAgainOnANewOne) {
    int runs = 0;
    database().write([&](Session& session) {
        add(session, "a");
        if (++runs == 1) {
            endBackends();
            add(session, "a");
        }
    });
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(countOf("a"), 1);
}

TEST_P(PostgresEngineTest, ALossAtCommitIsUnknownAndNotRetried) {
    int runs = 0;
    EXPECT_THROW(database().write([&](Session& session) {
        ++runs;
        add(session, "a");
        endBackends();
    }),
                 CommitUnknown);
    EXPECT_EQ(runs, 1);
    EXPECT_LE(countOf("a"), 1);
}

TEST_P(PostgresEngineTest, ALossAtCommitWithWhatWasExecutedLaterIsUnknown) {
    int runs = 0;
    EXPECT_THROW(database().write([&](Session& session) {
        ++runs;
        add(session, "a");
        addLater(session, "a");
        endBackends();
    }),
                 CommitUnknown);
    EXPECT_EQ(runs, 1);
    EXPECT_THAT(countOf("a"), testing::AnyOf(0, 2));
}

// Runs works of one group such that they come while another of it runs, one after another: what each threw.
std::vector<std::exception_ptr> afterAnother(Database& database, UserId group,
                                             const std::vector<std::function<void(Session&)>>& works) {
    std::vector<std::exception_ptr> errors(works.size());
    std::vector<std::jthread> threads;
    database.writeOf(group, [&](Session&) {
        for (std::size_t i = threads.size(); i < works.size(); ++i) {
            std::atomic<pid_t> thread = 0;
            threads.emplace_back([&, i] {
                thread = ::gettid();
                thread.notify_one();
                try {
                    database.writeOf(group, works[i]);
                } catch (...) {
                    errors[i] = std::current_exception();
                }
            });
            thread.wait(0);
            awaitSleep(thread);
        }
    });
    threads.clear();
    return errors;
}

template <typename ErrorType>
bool is(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const ErrorType&) {
        return true;
    } catch (...) {
    }
    return false;
}

constexpr auto oneGroup = static_cast<UserId>(7);

TEST_P(EngineTest, WorksOfOneGroupThatComeWhileAnotherCommitsShareATransaction) {
    bool seen = false;
    const auto errors = afterAnother(database(), oneGroup,
                                     {[](Session& session) { add(session, "a"); },
                                      [&](Session& session) {
                                          session.query("SELECT count FROM attempts", {},
                                                        [&](const Row& row) { seen = row.integer(0) == 1; });
                                          EXPECT_EQ(countOf("a"), 0) << "it is not committed yet";
                                          addLater(session, "a");
                                      }});
    EXPECT_TRUE(seen);
    EXPECT_THAT(errors, testing::Each(testing::IsNull()));
    EXPECT_EQ(countOf("a"), 2);
}

TEST_P(EngineTest, AFailedWorkOfAGroupUndoesItselfOnly) {
    makeUser("taken");
    struct GivenUp {};
    const auto errors = afterAnother(database(), oneGroup,
                                     {[](Session& session) { addLater(session, "good"); },
                                      [](Session& session) {
                                          addLater(session, "bad");
                                          session.executeLater("INSERT INTO users SELECT * FROM users");
                                      },
                                      [](Session& session) { add(session, "good"); },
                                      [](Session& session) {
                                          add(session, "bad");
                                          session.execute("INSERT INTO users SELECT * FROM users");
                                      },
                                      [](Session& session) {
                                          session.savepoint([&] { addLater(session, "bad"); });
                                          throw GivenUp();
                                      },
                                      [](Session& session) {
                                          EXPECT_THROW(session.savepoint([&] {
                                              addLater(session, "bad");
                                              session.executeLater("INSERT INTO users SELECT * FROM users");
                                          }),
                                                       SqlError);
                                          addLater(session, "good");
                                      }});
    for (const std::size_t good : {0, 2, 5}) EXPECT_FALSE(errors[good]) << good;
    EXPECT_TRUE(is<SqlError>(errors[1]));
    EXPECT_TRUE(is<SqlError>(errors[3]));
    EXPECT_TRUE(is<GivenUp>(errors[4]));
    EXPECT_EQ(countOf("good"), 3);
    EXPECT_EQ(countOf("bad"), 0);
}

TEST_P(PostgresEngineTest, WorksOfAGroupWhoseConnectionIsLostRunAgain) {
    std::atomic<int> runs = 0;
    const auto errors = afterAnother(database(), oneGroup,
                                     {[](Session& session) { add(session, "a"); },
                                      [&](Session& session) {
                                          add(session, "a");
                                          if (++runs == 1) endBackends();
                                          add(session, "a");
                                      },
                                      [](Session& session) { add(session, "a"); }});
    EXPECT_THAT(errors, testing::Each(testing::IsNull()));
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(countOf("a"), 4);
}

TEST_P(PostgresEngineTest, ALossAtCommitIsUnknownToAllWorksOfIt) {
    const auto errors =
        afterAnother(database(), oneGroup,
                     {[](Session& session) { add(session, "a"); },
                      [](Session&) { throw Error(ErrorCode::nameTaken, "which is not known any more"); },
                      [&](Session& session) {
                          add(session, "a");
                          endBackends();
                      }});
    for (const auto& error : errors) EXPECT_TRUE(is<CommitUnknown>(error));
    EXPECT_THAT(countOf("a"), testing::AnyOf(0, 2));
}

TEST_P(PostgresEngineTest, WorksOfDifferentGroupsDoNotWaitForEachOther) {
    database().writeOf(oneGroup, [&](Session& session) {
        add(session, "a");
        std::jthread([&] {
            database().writeOf(static_cast<UserId>(8), [](Session& other) { add(other, "b"); });
        }).join();
        EXPECT_EQ(countOf("b"), 1);
    });
    EXPECT_EQ(countOf("a"), 1);
}

TEST_P(PostgresEngineTest, AReadThatHasHadRowsIsNotRepeated) {
    database().write([](Session& session) { add(session, "a"); });
    int rows = 0;
    EXPECT_EQ(errorOf([&] {
                  database().read([&](Session& session) {
                      session.query("SELECT count FROM attempts", {}, [&](const Row&) { ++rows; });
                      endBackends();
                      session.query("SELECT count FROM attempts", {}, [&](const Row&) { ++rows; });
                  });
              }),
              ErrorCode::unavailable);
    EXPECT_EQ(rows, 1);
}

TEST_P(PostgresEngineTest, ADeadlockIsResolvedByRunningOneAgain) {
    const User a = makeUser("a"), b = makeUser("b");
    const auto touch = [](Session& session, const User& user) {
        session.execute("UPDATE users SET seq = seq + 1 WHERE id = $1", {user.id});
    };
    std::barrier firstLocks(2);
    std::atomic<int> runs = 0;
    onThreads(2, [&](int i) {
        bool first = true;
        database().write([&](Session& session) {
            ++runs;
            touch(session, i == 0 ? a : b);
            if (std::exchange(first, false)) firstLocks.arrive_and_wait();
            touch(session, i == 0 ? b : a);
        });
    });
    EXPECT_GE(runs, 3);  // the one that runs again may come first once more
    EXPECT_EQ(number("SELECT SUM(seq) FROM users"), 4);
}

TEST_P(PostgresEngineTest, AStatementErrorThatWasSwallowedDoesNotCommit) {
    EXPECT_EQ(errorOf([&] {
                  database().write([](Session& session) {
                      add(session, "a");
                      try {
                          session.execute("SELECT nothing FROM nowhere");
                      } catch (const SqlError&) {
                      }
                  });
              }),
              ErrorCode::internal);
    EXPECT_EQ(countOf("a"), 0);
}

TEST_P(PostgresEngineTest, TextThatIsNotUtf8IsRefusedAsAValue) {
    EXPECT_EQ(errorOf([&] { database().write([](Session& session) { add(session, "\xff\xfe"); }); }),
              ErrorCode::invalidValue);
}

TEST_P(PostgresEngineTest, AServerThatCannotBeReachedIsNamedWithoutThePassword) {
    for (const std::string url :
         {"postgresql://user:geheim@127.0.0.1:1/none?connect_timeout=1", "postgresql://user:geheim@[broken/none",
          "host=127.0.0.1 password=geheim", "geheim"}) {
        DatabaseOptions nowhere;
        nowhere.postgresUrl = url;
        try {
            Database database(nowhere);
            database.open();
            ADD_FAILURE() << url;
        } catch (const Error& error) {
            const bool parsed = url.ends_with("=1");
            EXPECT_EQ(error.code(), parsed ? ErrorCode::unavailable : ErrorCode::invalidValue) << url;
            EXPECT_THAT(error.publicMessage() + error.privateDetail(), testing::Not(testing::HasSubstr("geheim")));
        }
    }
}

TEST_P(PostgresEngineTest, UntilTheServerIsReachedEverythingElseIsRefusedAtOnce) {
    test::FreshDatabase fresh;
    DatabaseOptions nowhere;
    nowhere.postgresUrl = fresh.url() + "_is_not_there";
    Database database(nowhere);
    const auto refused = [&](const std::function<void()>& call) {
        try {
            call();
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unavailable);
            EXPECT_TRUE(error.retryAfterS());
        }
    };
    for (int i = 0; i < 2; ++i) {
        EXPECT_FALSE(database.isOpen());
        refused([&] { database.read([](Session&) { ADD_FAILURE(); }); });
        refused([&] { database.write([](Session&) { ADD_FAILURE(); }); });
        refused([&] { (void)database.now(); });
        EXPECT_EQ(errorOf([&] { database.open(); }), ErrorCode::unavailable);
    }
    const std::string name = nowhere.postgresUrl.substr(nowhere.postgresUrl.rfind('/') + 1);
    test::executeSql(test::postgresUrl(), "CREATE DATABASE " + name + " TEMPLATE template0");
    database.open();
    database.open();
    EXPECT_TRUE(database.isOpen());
    EXPECT_GT(database.schemaVersion(), 0);
    test::executeSql(test::postgresUrl(), "DROP DATABASE " + name + " WITH (FORCE)");
}

TEST_P(PostgresEngineTest, AConnectionIsEncryptedWhenItsUrlAsksForThat) {
    const char* encrypting = std::getenv("CHUNKVAULT_TEST_POSTGRES_TLS");
    ASSERT_NE(encrypting, nullptr);
    DatabaseOptions options;
    options.postgresUrl = std::string(encrypting) + "?sslmode=require";
    Database database(options);
    database.open();
    bool encrypted = false;
    database.read([&](Session& session) {
        session.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", {},
                      [&](const Row& row) { encrypted = row.truth(0); });
    });
    EXPECT_TRUE(encrypted);

    options.postgresUrl = test::postgresUrl() + "?sslmode=require";
    Database plain(options);
    EXPECT_EQ(errorOf([&] { plain.open(); }), ErrorCode::unavailable) << "this server cannot encrypt";
    options.postgresUrl = std::string(encrypting) + "?sslmode=verify-full";
    Database strict(options);
    EXPECT_EQ(errorOf([&] { strict.open(); }), ErrorCode::unavailable) << "nobody vouches for its certificate";
}

INSTANTIATE_TEST_SUITE_P(Engines, PostgresEngineTest, testing::Values(EngineKind::postgres), nameOfEngine);

}  // namespace
}  // namespace chunkvault::catalog
