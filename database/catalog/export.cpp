#include "database/catalog/export.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <set>

#include "common/error/error.h"
#include "common/wire/utf8.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

constexpr std::size_t bytesAtOnce = 256 << 10;  // of COPY's text
constexpr std::int64_t rowsBetweenReports = 100'000;

struct Column {
    std::string name;
    enum class Type { integer, text, blob } type;
};

struct Table {
    std::string name;
    std::vector<Column> columns;
    std::set<std::string> refersTo;
    std::optional<std::int64_t> highestId;  // ever used, where the database gives them out
};

Column::Type typeOf(const std::string& table, const std::string& declared) {
    if (declared == "INTEGER" || declared == "BIGINT") return Column::Type::integer;
    if (declared == "TEXT") return Column::Type::text;
    if (declared == "BLOB") return Column::Type::blob;
    throw Error(ErrorCode::internal, "Something went wrong on the server.",
                "the table " + table + " has a column of the type " + declared);
}

// All but what belongs to the database itself, those that others refer to first.
std::vector<Table> tablesOf(Session& source) {
    std::map<std::string, Table> left;
    source.query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND name <> 'migrations'",
        {}, [&](const Row& row) { left[row.text(0)].name = row.text(0); });
    for (auto& entry : left) {
        const std::string& name = entry.first;
        Table& table = entry.second;
        source.query("SELECT name, type FROM pragma_table_info($1) ORDER BY cid", {name}, [&](const Row& row) {
            table.columns.push_back({row.text(0), typeOf(name, row.text(1))});
        });
        source.query("SELECT \"table\" FROM pragma_foreign_key_list($1)", {name}, [&](const Row& row) {
            if (row.text(0) != name) table.refersTo.insert(row.text(0));
        });
        source.query("SELECT seq FROM sqlite_sequence WHERE name = $1", {name},
                     [&](const Row& row) { table.highestId = row.integer(0); });
    }
    std::vector<Table> ordered;
    while (!left.empty()) {
        const auto next = std::ranges::find_if(left, [&](const auto& entry) {
            return std::ranges::none_of(entry.second.refersTo,
                                        [&](const std::string& name) { return left.contains(name); });
        });
        assert(next != left.end());
        ordered.push_back(std::move(next->second));
        left.erase(next);
    }
    return ordered;
}

std::string namesOf(const Table& table) {
    std::string names;
    for (const Column& column : table.columns) names += (names.empty() ? "" : ", ") + column.name;
    return names;
}

// As COPY reads it.
void append(std::string& line, const Row& row, int index, Column::Type type) {
    if (row.isNull(index)) {
        line += "\\N";
        return;
    }
    switch (type) {
        case Column::Type::integer: line += std::to_string(row.integer(index)); return;
        case Column::Type::text:
            // SQLite takes any bytes for a text, PostgreSQL does not.
            for (const char c : wire::validUtf8(row.text(index))) {
                switch (c) {
                    case '\\': line += "\\\\"; break;
                    case '\n': line += "\\n"; break;
                    case '\r': line += "\\r"; break;
                    case '\t': line += "\\t"; break;
                    default: line += c;
                }
            }
            return;
        case Column::Type::blob: break;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    line += "\\\\x";
    for (const char c : row.bytes(index)) {
        const auto byte = static_cast<unsigned char>(c);
        line += digits[byte >> 4];
        line += digits[byte & 15];
    }
}

std::int64_t countOf(Session& session, const Table& table) {
    std::int64_t count = 0;
    session.query("SELECT COUNT(*) FROM " + table.name, {}, [&](const Row& row) { count = row.integer(0); });
    return count;
}

void requireEmpty(Session& target, const std::vector<Table>& tables) {
    std::string names;
    for (const Table& table : tables) names += (names.empty() ? "" : ", ") + table.name;
    target.script("SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE " + names + " IN EXCLUSIVE MODE");
    for (const Table& table : tables)
        if (countOf(target, table) > 0)
            throw Error(ErrorCode::conflict, "The database that DATABASE_URL names is not empty: its table " +
                                                 table.name + " has rows. Export into a new one.");
}

std::int64_t copy(Session& source, Session& target, const Table& table, const ExportProgress& progress) {
    std::int64_t rows = 0;
    target.copyIn("COPY " + table.name + " (" + namesOf(table) + ") FROM STDIN", [&](const Session::Send& send) {
        std::string lines;
        source.query("SELECT " + namesOf(table) + " FROM " + table.name, {}, [&](const Row& row) {
            for (std::size_t i = 0; i < table.columns.size(); ++i) {
                if (i > 0) lines += '\t';
                append(lines, row, static_cast<int>(i), table.columns[i].type);
            }
            lines += '\n';
            if (++rows % rowsBetweenReports == 0) progress(table.name, rows);
            if (lines.size() < bytesAtOnce) return;
            send(lines);
            lines.clear();
        });
        send(lines);
    });
    progress(table.name, rows);
    return rows;
}

}  // namespace

ExportReport exportTo(Database& from, const std::string& postgresUrl, const ExportProgress& progress) {
    assert(!from.isPostgres());
    DatabaseOptions options;
    options.postgresUrl = postgresUrl;
    options.sessions = 1;
    Database to(options);
    to.open();
    ExportReport report;
    from.read([&](Session& source) {
        const std::vector<Table> tables = tablesOf(source);
        to.write([&](Session& target) {
            report.tables.clear();
            requireEmpty(target, tables);
            for (const Table& table : tables) {
                const std::int64_t rows = copy(source, target, table, progress);
                if (countOf(target, table) != rows || countOf(source, table) != rows)
                    throw Error(ErrorCode::unavailable, "The copy of the catalog is not complete.",
                                "not all rows of " + table.name + " arrived");
                if (table.highestId.value_or(0) > 0)
                    target.query("SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", {table.name, *table.highestId},
                                 [](const Row&) {});
                report.tables.push_back({table.name, rows});
            }
            // The folders of the server that was are nowhere now, until their nodes report.
            target.execute("UPDATE stores SET state = 'down', state_since = $1 WHERE state <> 'removed'",
                           {databaseNow(target)});
        });
    });
    // The tables were empty when PostgreSQL last looked.
    to.write([](Session& session) { session.script("ANALYZE"); });
    return report;
}

}  // namespace chunkvault::catalog
