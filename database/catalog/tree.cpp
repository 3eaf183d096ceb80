#include "database/catalog/tree.h"

#include "database/catalog/database.h"
#include "database/catalog/entries.h"
#include "database/catalog/folders.h"
#include "database/catalog/rows.h"

namespace chunkvault::catalog {

namespace {

struct Order {
    std::string_view column;  // "f.size, " or nothing
    bool descending;
    bool numbered;
};

Order orderOf(const ListQuery& query) {
    switch (query.sort) {
        case SortBy::size: return {"f.size, ", query.descending, true};
        case SortBy::modifiedAt: return {"f.modified_at, ", query.descending, true};
        case SortBy::name: break;
    }
    return {"", query.descending, false};
}

// One kind of the entries in a folder: each part is in the order of one key, so that an index can give it.
std::string listSql(const Order& order, bool fromTheStart) {
    const std::string_view direction = order.descending ? " DESC" : "";
    std::string sql = "SELECT " + std::string(entryColumns) + " FROM" + std::string(entryTables) +
                      "WHERE f.folder_id = $1 AND f.kind = $2 AND f.state = 'live'";
    if (!fromTheStart) {
        sql += " AND (" + std::string(order.column) + "f.name_key, f.id)" + (order.descending ? " < " : " > ");
        sql += order.numbered ? "($4, $5, $6)" : "($4, $5)";
    }
    sql += " ORDER BY ";
    if (order.numbered) {
        sql += order.column.substr(0, order.column.size() - 2);
        sql += direction;
        sql += ", ";
    }
    sql += "f.name_key" + std::string(direction) + ", f.id" + std::string(direction) + " LIMIT $3";
    return sql;
}

// Appends rows until the page has limit entries; one row more says that there is a next page.
class PageFiller {
  public:
    PageFiller(Page& page, int limit, SortBy sort) : page_(page), limit_(limit), sort_(sort) {}

    [[nodiscard]] int wanted() const { return limit_ + 1 - static_cast<int>(page_.items.size()); }
    void add(const Row& row) {
        if (static_cast<int>(page_.items.size()) == limit_) {
            page_.next = last_;
            return;
        }
        Entry entry = entryOf(row);
        const std::int64_t number = sort_ == SortBy::size         ? entry.size
                                    : sort_ == SortBy::modifiedAt ? entry.modifiedAt
                                                                  : 0;
        last_ = {entry.kind, row.text(entryNameKeyColumn), number, entry.id};
        page_.items.push_back(std::move(entry));
    }

