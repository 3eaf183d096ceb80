#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <libpq-fe.h>

#include "database/catalog/engine.h"
#include "database/catalog/shared_commits.h"

namespace chunkvault::catalog {

namespace {

constexpr int maxAttempts = 5;
constexpr int oldestServer = 120'000;  // as PQserverVersion says it
constexpr int idleInTransactionMs = 60'000;
constexpr Oid boolOid = 16, byteaOid = 17, bigintOid = 20, textOid = 25;  // of pg_type

struct FreeResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

struct CloseConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};

SqlFailure failureOf(std::string_view state) {
    if (state == "23505") return SqlFailure::unique;
    if (state == "23503") return SqlFailure::foreignKey;
    if (state == "23514" || state == "23502") return SqlFailure::check;
    if (state == "40001" || state == "40P01") return SqlFailure::serialization;
    if (state == "53100") return SqlFailure::full;
    if (state == "55P03" || state == "57014" || state.starts_with("53")) return SqlFailure::busy;
    if (state == "22021") return SqlFailure::badText;
    if ((state.starts_with("08") && state != "08P01") || state.starts_with("57P")) return SqlFailure::connectionLost;
    return SqlFailure::other;
}

[[noreturn]] void throwType(int column, std::string_view expected) {
    throw Error(ErrorCode::internal, "Something went wrong on the server.",
                "column " + std::to_string(column) + " is not " + std::string(expected));
}

class PostgresRow : public Row {
  public:
    PostgresRow(const PGresult* result, int row) : result_(result), row_(row) {}

    [[nodiscard]] bool isNull(int column) const override {
        if (column < 0 || column >= PQnfields(result_)) throwType(column, "in the result");
        return PQgetisnull(result_, row_, column) != 0;
    }
    [[nodiscard]] std::int64_t integer(int column) const override {
        const std::string_view digits = value(column, "an integer");
        if (PQftype(result_, column) == boolOid) return digits == "t" ? 1 : 0;
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (error != std::errc() || end != digits.data() + digits.size()) throwType(column, "an integer");
        return number;
    }
    [[nodiscard]] std::string text(int column) const override { return std::string(value(column, "text")); }
    [[nodiscard]] Sha256Digest digest(int column) const override {
        const std::string_view hex = value(column, "a digest");
        const auto digest = hex.starts_with("\\x") ? Sha256Digest::fromHex(hex.substr(2)) : std::nullopt;
        if (!digest) throwType(column, "a digest");
        return *digest;
    }
    [[nodiscard]] std::string bytes(int column) const override {
        const std::string hex(value(column, "bytes"));
        std::size_t size = 0;
        const std::unique_ptr<unsigned char, decltype(&PQfreemem)> raw(
            PQunescapeBytea(reinterpret_cast<const unsigned char*>(hex.c_str()), &size), PQfreemem);
        if (!hex.starts_with("\\x") || raw == nullptr) throwType(column, "bytes");
        return {reinterpret_cast<const char*>(raw.get()), size};
    }

  private:
    [[nodiscard]] std::string_view value(int column, std::string_view expected) const {
        if (isNull(column)) throwType(column, expected);
        return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
    }

    const PGresult* result_;
    int row_;
};

class PostgresSession : public Session {
  public:
    // Connects; throws Error unavailable without the password.
    PostgresSession(const std::string& url, std::chrono::milliseconds lockTimeout) {
        // What comes before dbname gives way to the URL, what comes after does not.
        const std::array<const char*, 7> names = {"application_name",
                                                  "connect_timeout",
                                                  "keepalives_idle",
                                                  "tcp_user_timeout",
                                                  "dbname",
                                                  "client_encoding",
                                                  nullptr};
        const std::array<const char*, 7> values = {"chunkvault", "5", "30", "60000", url.c_str(), "UTF8", nullptr};
        connection_.reset(PQconnectdbParams(names.data(), values.data(), 1));
        if (PQstatus(connection_.get()) != CONNECTION_OK)
            throw Error(ErrorCode::unavailable, "The database cannot be reached. Try again in a few seconds.",
                        std::string("cannot connect to PostgreSQL: ") + PQerrorMessage(connection_.get()))
                .retryAfter(2);
        PQsetNoticeProcessor(
            connection_.get(), [](void*, const char*) {}, nullptr);
        // A server set to lose acknowledged commits is not taken at its word; stricter settings than "on" stay.
        script("SET default_transaction_read_only = on; SET bytea_output = hex; SET lock_timeout = " +
               std::to_string(lockTimeout.count()) +
               "; SET idle_in_transaction_session_timeout = " + std::to_string(idleInTransactionMs) +
               "; SELECT set_config('synchronous_commit', 'on', false)"
               " WHERE current_setting('synchronous_commit') IN ('off', 'local')");
    }

