// The catalog: everything the vault knows that is not bytes of files. One door to the database.
#pragma once

#include "database/catalog/accounts.h"
#include "database/catalog/changes.h"
#include "database/catalog/chunks.h"
#include "database/catalog/database.h"
#include "database/catalog/nodes.h"
#include "database/catalog/shares.h"
#include "database/catalog/tree.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {

struct CatalogOptions {
    DatabaseOptions database;
    UploadLimits uploads;
    TreeLimits tree;
    std::int64_t defaultQuota = 0;  // bytes; 0: unlimited
};

struct Catalog {
    Catalog(const CatalogOptions& options, const Clock& clock)
        : database(options.database),
          accounts(database, clock),
          tree(database, clock, options.tree, options.defaultQuota),
          uploads(database, clock, options.uploads, options.tree, options.defaultQuota),
          chunks(database, clock, options.uploads.replicationFactor),
          nodes(database, options.uploads.replicationFactor),
          shares(database, clock),
          changes(database, clock) {}

    Database database;
    Accounts accounts;
    Tree tree;
    Uploads uploads;
    Chunks chunks;
    Nodes nodes;
    Shares shares;
    Changes changes;
};

}  // namespace chunkvault::catalog