  private:
    Page& page_;
    int limit_;
    SortBy sort_;
    PageKey last_{};
};

// A path may have a hundred names of 255 bytes, and a page a thousand paths: what is beyond this is on the next page.
constexpr std::size_t maxPathBytes = 512 << 10;

void addPaths(Session& session, Page& page) {
    Paths paths(session);
    std::size_t bytes = 0;
    for (auto entry = page.items.begin(); entry != page.items.end(); ++entry) {
        entry->path = paths.of(*entry->folder) + '/' + entry->name;
        bytes += entry->path.size();
        if (bytes <= maxPathBytes) continue;
        page.items.erase(entry + 1, page.items.end());
        page.next = {entry->kind, FileName::parse(entry->name).key(), entry->trashedAt.value_or(0), entry->id};
        return;
    }
}

const std::string& versionSql() {
    static const std::string sql =
        "SELECT v.n, v.content_id, c.size, c.root, c.sha256, c.sha256_verified, c.chunk_count, v.modified_at, "
        "v.created_at"
        " FROM versions v JOIN contents c ON c.id = v.content_id WHERE v.file_id = $1";
    return sql;
}

Version versionOf(const Row& row) {
    return {row.integer(0),      row.id<ContentId>(1), row.integer(2), row.digest(3), row.maybeDigest(4),
            row.integer(5) != 0, row.integer(6),       row.integer(7), row.integer(8)};
}

}  // namespace

Tree::Tree(Database& database, Clock clock, TreeLimits limits, std::int64_t defaultQuota)
    : database_(database), clock_(std::move(clock)), limits_(limits), defaultQuota_(defaultQuota) {}

Entry Tree::get(UserId owner, FileId file, bool trashToo) {
    std::optional<Entry> entry;
    database_.read([&](Session& session) {
        entry = trashToo ? findEntry(session, owner, file).entry : requireLive(session, owner, file);
    });
    return std::move(*entry);
}

std::vector<Entry> Tree::path(UserId owner, FileId file) {
    static const std::string sql =
        "WITH RECURSIVE up (id, folder_id, step) AS ("
        " SELECT id, folder_id, 0 FROM files WHERE id = $1"
        " UNION ALL SELECT f.id, f.folder_id, up.step + 1 FROM files f JOIN up ON f.id = up.folder_id)"
        " SELECT " +
        std::string(entryColumns) + " FROM" + std::string(entryTables) +
        "WHERE f.id IN (SELECT id FROM up) AND f.folder_id IS NOT NULL"
        " ORDER BY (SELECT step FROM up WHERE up.id = f.id) DESC";
    std::vector<Entry> entries;
    database_.read([&](Session& session) {
        entries.clear();
        (void)requireLive(session, owner, file);
        session.query(sql, {file}, [&](const Row& row) { entries.push_back(entryOf(row)); });
    });
    return entries;
}

Page Tree::list(UserId owner, const ListQuery& query) {
    const Order order = orderOf(query);
    Page page;
    database_.read([&](Session& session) {
        page = {};
        requireLiveFolder(session, owner, query.folder);
        PageFiller filler(page, query.limit, query.sort);
        auto add = [&](const Row& row) { filler.add(row); };
        for (const Kind kind : {Kind::folder, Kind::file}) {
            if (page.next) break;
            const int number = kind == Kind::folder ? 0 : 1;
            if (!query.after || (query.after->kind == Kind::folder && kind == Kind::file)) {
                session.query(listSql(order, true), {query.folder, number, filler.wanted()}, add);
            } else if (query.after->kind == kind) {
                std::vector<Value> values{query.folder, number, filler.wanted()};
                if (order.numbered) values.emplace_back(query.after->number);
                values.emplace_back(query.after->name);
                values.emplace_back(query.after->id);
                session.query(listSql(order, false), values, add);
            }
        }
    });
    return page;
}

Extent Tree::extent(UserId owner, FileId folder, std::int64_t maxEntries) {
    const auto select = [](std::string_view bytes) {
        return "WITH RECURSIVE down (id, path_bytes) AS (SELECT id, " + std::string(bytes) +
               " FROM files f WHERE id = $1 AND owner_id = $2"
               " UNION ALL SELECT f.id, down.path_bytes + 1 + " +
               std::string(bytes) +
               " FROM files f JOIN down ON f.folder_id = down.id WHERE f.state = 'live')"
               " SELECT COUNT(*), COALESCE(SUM(path_bytes), 0)"
               " FROM (SELECT path_bytes FROM down WHERE id <> $1 LIMIT $3) found";
    };
    static const std::string postgres = select("OCTET_LENGTH(f.name)"), sqlite = select("LENGTH(CAST(f.name AS BLOB))");
    Extent extent{};
    database_.read([&](Session& session) {
        session.query(session.isPostgres() ? postgres : sqlite, {folder, owner, maxEntries + 1}, [&](const Row& row) {
            extent = {row.integer(0), row.integer(1)};
        });
    });
    return extent;
}

Page Tree::search(UserId owner, const SearchQuery& query) {
    static const std::string sql =
        "WITH RECURSIVE gone (id) AS ("
        " SELECT id FROM files WHERE owner_id = $1 AND kind = 0 AND state <> 'live'"
        " UNION ALL SELECT f.id FROM files f JOIN gone ON f.folder_id = gone.id WHERE f.kind = 0 AND f.state = 'live')"
        " SELECT " +
        std::string(entryColumns) + " FROM" + std::string(entryTables) +
        "WHERE f.owner_id = $1 AND f.state = 'live' AND f.folder_id IS NOT NULL AND f.folder_id NOT IN (SELECT id FROM "
        "gone)"
        " AND f.name_key LIKE $2 ESCAPE '\\' AND (f.name_key, f.id) > ($3, $4) ORDER BY f.name_key, f.id LIMIT $5";
    const std::string pattern = likePattern(FileName::searchKey(query.text));
    Page page;
    database_.read([&](Session& session) {
        page = {};
        PageFiller filler(page, query.limit, SortBy::name);
        const std::string afterName = query.after ? query.after->name : "";
        const FileId afterId = query.after ? query.after->id : FileId{};
        session.query(sql, {owner, pattern, afterName, afterId, filler.wanted()},
                      [&](const Row& row) { filler.add(row); });
        addPaths(session, page);
    });
    return page;
}

Page Tree::trash(UserId owner, int limit, std::optional<PageKey> after) {
    static const std::string start = "SELECT " + std::string(entryColumns) + " FROM" + std::string(entryTables) +
                                     "WHERE f.owner_id = $1 AND f.state = 'trashed'";
    static const std::string end = " ORDER BY f.trashed_at DESC, f.id DESC LIMIT $2";
    static const std::string first = start + end;
    static const std::string next = start + " AND (f.trashed_at, f.id) < ($3, $4)" + end;
    Page page;
    database_.read([&](Session& session) {
        page = {};
        PageFiller filler(page, limit, SortBy::name);
        auto add = [&](const Row& row) { filler.add(row); };
        if (after) session.query(next, {owner, filler.wanted(), after->number, after->id}, add);
        else session.query(first, {owner, filler.wanted()}, add);
        if (page.next) page.next->number = *page.items.back().trashedAt;
        addPaths(session, page);
    });
    return page;
}

std::vector<Version> Tree::versions(UserId owner, FileId file) {
    static const std::string sql = versionSql() + " ORDER BY v.n DESC";
    std::vector<Version> versions;
    database_.read([&](Session& session) {
        versions.clear();
        (void)requireLive(session, owner, file);
        session.query(sql, {file}, [&](const Row& row) { versions.push_back(versionOf(row)); });
    });
    return versions;
}

Version Tree::version(UserId owner, FileId file, std::int64_t number) {
    static const std::string sql = versionSql() + " AND v.n = $2";
    std::optional<Version> version;
    database_.read([&](Session& session) {
        version.reset();
        (void)requireLive(session, owner, file);
        session.query(sql, {file, number}, [&](const Row& row) { version = versionOf(row); });
    });
    if (!version) throw Error(ErrorCode::notFound, "This file has no such version, or it was deleted.");
    return *version;
}

bool Tree::isWithin(UserId owner, FileId file, FileId folder) {
    bool within = false;
    database_.read([&](Session& session) { within = liesWithin(session, owner, file, folder); });
    return within;
}

std::vector<Tree::Usage> Tree::auditUsage() {
    std::vector<Usage> usages;
    database_.read([&](Session& session) {
        usages.clear();
        session.query(
            "SELECT u.id, u.used, u.reserved,"
            " CAST(COALESCE((SELECT SUM(c.size) FROM files f JOIN versions v ON v.file_id = f.id"
            "   JOIN contents c ON c.id = v.content_id WHERE f.owner_id = u.id), 0) AS BIGINT),"
            " CAST(COALESCE((SELECT SUM(o.reserved) FROM uploads o WHERE o.owner_id = u.id AND o.state = 'open'), 0) "
            "AS BIGINT)"
            " FROM users u ORDER BY u.id",
            {}, [&](const Row& row) {
                usages.push_back({row.id<UserId>(0), row.integer(1), row.integer(2), row.integer(3), row.integer(4)});
            });
    });
    return usages;
}

}  // namespace chunkvault::catalog
