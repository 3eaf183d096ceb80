// What a transaction changed of what one owner has, as Changes tells it later. Private to database/catalog.
#pragma once

#include <vector>

#include "database/catalog/rows.h"

namespace chunkvault::catalog {

struct CommittedFile;

struct ChangeNote {
    ChangeKind kind;
    FileId entry{};
    FileId folder{};  // whose list is another now
    FileId from{};    // the list that it left, if so
    ShareId share{};
    std::int64_t count = 1;
    std::optional<Timestamp> at{};  // when it was not now
};

// Filled while things happen and written by bumpSeq. What a savepoint rolls back has to be taken out by cutTo.
class ChangeNotes {
  public:
    explicit ChangeNotes(Timestamp now) : now_(now) {}

    void entry(ChangeKind kind, FileId entry, FileId folder, FileId from = {}) {
        notes_.push_back({kind, entry, folder, from});
    }
    void committed(const CommittedFile& file);
    void share(ChangeKind kind, ShareId share, FileId file) { notes_.push_back({kind, file, {}, {}, share}); }
    void downloads(ShareId share, FileId file, std::int64_t count, Timestamp at) {
        notes_.push_back({ChangeKind::shareDownloaded, file, {}, {}, share, count, at});
    }
    // A file came through an upload request: beside committed. request: the link.
    void arrived(ShareId request, FileId file) { share(ChangeKind::fileArrived, request, file); }
    void trash() { notes_.push_back({ChangeKind::trash}); }
    void account() { notes_.push_back({ChangeKind::account}); }

    [[nodiscard]] bool empty() const { return notes_.empty(); }
    [[nodiscard]] std::size_t size() const { return notes_.size(); }
    void cutTo(std::size_t size) { notes_.erase(notes_.begin() + static_cast<std::ptrdiff_t>(size), notes_.end()); }

    [[nodiscard]] Timestamp now() const { return now_; }
    // At most maxRows, whatever was noted: many entries become the folders they are in, too much is everything.
    [[nodiscard]] std::vector<ChangeNote> rows() const;

    static constexpr int maxEntries = 50, maxFolders = 50, maxEvents = 100;
    static constexpr int maxRows = maxFolders + maxEvents + 2;

  private:
    Timestamp now_;
    std::vector<ChangeNote> notes_;
};

// To the next revision, and what changed with it: once per change, under the lock. notes must not be empty.
void bumpSeq(Session& session, OwnerRow& owner, const ChangeNotes& notes);

[[nodiscard]] ChangeKind changeKindOf(std::string_view text);

}  // namespace chunkvault::catalog
