// From the embedded server's SQLite to a cluster's PostgreSQL: the catalog as it is, ids and all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "database/catalog/database.h"

namespace chunkvault::catalog {

struct ExportReport {
    struct Table {
        std::string name;
        std::int64_t rows;
    };
    std::vector<Table> tables;  // in the order in which they were copied
};

// Told after a table, and now and then in a long one: the rows of it that were copied so far.
using ExportProgress = std::function<void(const std::string& table, std::int64_t rows)>;

// Copies all tables of a SQLite catalog, which nobody else uses meanwhile, into an empty database in one transaction,
// and makes its schema first. Ids that were ever used are not given out again there; the stores are down until their
// nodes report. Throws conflict when the database has rows already, unavailable when it cannot be reached, or when what
// arrived is not what was sent: nothing is copied then.
ExportReport exportTo(Database& from, const std::string& postgresUrl, const ExportProgress& progress);

}  // namespace chunkvault::catalog
