// Links: shares, by which guests get files, with the download tickets of those with a limit, and upload requests, by
// which they bring some. A call about one kind does not find the other. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database/catalog/types.h"

namespace chunkvault::catalog {

class Database;
class Value;

struct NewShare {
    FileId file;  // of the owner; a reserved one (upload under way) too
    std::optional<std::string> passwordHash;
    std::optional<Timestamp> expiresAt;
    std::optional<std::int64_t> maxDownloads;
    ShareKind kind = ShareKind::download;
    std::string title = {};     // these two:
    RequestLimits limits = {};  // of upload requests
};

struct ShareChange {
    std::optional<std::optional<std::string>> passwordHash;  // outer: whether to change, inner: none
    std::optional<std::optional<Timestamp>> expiresAt;
    std::optional<std::optional<std::int64_t>> maxDownloads;
    std::optional<std::string> title;
    std::optional<std::optional<std::int64_t>> maxBytes, maxFileBytes, maxFiles;
    std::optional<std::string> types;
};

// A share as a guest meets it. entry is the shared file or folder as it is now.
struct SharedThing {
    Share share;
    Entry entry;
    std::string ownerName;
    Revision ownerRevision;  // read before entry
};

class Shares {
  public:
    Shares(Database& database, Clock clock);

    // tokenHashOf derives the hash of the token from id and salt; only that hash is stored. An upload request is for a
    // live folder.
    Share create(UserId owner, const NewShare& share, std::string_view salt,
                 const std::function<Sha256Digest(ShareId)>& tokenHashOf);
    [[nodiscard]] Share get(UserId owner, ShareId share, ShareKind kind = ShareKind::download);  // throws notFound
    // Newest first; of one file when given; revoked ones are left out.
    [[nodiscard]] std::vector<Share> list(UserId owner, std::optional<FileId> file, std::optional<ShareId> after,
                                          int limit, ShareKind kind = ShareKind::download);
    Share change(UserId owner, ShareId share, const ShareChange& change, ShareKind kind = ShareKind::download);
    // Uploads under way by it end.
    void revoke(UserId owner, ShareId share, ShareKind kind = ShareKind::download);

    // Unknown, revoked, owner not active, file in trash or gone: notFound. Expired or used up (and no ticket): see
    // open.
    [[nodiscard]] SharedThing resolve(const Sha256Digest& tokenHash, ShareKind kind = ShareKind::download);
    // The same for an upload that was begun by the link.
    [[nodiscard]] SharedThing resolve(ShareId share, ShareKind kind);
    // Throws gone when the share is expired.
    static void checkTime(const Share& share, Timestamp now);
    // Throws gone when its downloads are used up, as spend will.
    static void checkUses(const Share& share);

    // Spends one download, atomically against the limit: throws gone when it is used up or expired, notFound when
    // it was revoked. For a share with a
    // limit it also opens a ticket that lets Range requests go on for 24 h up to twice the bytes, less firstBytes.
    void spend(ShareId share, FileId file, std::int64_t version, std::int64_t bytes, std::int64_t firstBytes,
               const Sha256Digest& ticketHash);
    // Takes bytes from the ticket; false when there is none, it is over, or it has not enough left.
    [[nodiscard]] bool useTicket(ShareId share, const Sha256Digest& ticketHash, FileId file, std::int64_t version,
                                 std::int64_t bytes);

    // Sweep: takes away at most limit rows and says how many; 0: nothing is left to do.
    int expireTickets(int limit);
    // Sweep: of the next limit links, takes away those that were revoked, have expired, or were used up before that
    // time. Until then their owner can prolong those that are not revoked, and guests are told why a link does not
    // work.
    SweptWindow<ShareId> expire(Timestamp overBefore, ShareId after, int limit);

  private:
    [[nodiscard]] SharedThing resolveBy(std::string_view condition, const Value& value, ShareKind kind);

    Database& database_;
    Clock clock_;
};

}  // namespace chunkvault::catalog
