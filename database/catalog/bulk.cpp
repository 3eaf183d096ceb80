#include "database/catalog/bulk.h"

namespace chunkvault::catalog {

std::vector<BulkResult> forEach(Database& database, UserId owner, std::span<const FileId> files, Timestamp now,
                                const std::function<void(Session&, const OwnerRow&, FileId, ChangeNotes&)>& work) {
    std::vector<BulkResult> results;
    database.write([&](Session& session) {
        results.clear();
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(now);
        for (const FileId file : files) {
            BulkResult result{file, std::nullopt};
            const std::size_t before = notes.size();
            try {
                session.savepoint([&] { work(session, row, file, notes); });
            } catch (const SqlError&) {
                throw;  // the transaction as a whole may run again
            } catch (const Error& error) {
                notes.cutTo(before);
                result.error = error;
            }
            results.push_back(std::move(result));
        }
        if (!notes.empty()) bumpSeq(session, row, notes);
    });
    return results;
}

}  // namespace chunkvault::catalog
