// The numbered changes of the schema, embedded at build time. Private to database/catalog.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "database/catalog/engine.h"

namespace chunkvault::catalog {

struct Migration {
    int version;  // 1, 2, ...
    std::string_view name;
    std::string_view sql;  // for both engines
};

// In order, without gaps.
[[nodiscard]] std::span<const Migration> migrations();

// sql as one engine takes it; the head of 0001_initial.sql says what may differ.
[[nodiscard]] std::string sqlFor(std::string_view sql, bool postgres);

// Brings the schema to the last of known in one transaction. Throws Error unavailable for a database with a later one.
void migrate(Engine& engine, std::span<const Migration> known);

[[nodiscard]] int schemaVersion(Engine& engine);

}  // namespace chunkvault::catalog
