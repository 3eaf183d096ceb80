// Finding an entry and where it stands, inside a transaction. Private to database/catalog.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "database/catalog/session.h"

namespace chunkvault::catalog {

struct Found {
    Entry entry;
    bool inTrash;  // itself, or the nearest thing above it that is not live
};
// Throws Error notFound when it is nothing, another owner's or being purged; notYetComplete when it is only reserved.
[[nodiscard]] Found findEntry(Session& session, UserId owner, FileId file);
// The same, and notFound when it is in the trash.
[[nodiscard]] Entry requireLive(Session& session, UserId owner, FileId file);
// The same, and conflict for the root.
[[nodiscard]] Entry requireChangeable(Session& session, UserId owner, FileId file);

// Whether file is folder or lies below it, and all from file to the root is live.
[[nodiscard]] bool liesWithin(Session& session, UserId owner, FileId file, FileId folder);

// The paths of folders, live or not: "" for the root, "/a/b". Each folder is read once.
class Paths {
  public:
    explicit Paths(Session& session) : session_(session) {}
    [[nodiscard]] std::string of(FileId folder);

  private:
    Session& session_;
    std::unordered_map<FileId, std::string> known_;
};

}  // namespace chunkvault::catalog
