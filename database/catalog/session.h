// One connection's statements: prepared once per connection on the native handle, typed in and out, errors mapped.
// One SQL text serves both engines: $1 placeholders, RETURNING, ON CONFLICT, CTEs, window functions, CAST; no now(),
// ILIKE, = ANY, ::type. A parameter that may be NULL where PostgreSQL cannot tell its type from its place ("$1 IS
// NULL") is written CAST($1 AS BIGINT). Not thread-safe; lives inside Database::read and Database::write.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

// What a constraint or the engine said, for the few places that act on it.
enum class SqlFailure {
    unique,
    foreignKey,
    check,          // or NOT NULL
    serialization,  // or a deadlock: the transaction may succeed when it runs again
    busy,           // a lock did not come in time, or the server has no room for more
    connectionLost,
    full,     // the disk
    badText,  // NUL, or not UTF-8
    other,
};

class SqlError : public Error {
  public:
    SqlError(SqlFailure failure, std::string detail);
    [[nodiscard]] SqlFailure failure() const { return failure_; }

  private:
    SqlFailure failure_;
};

// A parameter. Blobs and text are kept apart; views must live until execute returns.
class Value {
  public:
    Value(std::nullopt_t) {}  // NOLINT(google-explicit-constructor): parameters are written in place
    Value(std::int64_t number) : value_(number) {}                      // NOLINT(google-explicit-constructor)
    Value(int number) : value_(std::int64_t{number}) {}                 // NOLINT(google-explicit-constructor)
    Value(bool truth) : value_(std::int64_t{truth}) {}                  // NOLINT(google-explicit-constructor)
    Value(std::string_view text) : value_(text) {}                      // NOLINT(google-explicit-constructor)
    Value(const std::string& text) : value_(std::string_view(text)) {}  // NOLINT(google-explicit-constructor)
    Value(const char* text) : value_(std::string_view(text)) {}         // NOLINT(google-explicit-constructor)
    Value(const Sha256Digest& digest) : value_(Blob{digest.raw()}) {}   // NOLINT(google-explicit-constructor)
    template <typename IdType>
    requires std::is_enum_v<IdType> Value(IdType id)
        : value_(static_cast<std::int64_t>(id)) {}  // NOLINT(google-explicit-constructor)
    template <typename T>
    Value(const std::optional<T>& maybe) {  // NOLINT(google-explicit-constructor)
        if (maybe) *this = Value(*maybe);
    }

    struct Blob {
        std::string_view bytes;
    };
    using Variant = std::variant<std::monostate, std::int64_t, std::string_view, Blob>;
    [[nodiscard]] const Variant& variant() const { return value_; }

  private:
    Variant value_;
};

// The current row of a result. Columns from 0. A wrong type or NULL where none is expected is an internal Error.
class Row {
  public:
    virtual ~Row() = default;
    [[nodiscard]] virtual bool isNull(int column) const = 0;
    [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
    [[nodiscard]] virtual std::string text(int column) const = 0;
    [[nodiscard]] virtual Sha256Digest digest(int column) const = 0;
    [[nodiscard]] virtual std::string bytes(int column) const = 0;  // a blob of any length

    [[nodiscard]] bool truth(int column) const { return integer(column) != 0; }
    template <typename IdType>
    [[nodiscard]] IdType id(int column) const {
        return static_cast<IdType>(integer(column));
    }
    [[nodiscard]] std::optional<std::int64_t> maybeInteger(int column) const {
        return isNull(column) ? std::nullopt : std::optional(integer(column));
    }
    [[nodiscard]] std::optional<std::string> maybeText(int column) const {
        return isNull(column) ? std::nullopt : std::optional(text(column));
    }
    [[nodiscard]] std::optional<Sha256Digest> maybeDigest(int column) const {
        return isNull(column) ? std::nullopt : std::optional(digest(column));
    }
};

class Session {
  public:
    virtual ~Session() = default;

    // Runs sql and calls each for every row. sql must have static lifetime or be one of few texts: it is the key of the
    // prepared statement. Returns the number of rows changed or given. each may run other statements, and the same one
    // again. Throws SqlError.
    std::int64_t execute(std::string_view sql, std::initializer_list<Value> values = {}) {
        return run(sql, values.begin(), values.size(), nullptr, nullptr);
    }
    template <typename Each>
    std::int64_t query(std::string_view sql, std::initializer_list<Value> values, Each&& each) {
        return queryWith(sql, values.begin(), values.size(), each);
    }
    template <typename Each>
    std::int64_t query(std::string_view sql, const std::vector<Value>& values, Each&& each) {
        return queryWith(sql, values.data(), values.size(), each);
    }
    std::int64_t execute(std::string_view sql, const std::vector<Value>& values) {
        return run(sql, values.data(), values.size(), nullptr, nullptr);
    }
    // As execute, for a statement whose answer is not needed: it may go out with the next one or with COMMIT, which
    // throws then what it would have thrown. Only inside Database::write.
    void executeLater(std::string_view sql, std::initializer_list<Value> values = {}) {
        runLater(sql, values.begin(), values.size());
    }
    void executeLater(std::string_view sql, const std::vector<Value>& values) {
        runLater(sql, values.data(), values.size());
    }
    // Several statements at once, without parameters and results: DDL.
    virtual void script(const std::string& sql) = 0;

    // COPY ... FROM STDIN, on PostgreSQL only: work sends the lines, in pieces of any size.
    using Send = std::function<void(std::string_view piece)>;
    virtual void copyIn(const std::string& sql, const std::function<void(const Send&)>& work) = 0;

    // Runs work inside a savepoint; a throw rolls back to it and goes on up.
    template <typename Work>
    void savepoint(Work&& work) {
        beginSavepoint();
        try {
            work();
            settle();  // what was executed later in it fails in it
        } catch (...) {
            rollbackSavepoint();
            throw;
        }
        releaseSavepoint();
    }

    [[nodiscard]] virtual bool isPostgres() const = 0;

  protected:
    using RowCallback = void (*)(void* context, const Row& row);
    virtual std::int64_t run(std::string_view sql, const Value* values, std::size_t count, RowCallback callback,
                             void* context) = 0;
    virtual void runLater(std::string_view sql, const Value* values, std::size_t count) {
        run(sql, values, count, nullptr, nullptr);
    }
    virtual void settle() {}
    virtual void beginSavepoint() = 0;
    virtual void rollbackSavepoint() noexcept = 0;
    virtual void releaseSavepoint() = 0;

  private:
    template <typename Each>
    std::int64_t queryWith(std::string_view sql, const Value* values, std::size_t count, Each& each) {
        return run(
            sql, values, count, [](void* context, const Row& row) { (*static_cast<Each*>(context))(row); },
            const_cast<void*>(static_cast<const void*>(&each)));
    }
};

}  // namespace chunkvault::catalog
