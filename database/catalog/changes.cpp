#include "database/catalog/changes.h"

#include <map>
#include <tuple>

#include "common/error/error.h"
#include "database/catalog/batch.h"
#include "database/catalog/change_log.h"
#include "database/catalog/database.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

// Downloads that one answer takes in; the next one takes more.
constexpr int maxTakes = 5;

Revision revisionOf(Session& session, UserId owner) {
    std::optional<Revision> revision;
    session.query("SELECT seq, seq_stamp FROM users WHERE id = $1", {owner}, [&](const Row& row) {
        revision = {row.integer(0), row.integer(1)};
    });
    if (!revision) throw Error(ErrorCode::notFound, "There is no such account.");
    return *revision;
}

// After the columns of an Entry.
enum Column {
    seqColumn = entryNameKeyColumn + 1,
    beforeColumn,
    whatColumn,
    atColumn,
    entryColumn,
    folderColumn,
    shareColumn,
    countColumn
};

template <typename IdType>
std::optional<IdType> maybeId(const Row& row, int column) {
    return row.integer(column) == 0 ? std::nullopt : std::optional(row.id<IdType>(column));
}

ChangeItem itemOf(const Row& row) {
    return {changeKindOf(row.text(whatColumn)),
            row.integer(atColumn),
            maybeId<FileId>(row, entryColumn),
            maybeId<FileId>(row, folderColumn),
            maybeId<ShareId>(row, shareColumn),
            row.integer(countColumn),
            row.isNull(0) ? std::nullopt : std::optional(entryOf(row))};
}

bool isDownload(ChangeKind kind) { return kind == ChangeKind::shareDownloaded; }

// Items in the order of their last change, one for each thing.
class Collapsed {
  public:
    void add(ChangeItem item) {
        const auto known = items_.find(places_[keyOf(item)]);
        if (known != items_.end()) {
            if (isDownload(item.kind)) item.count += known->second.count;
            items_.erase(known);
        }
        places_[keyOf(item)] = ++last_;
        items_.emplace(last_, std::move(item));
    }
    [[nodiscard]] std::vector<ChangeItem> take() {
        std::vector<ChangeItem> taken;
        for (auto& place : items_) taken.push_back(std::move(place.second));
        return taken;
    }

  private:
    using Key = std::tuple<int, FileId, FileId, ShareId>;
    static Key keyOf(const ChangeItem& item) {
        const FileId entry = item.entry.value_or(FileId{});
        const ShareId share = item.share.value_or(ShareId{});
        switch (item.kind) {
            case ChangeKind::everything:
            case ChangeKind::account:
            case ChangeKind::trash:
            case ChangeKind::folder: return {static_cast<int>(item.kind), {}, item.folder.value_or(FileId{}), {}};
            case ChangeKind::shareCreated:
            case ChangeKind::shareChanged:
            case ChangeKind::shareRevoked: return {static_cast<int>(ChangeKind::shareChanged), {}, {}, share};
            case ChangeKind::shareDownloaded:
            case ChangeKind::fileArrived: return {static_cast<int>(item.kind), entry, {}, share};
            default: return {static_cast<int>(ChangeKind::changed), entry, {}, {}};
        }
    }

    std::map<Key, int> places_;  // where in items_
    std::map<int, ChangeItem> items_;
    int last_ = 0;
};

}  // namespace

ChangesPage Changes::after(UserId owner, std::optional<Revision> revision) {
    static const std::string select =
        "SELECT " + std::string(entryColumns) +
        ", g.seq, g.before_stamp, g.what, g.at, g.entry_id, g.folder_id, g.share_id, g.count FROM changes g"
        " LEFT JOIN files f ON f.id = g.entry_id AND f.owner_id = g.owner_id AND f.state IN ('live', 'trashed')"
        " LEFT JOIN versions v ON v.file_id = f.id AND v.n = f.version LEFT JOIN contents c ON c.id = v.content_id"
        " WHERE g.owner_id = $1 AND g.seq > $2 AND g.seq <= $3 ORDER BY g.seq, g.n LIMIT $4";
    for (int takes = 0; takes < maxTakes && takeDownloads(owner);) ++takes;
    ChangesPage page;
    database_.read([&](Session& session) {
        page = {};
        page.next = revisionOf(session, owner);
        if (!revision || *revision == page.next) return;
        Collapsed items;
        // Each change names the revision before it, so that one that is missing, or is of another history, shows.
        bool follows = false;
        int rows = 0;
        std::int64_t lastSeq = 0;
        session.query(select, {owner, revision->seq, page.next.seq, pageRows + ChangeNotes::maxRows + 1},
                      [&](const Row& row) {
                          const Revision before{row.integer(seqColumn) - 1, row.integer(beforeColumn)};
                          if (!follows && !(before == *revision)) return;
                          follows = true;
                          if (page.more) return;
                          if (before.seq >= lastSeq && rows >= pageRows) {
                              page.more = true;
                              page.next = before;
                              return;
                          }
                          lastSeq = before.seq + 1;
                          ++rows;
                          items.add(itemOf(row));
                      });
        page.reset = !follows;
        if (follows) page.items = items.take();
    });
    return page;
}

