#include "database/catalog/change_log.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <set>
#include <utility>

#include "database/catalog/changes.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {

namespace {

constexpr std::array kinds = {
    std::pair{ChangeKind::everything, std::string_view("everything")},
    std::pair{ChangeKind::account, std::string_view("account")},
    std::pair{ChangeKind::trash, std::string_view("trash")},
    std::pair{ChangeKind::folder, std::string_view("folder")},
    std::pair{ChangeKind::created, std::string_view("created")},
    std::pair{ChangeKind::uploaded, std::string_view("uploaded")},
    std::pair{ChangeKind::version, std::string_view("version")},
    std::pair{ChangeKind::changed, std::string_view("changed")},
    std::pair{ChangeKind::renamed, std::string_view("renamed")},
    std::pair{ChangeKind::moved, std::string_view("moved")},
    std::pair{ChangeKind::trashed, std::string_view("trashed")},
    std::pair{ChangeKind::restored, std::string_view("restored")},
    std::pair{ChangeKind::purged, std::string_view("purged")},
    std::pair{ChangeKind::shareCreated, std::string_view("share_created")},
    std::pair{ChangeKind::shareChanged, std::string_view("share_changed")},
    std::pair{ChangeKind::shareRevoked, std::string_view("share_revoked")},
    std::pair{ChangeKind::shareDownloaded, std::string_view("share_downloaded")},
    std::pair{ChangeKind::fileArrived, std::string_view("file_arrived")},
};

bool isOfEntry(ChangeKind kind) { return kind >= ChangeKind::created && kind <= ChangeKind::purged; }

bool concernsTrash(ChangeKind kind) { return kind >= ChangeKind::trashed && kind <= ChangeKind::purged; }

// Trimming now and then costs less than with every change.
constexpr std::int64_t trimEvery = 256;

void trim(Session& session, UserId owner) {
    session.executeLater(
        "DELETE FROM changes WHERE owner_id = $1 AND seq <= (SELECT seq FROM changes WHERE owner_id = $1"
        " ORDER BY seq DESC, n DESC LIMIT 1 OFFSET $2)",
        {owner, Changes::rowsKept});
}

}  // namespace

void ChangeNotes::committed(const CommittedFile& file) {
    const ChangeKind kind = !file.newVersion          ? ChangeKind::changed
                            : file.entry.version == 1 ? ChangeKind::uploaded
                                                      : ChangeKind::version;
    entry(kind, file.entry.id, file.entry.folder.value_or(FileId{}));
}

std::vector<ChangeNote> ChangeNotes::rows() const {
    const auto entries = std::ranges::count_if(notes_, [](const ChangeNote& note) { return isOfEntry(note.kind); });
    if (entries <= maxEntries && std::ssize(notes_) - entries <= maxEvents) return notes_;
    std::vector<ChangeNote> rows;
    std::set<FileId> folders;
    bool trash = false;
    for (const ChangeNote& note : notes_) {
        if (!isOfEntry(note.kind)) {
            rows.push_back(note);
            continue;
        }
        for (const FileId folder : {note.folder, note.from})
            if (folder != FileId{}) folders.insert(folder);
        trash = trash || concernsTrash(note.kind);
    }
    if (std::ssize(folders) > maxFolders || std::ssize(rows) > maxEvents) return {{ChangeKind::everything}};
    for (const FileId folder : folders) rows.push_back({ChangeKind::folder, {}, folder});
    if (trash) rows.push_back({ChangeKind::trash});
    return rows;
}

void bumpSeq(Session& session, OwnerRow& owner, const ChangeNotes& notes) {
    assert(!notes.empty());
    const Revision before = owner.revision;
    owner.revision = {before.seq + 1, newStamp()};
    session.executeLater("UPDATE users SET seq = $1, seq_stamp = $2 WHERE id = $3",
                         {owner.revision.seq, owner.revision.stamp, owner.id});
    int n = 0;
    for (const ChangeNote& row : notes.rows())
        session.executeLater(
            "INSERT INTO changes (owner_id, seq, n, before_stamp, what, at, entry_id, folder_id, share_id, count)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            {owner.id, owner.revision.seq, n++, before.stamp, textOf(row.kind), row.at.value_or(notes.now()), row.entry,
             row.folder, row.share, row.count});
    if (owner.revision.seq % trimEvery == 0) trim(session, owner.id);
}

std::string_view textOf(ChangeKind kind) {
    for (const auto& known : kinds)
        if (known.first == kind) return known.second;
    return kinds.front().second;
}

ChangeKind changeKindOf(std::string_view text) {
    for (const auto& known : kinds)
        if (known.second == text) return known.first;
    return ChangeKind::everything;  // of a newer version
}

}  // namespace chunkvault::catalog