    [[nodiscard]] bool isReusable() const {
        return !isLost() && PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
    }
    [[nodiscard]] bool isLost() const { return PQstatus(connection_.get()) != CONNECTION_OK; }
    // Statements that gave an answer since the last call.
    [[nodiscard]] bool takeAnswered() { return std::exchange(answered_, false); }

    [[nodiscard]] bool isPostgres() const override { return true; }

    void script(const std::string& sql) override {
        sendDeferred();
        simple(sql.c_str());
    }

    void copyIn(const std::string& sql, const std::function<void(const Send&)>& work) override {
        sendDeferred();
        const Result begun(PQexec(connection_.get(), sql.c_str()));
        if (PQresultStatus(begun.get()) != PGRES_COPY_IN) check(begun.get(), sql);
        try {
            work([&](std::string_view piece) {
                if (PQputCopyData(connection_.get(), piece.data(), static_cast<int>(piece.size())) != 1)
                    throw SqlError(SqlFailure::connectionLost, PQerrorMessage(connection_.get()));
            });
        } catch (...) {
            PQputCopyEnd(connection_.get(), "given up");
            while (const Result rest{PQgetResult(connection_.get())}) {
            }
            throw;
        }
        PQputCopyEnd(connection_.get(), nullptr);
        const Result copied(PQgetResult(connection_.get()));
        while (const Result rest{PQgetResult(connection_.get())}) {
        }
        check(copied.get(), sql);
    }

    // As 150004 for 15.4.
    [[nodiscard]] int serverVersion() const { return PQserverVersion(connection_.get()); }

    // Begins with the first statement.
    void begin() {
        deferred_.clear();
        depth_ = 0;
        deferred_.push_back({beginText});
    }
    void commit() {
        if (deferred_.size() == 1 && deferred_.front().sql == beginText) return deferred_.clear();
        if (isLost()) throw SqlError(SqlFailure::connectionLost, "the connection was lost before COMMIT");
        Result result;
        try {
            result = afterDeferred(
                [&] {
                    return PQsendQueryParams(connection_.get(), commitText, 0, nullptr, nullptr, nullptr, nullptr, 0);
                },
                [&] { return PQexec(connection_.get(), commitText); });
        } catch (const SqlError& error) {
            // COMMIT was on its way with what was deferred.
            if (error.failure() == SqlFailure::connectionLost) throw CommitUnknown(error.what());
            throw;
        }
        if (isLost() || result == nullptr) throw CommitUnknown(PQerrorMessage(connection_.get()));
        check(result.get(), commitText);
        // A transaction in which a statement failed answers COMMIT with ROLLBACK, and calls that a success.
        if (std::strcmp(PQcmdStatus(result.get()), commitText) != 0)
            throw SqlError(SqlFailure::other, "the transaction was rolled back: a statement in it had failed");
    }
    void rollback() noexcept {
        deferred_.clear();
        if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) PQclear(PQexec(connection_.get(), "ROLLBACK"));
    }

