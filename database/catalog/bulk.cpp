#include "database/catalog/bulk.h"

namespace chunkvault::catalog {

std::vector<BulkResult> forEach(Database& database, UserId owner, std::span<const FileId> files,
                                const std::function<bool(Session&, const OwnerRow&, FileId)>& work) {
    std::vector<BulkResult> results;
    database.write([&](Session& session) {
        results.clear();
        const OwnerRow row = lockOwner(session, owner);
        bool changed = false;
        for (const FileId file : files) {
            BulkResult result{file, std::nullopt};
            try {
                session.savepoint([&] { changed = work(session, row, file) || changed; });
            } catch (const SqlError&) {
                throw;  // the transaction as a whole may run again
            } catch (const Error& error) {
                result.error = error;
            }
            results.push_back(std::move(result));
        }
        if (changed) bumpSeq(session, owner);
    });
    return results;
}

}  // namespace chunkvault::catalog