// The next revision of the owner has the downloads that were counted so far; false: there are none, or these were all.
bool Changes::takeDownloads(UserId owner) {
    bool any = false;
    database_.read([&](Session& session) {
        any =
            session.query("SELECT 1 FROM share_downloads WHERE owner_id = $1 LIMIT 1", {owner}, [](const Row&) {}) > 0;
    });
    if (!any) return false;
    database_.write([&](Session& session) {
        OwnerRow row = lockOwner(session, owner);
        ChangeNotes notes(clock_());
        session.query(
            "DELETE FROM share_downloads WHERE owner_id = $1 AND (share_id, file_id) IN"
            " (SELECT share_id, file_id FROM share_downloads WHERE owner_id = $1 LIMIT $2)"
            " RETURNING share_id, file_id, count, last_at",
            {owner, ChangeNotes::maxEvents}, [&](const Row& taken) {
                notes.downloads(taken.id<ShareId>(0), taken.id<FileId>(1), taken.integer(2), taken.integer(3));
            });
        any = notes.size() == ChangeNotes::maxEvents;
        if (!notes.empty()) bumpSeq(session, row, notes);
    });
    return any;
}

std::vector<Changes::State> Changes::poll(std::span<const UserId> owners) {
    static const BatchSql select(
        "WITH w (id) AS (VALUES {rows}) SELECT u.id, u.seq, u.seq_stamp,"
        " CASE WHEN EXISTS (SELECT 1 FROM share_downloads d WHERE d.owner_id = u.id) THEN 1 ELSE 0 END"
        " FROM w JOIN users u ON u.id = w.id",
        0, 1);
    const std::vector<Value> ids(owners.begin(), owners.end());
    std::vector<State> states;
    database_.read([&](Session& session) {
        states.clear();
        select.query(session, {}, ids, [&](const Row& row) {
            states.push_back({row.id<UserId>(0), {row.integer(1), row.integer(2)}, row.truth(3)});
        });
    });
    return states;
}

SweptWindow<UserId> Changes::expire(Timestamp before, UserId after, int limit) {
    std::vector<UserId> owners;
    SweptWindow<UserId> swept;
    database_.read([&](Session& session) {
        owners.clear();
        swept = {after, 0, 0};
        session.query(
            "SELECT u.id, (SELECT g.at FROM changes g WHERE g.owner_id = u.id ORDER BY g.seq, g.n LIMIT 1)"
            " FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2",
            {after, limit}, [&](const Row& row) {
                swept.last = row.id<UserId>(0);
                ++swept.examined;
                if (!row.isNull(1) && row.integer(1) < before) owners.push_back(swept.last);
            });
    });
    for (const UserId owner : owners) {
        std::int64_t gone = 0;
        database_.write([&](Session& session) {
            // What is left must have no gap, so that one that is fresh keeps all that came after it.
            gone = session.execute(
                "DELETE FROM changes WHERE owner_id = $1 AND (seq < (SELECT MIN(seq) FROM changes WHERE owner_id = $1"
                " AND at >= $2) OR NOT EXISTS (SELECT 1 FROM changes WHERE owner_id = $1 AND at >= $2))",
                {owner, before});
        });
        swept.changed += gone;
    }
    if (swept.examined > 0)
        database_.write([&](Session& session) {
            session.execute("DELETE FROM share_downloads WHERE owner_id > $1 AND owner_id <= $2 AND last_at < $3",
                            {after, swept.last, before});
        });
    return swept;
}

}  // namespace chunkvault::catalog