  protected:
    std::int64_t run(std::string_view sql, const Value* values, std::size_t count, RowCallback callback,
                     void* context) override {
        const Parameters parameters(values, count);
        const std::string& name = prepared(sql, parameters.types).second;
        const Result result = afterDeferred(
            [&] { return send(name, parameters); },
            [&] {
                return PQexecPrepared(connection_.get(), name.c_str(), parameters.count(), parameters.starts.data(),
                                      parameters.lengths.data(), parameters.formats.data(), 0);
            });
        check(result.get(), sql);
        if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
            return std::strtoll(PQcmdTuples(result.get()), nullptr, 10);
        }
        const int rows = PQntuples(result.get());
        if (callback != nullptr)
            for (int row = 0; row < rows; ++row) callback(context, PostgresRow(result.get(), row));
        return rows;
    }
    void runLater(std::string_view sql, const Value* values, std::size_t count) override {
        auto parameters = std::make_unique<Parameters>(values, count);
        parameters->keep();
        const Prepared& statement = prepared(sql, parameters->types);
        if (deferred_.size() >= maxDeferred) sendDeferred();
        deferred_.push_back(
            {std::string_view(statement.first).substr(0, sql.size()), &statement.second, std::move(parameters)});
    }
    void settle() override {
        if (std::any_of(deferred_.begin(), deferred_.end(),
                        [](const Deferred& later) { return later.name != nullptr; }))
            sendDeferred();
    }
    void beginSavepoint() override {
        deferred_.push_back({savepoints.at(depth_).begin});
        ++depth_;
    }
    void rollbackSavepoint() noexcept override {
        const Savepoint& savepoint = savepoints[--depth_];
        const auto unsent = std::find_if(deferred_.rbegin(), deferred_.rend(),
                                         [&](const Deferred& later) { return later.sql == savepoint.begin; });
        if (unsent != deferred_.rend()) {
            deferred_.erase(unsent.base() - 1, deferred_.end());
            return;
        }
        deferred_.clear();  // of what is rolled back
        // If this fails, so does every later statement, and COMMIT.
        PQclear(PQexec(connection_.get(), savepoint.rollback));
    }
    void releaseSavepoint() override {
        const Savepoint& savepoint = savepoints[--depth_];
        if (!deferred_.empty() && deferred_.back().sql == savepoint.begin) deferred_.pop_back();
        else deferred_.push_back({savepoint.release});
    }

  private:
    static constexpr const char *beginText = "BEGIN READ WRITE", *commitText = "COMMIT";
    // By depth, each with a name of its own: one whose RELEASE was never run must not be taken for the one around it.
    struct Savepoint {
        const char *begin, *release, *rollback;
    };
    static constexpr std::array savepoints = {
        Savepoint{"SAVEPOINT s0", "RELEASE s0", "ROLLBACK TO s0; RELEASE s0"},
        Savepoint{"SAVEPOINT s1", "RELEASE s1", "ROLLBACK TO s1; RELEASE s1"},
        Savepoint{"SAVEPOINT s2", "RELEASE s2", "ROLLBACK TO s2; RELEASE s2"},
    };

    static constexpr std::size_t maxDeferred = 64;

    using Prepared = std::pair<const std::string, std::string>;  // text and types of the values, and the name

    // As libpq takes them. Refers to the values' bytes until keep() has copied them.
    struct Parameters {
        Parameters(const Value* values, std::size_t count)
            : starts(count), lengths(count), formats(count), types(count), numbers(count) {
            for (std::size_t i = 0; i < count; ++i) {
                const auto& value = values[i].variant();
                if (const auto* number = std::get_if<std::int64_t>(&value)) {
                    *std::to_chars(numbers[i].data(), numbers[i].data() + numbers[i].size() - 1, *number).ptr = '\0';
                    starts[i] = numbers[i].data();
                    types[i] = bigintOid;
                } else if (const auto* text = std::get_if<std::string_view>(&value)) {
                    setBytes(i, *text, textOid);
                } else if (const auto* blob = std::get_if<Value::Blob>(&value)) {
                    setBytes(i, blob->bytes, byteaOid);
                }
            }
        }
        Parameters(const Parameters&) = delete;
        Parameters& operator=(const Parameters&) = delete;

        [[nodiscard]] int count() const { return static_cast<int>(starts.size()); }

        void keep() {
            for (std::size_t i = 0; i < starts.size(); ++i)
                if (formats[i] == 1) starts[i] = bytes.emplace_back(starts[i], lengths[i]).data();
        }

        std::vector<const char*> starts;
        std::vector<int> lengths, formats;
        std::vector<Oid> types;
        std::vector<std::array<char, 24>> numbers;
        std::deque<std::string> bytes;

      private:
        // Binary: text and bytea are sent as they are, with their length.
        void setBytes(std::size_t i, std::string_view value, Oid type) {
            starts[i] = value.empty() ? "" : value.data();
            lengths[i] = static_cast<int>(value.size());
            formats[i] = 1;
            types[i] = type;
        }
    };

    // Goes with the next statement: BEGIN, SAVEPOINT, RELEASE, and what was executed later.
    struct Deferred {
        std::string_view sql;
        const std::string* name = nullptr;  // of the prepared statement
        std::unique_ptr<Parameters> parameters;
    };

    int send(const std::string& name, const Parameters& parameters) {
        return PQsendQueryPrepared(connection_.get(), name.c_str(), parameters.count(), parameters.starts.data(),
                                   parameters.lengths.data(), parameters.formats.data(), 0);
    }
    int send(const Deferred& statement) {
        return statement.name == nullptr ? PQsendQueryParams(connection_.get(), statement.sql.data(), 0, nullptr,
                                                             nullptr, nullptr, nullptr, 0)
                                         : send(*statement.name, *statement.parameters);
    }

    void sendDeferred() {
        if (!deferred_.empty()) (void)afterDeferred(nullptr, nullptr);
    }

    // What was deferred, and one more statement, in one round trip: its result. alone: runs the statement when nothing
    // was deferred. Both nullptr: only what was deferred.
    Result afterDeferred(const std::function<int()>& sendStatement, const std::function<PGresult*()>& alone) {
        if (deferred_.empty()) return Result(alone());
        PGconn* connection = connection_.get();
        const std::vector<Deferred> statements = std::exchange(deferred_, {});
        bool sent = PQenterPipelineMode(connection) == 1;
        for (const Deferred& statement : statements) sent = sent && send(statement) == 1;
        sent = sent && (!sendStatement || sendStatement() == 1) && PQpipelineSync(connection) == 1;
        std::vector<Result> results;
        for (std::size_t i = 0; sent && i < statements.size() + (sendStatement ? 1 : 0); ++i) {
            results.emplace_back(PQgetResult(connection));
            while (const Result rest{PQgetResult(connection)}) {
            }
        }
        if (sent) PQclear(PQgetResult(connection));  // of the sync
        if (PQexitPipelineMode(connection) != 1 || !sent)
            throw SqlError(SqlFailure::connectionLost, PQerrorMessage(connection));
        for (std::size_t i = 0; i < statements.size(); ++i) check(results[i].get(), statements[i].sql);
        return std::move(results.back());
    }

    // A NULL has no type of its own and takes that of its place; so a text with other NULLs is another statement.
    const Prepared& prepared(std::string_view sql, const std::vector<Oid>& types) {
        key_.assign(sql);
        for (const Oid type : types) key_ += static_cast<char>(type);
        const auto found = statements_.find(key_);
        if (found != statements_.end()) return *found;
        sendDeferred();
        std::string name = "s" + std::to_string(statements_.size());
        const std::string text(sql);
        const Result result(
            PQprepare(connection_.get(), name.c_str(), text.c_str(), static_cast<int>(types.size()), types.data()));
        check(result.get(), sql);
        return *statements_.emplace(key_, std::move(name)).first;
    }

    void simple(const char* sql) {
        const Result result(PQexec(connection_.get(), sql));
        check(result.get(), sql);
    }

    void check(const PGresult* result, std::string_view sql) {
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            answered_ = true;
            return;
        }
        const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const SqlFailure failure =
            isLost() ? SqlFailure::connectionLost : failureOf(state == nullptr ? std::string_view() : state);
        std::string message = PQresultErrorMessage(result);
        if (message.empty()) message = PQerrorMessage(connection_.get());
        throw SqlError(failure, "PostgreSQL " + std::string(state == nullptr ? "" : state) + ": " + message +
                                    " in: " + std::string(sql));
    }

    std::unique_ptr<PGconn, CloseConnection> connection_;
    std::unordered_map<std::string, std::string> statements_;  // text and types of the values to name
    std::string key_;
    std::vector<Deferred> deferred_;
    std::size_t depth_ = 0;  // of savepoints
    bool answered_ = false;
};

std::unique_ptr<PostgresSession> connect(const DatabaseOptions& options) {
    return std::make_unique<PostgresSession>(options.postgresUrl, options.waitTimeout);
}

void pauseBeforeAttempt(int attempt) {
    thread_local std::minstd_rand random{std::random_device{}()};
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(500, 4000 * attempt)(random)));
}

class PostgresEngine : public Engine {
  public:
    explicit PostgresEngine(const DatabaseOptions& options)
        : waitTimeout_(options.waitTimeout),
          pool_(options.sessions, options.waitTimeout, [options] { return connect(options); }) {}

    void open() override {
        const auto lease = pool_.acquire();
        if ((*lease).serverVersion() < oldestServer)
            throw Error(ErrorCode::unavailable, "The database cannot be opened.",
                        "the PostgreSQL server has the version " + std::to_string((*lease).serverVersion() / 10'000) +
                            "; it must be " + std::to_string(oldestServer / 10'000) + " or later");
        (*lease).query("SELECT current_setting('server_encoding')", {}, [](const Row& row) {
            if (row.text(0) != "UTF8")
                throw Error(ErrorCode::unavailable, "The database cannot be opened.",
                            "the PostgreSQL database has the encoding " + row.text(0) + "; it must be UTF8");
        });
    }

    void read(const std::function<void(Session&)>& work) override {
        auto lease = pool_.acquire();
        (void)(*lease).takeAnswered();
        for (int attempt = 1;; ++attempt) {
            try {
                return work(*lease);
            } catch (const SqlError& error) {
                const bool unanswered = !(*lease).takeAnswered();
                if (error.failure() != SqlFailure::connectionLost || !unanswered || attempt == maxAttempts) throw;
            }
            lease.reopen();
        }
    }

    void write(const std::function<void(Session&)>& work) override {
        auto lease = pool_.acquire();
        for (int attempt = 1;; ++attempt) {
            SqlFailure failure;
            try {
                (*lease).begin();
                work(*lease);
                return (*lease).commit();
            } catch (const SqlError& error) {
                (*lease).rollback();
                failure = error.failure();
                if (attempt == maxAttempts) throw;
                if (failure != SqlFailure::serialization && failure != SqlFailure::connectionLost) throw;
            } catch (...) {
                (*lease).rollback();
                throw;
            }
            if (failure == SqlFailure::connectionLost) lease.reopen();
            else pauseBeforeAttempt(attempt);
        }
    }

    void writeOf(std::int64_t group, const std::function<void(Session&)>& work) override {
        const std::shared_ptr<SharedCommits> commits = commitsOf(group);
        commits->run(work);
    }

    void migrate(const std::function<void(Session&)>& work) override {
        constexpr std::int64_t lockNumber = 0x4368'756e'6b56;  // "ChunkV"
        write([&](Session& session) {
            session.script("SET LOCAL lock_timeout = '10min'; SET LOCAL idle_in_transaction_session_timeout = 0");
            session.query("SELECT 1 FROM pg_advisory_xact_lock($1)", {lockNumber}, [](const Row&) {});
            work(session);
        });
    }

    [[nodiscard]] bool isPostgres() const override { return true; }

    [[nodiscard]] Timestamp now() override {
        Timestamp now = 0;
        read([&](Session& session) {
            session.query("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", {},
                          [&](const Row& row) { now = row.integer(0); });
        });
        return now;
    }

  private:
    std::shared_ptr<SharedCommits> commitsOf(std::int64_t group) {
        const std::lock_guard lock(mutex_);
        std::erase_if(groups_, [](const auto& idle) { return idle.second.expired(); });
        std::weak_ptr<SharedCommits>& known = groups_[group];
        auto commits = known.lock();
        if (!commits)
            known = commits = std::make_shared<SharedCommits>(
                waitTimeout_, [this](const std::vector<SharedCommits::Work*>& works) { runBatch(works); });
        return commits;
    }

    void runBatch(const std::vector<SharedCommits::Work*>& works) noexcept {
        try {
            if (works.size() == 1) return write(works.front()->run);
            write([&](Session& session) {
                for (SharedCommits::Work* work : works) runInSavepoint(session, *work);
            });
        } catch (...) {
            for (SharedCommits::Work* work : works) work->error = std::current_exception();
        }
    }

    // Throws what concerns the whole transaction.
    static void runInSavepoint(Session& session, SharedCommits::Work& work) {
        work.error = nullptr;
        try {
            session.savepoint([&] { work.run(session); });
        } catch (const SqlError& error) {
            const SqlFailure failure = error.failure();
            if (failure == SqlFailure::serialization || failure == SqlFailure::connectionLost ||
                failure == SqlFailure::busy)
                throw;
            work.error = std::current_exception();
        } catch (...) {
            work.error = std::current_exception();
        }
    }

    const std::chrono::milliseconds waitTimeout_;
    Pool<PostgresSession> pool_;
    std::mutex mutex_;
    std::map<std::int64_t, std::weak_ptr<SharedCommits>> groups_;  // those that have works now
};

// A URL that does not parse would be quoted, password and all, in libpq's message.
void requireUrl(const std::string& url) {
    char* message = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
    PQfreemem(message);
    const bool parsed = options != nullptr;
    PQconninfoFree(options);
    if (!parsed || !(url.starts_with("postgresql://") || url.starts_with("postgres://")))
        throw Error(ErrorCode::invalidValue,
                    "DATABASE_URL cannot be parsed; it looks like postgresql://user:password@host/name.");
}

}  // namespace

std::unique_ptr<Engine> openPostgres(const DatabaseOptions& options) {
    requireUrl(options.postgresUrl);
    return std::make_unique<PostgresEngine>(options);
}

}  // namespace chunkvault::catalog
