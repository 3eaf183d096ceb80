#include "desktop/model/folder_model.h"

#include <QJsonArray>
#include <QLocale>
#include <algorithm>
#include <utility>

#include "desktop/model/ids_mime.h"
#include "desktop/model/words.h"

namespace chunkvault::desktop {

FolderModel::FolderModel(ApiClient& api, QObject* parent) : QAbstractTableModel(parent), api_(api) {}

void FolderModel::open(const Place& place) {
    beginResetModel();
    place_ = place;
    entries_.clear();
    ids_.clear();
    meanwhile_.clear();
    cursor_.clear();
    whole_ = false;
    loading_ = true;  // what watches the model asks for more as soon as it is reset
    reading_ = std::make_unique<QObject>();
    endResetModel();
    read();
}

int FolderModel::rowOf(const QString& id) const {
    if (!ids_.contains(id)) return -1;
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->id == id; });
    return static_cast<int>(found - entries_.begin());
}

bool FolderModel::canFetchMore(const QModelIndex& parent) const {
    return !parent.isValid() && !whole_ && !loading_ && reading_ != nullptr;
}

void FolderModel::fetchMore(const QModelIndex& parent) {
    if (canFetchMore(parent)) read();
}

void FolderModel::read() {
    loading_ = true;
    Request request{.method = "GET"};
    request.path = QLatin1String(place_.kind == Place::Kind::trash ? "/trash" : "/files");
    request.query.addQueryItem(QStringLiteral("limit"), QString::number(pageEntries));
    if (place_.kind == Place::Kind::folder) {
        if (!place_.folderId.isEmpty()) request.query.addQueryItem(QStringLiteral("folder_id"), place_.folderId);
        request.query.addQueryItem(QStringLiteral("sort"), order_.parameter());
    } else if (place_.kind == Place::Kind::search) {
        request.query.addQueryItem(QStringLiteral("q"), QString::fromLatin1(QUrl::toPercentEncoding(place_.text)));
    }
    if (!cursor_.isEmpty()) request.query.addQueryItem(QStringLiteral("cursor"), cursor_);
    api_.call(request, reading_.get(), [this](const Answer& answer) {
        loading_ = false;
        if (answer.good()) take(answer.body);
        else emit failed(*answer.problem);
    });
}

void FolderModel::take(const QJsonObject& page) {
    const QJsonArray items = page[QLatin1String("items")].toArray();
    std::vector<std::unique_ptr<Entry>> fresh;
    fresh.reserve(static_cast<std::size_t>(items.size()));
    for (const QJsonValue& item : items) {
        auto entry = std::make_unique<Entry>(Entry::from(item.toObject()));
        // A change may have brought it while the page was on its way.
        if (ids_.contains(entry->id)) continue;
        ids_.insert(entry->id);
        fresh.push_back(std::move(entry));
    }
    const bool first = cursor_.isEmpty();
    cursor_ = page[QLatin1String("next_cursor")].toString();
    whole_ = cursor_.isEmpty();
    if (!fresh.empty()) {
        const int before = rowCount();
        beginInsertRows({}, before, before + static_cast<int>(fresh.size()) - 1);
        std::move(fresh.begin(), fresh.end(), std::back_inserter(entries_));
        endInsertRows();
    }
    // The page may be older than what was told while it was on its way.
    for (const QJsonObject& change : std::exchange(meanwhile_, {})) applyOne(change);
    if (first || whole_) emit loaded();
}

void FolderModel::apply(const QList<QJsonObject>& changes) {
    if (reading_ == nullptr || place_.kind == Place::Kind::search) return;
    int here = 0;
    for (const QJsonObject& change : changes) {
        const QString what = change[QLatin1String("change")].toString();
        const QString folder = change[QLatin1String("folder_id")].toString();
        const bool inTrash = place_.kind == Place::Kind::trash;
        if (what == QLatin1String("everything") || (inTrash && what == QLatin1String("trash")) ||
            (!inTrash && what == QLatin1String("folder") && folder == place_.folderId))
            return reload();
        if (ids_.contains(change[QLatin1String("id")].toString()) || folder == place_.folderId) ++here;
    }
    if (here > mostSingleChanges) return reload();
    for (const QJsonObject& change : changes) applyOne(change);
    if (loading_) meanwhile_ += changes;
}

void FolderModel::applyOne(const QJsonObject& change) {
    const QString id = change[QLatin1String("id")].toString();
    if (id.isEmpty() || !change.contains(QLatin1String("entry"))) return;
    const QJsonObject entry = change[QLatin1String("entry")].toObject();
    const bool trashed = entry.contains(QLatin1String("trashed_at"));
    const bool belongs = !entry.isEmpty() && (place_.kind == Place::Kind::trash
                                                  ? trashed
                                                  : !trashed && entry[QLatin1String("folder_id")] == place_.folderId);
    if (belongs) put(id, entry);
    else remove(id);
}

void FolderModel::put(const QString& id, const QJsonObject& json) {
    auto entry = std::make_unique<Entry>(Entry::from(json));
    const int old = rowOf(id);
    // The trash is sorted by when things came into it: a new one is first, an old one stays.
    const bool sorted = place_.kind == Place::Kind::folder;
    const auto inOrder = [&](const auto& a, const auto& b) { return order_(*a, *b); };
    if (old >= 0) {
        auto& slot = entries_[static_cast<std::size_t>(old)];
        const bool moves = sorted && (order_(*slot, *entry) || order_(*entry, *slot));
        if (!moves) {
            slot = std::move(entry);
            emit dataChanged(index(old, 0), index(old, columnCount_ - 1));
            return;
        }
        const auto target = std::lower_bound(entries_.begin(), entries_.end(), entry, inOrder);
        const int row = static_cast<int>(target - entries_.begin());
        slot = std::move(entry);
        if (row != old && row != old + 1) {
            beginMoveRows({}, old, old, {}, row);
            const auto from = entries_.begin() + old, to = entries_.begin() + row;
            if (row > old) std::rotate(from, from + 1, to);
            else std::rotate(to, from, from + 1);
            endMoveRows();
        }
        const int now = row > old ? row - 1 : row;
        emit dataChanged(index(now, 0), index(now, columnCount_ - 1));
        return;
    }
    const auto at = sorted ? std::lower_bound(entries_.begin(), entries_.end(), entry, inOrder) : entries_.begin();
    // Beyond what has been read: a later page brings it.
    if (at == entries_.end() && !whole_) return;
    const int row = static_cast<int>(at - entries_.begin());
    beginInsertRows({}, row, row);
    ids_.insert(id);
    entries_.insert(at, std::move(entry));
    endInsertRows();
}

void FolderModel::remove(const QString& id) {
    const int row = rowOf(id);
    if (row < 0) return;
    beginRemoveRows({}, row, row);
    ids_.remove(id);
    entries_.erase(entries_.begin() + row);
    endRemoveRows();
}

int FolderModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(entries_.size());
}

int FolderModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : columnCount_; }

QVariant FolderModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    const Entry& entry = entryAt(index.row());
    if (role == Qt::DisplayRole || (role == Qt::EditRole && index.column() == nameColumn)) {
        switch (index.column()) {
            case nameColumn: return entry.name;
            case sizeColumn: return entry.isFolder ? QVariant() : QVariant(sizeInWords(entry.sizeBytes));
            case kindColumn: return kindInWords(entry);
            case changedColumn: return QLocale().toString(entry.modifiedAt.toLocalTime(), QLocale::ShortFormat);
            default: return {};
        }
    }
    if (role == Qt::TextAlignmentRole && index.column() == sizeColumn)
        return QVariant::fromValue(Qt::Alignment(Qt::AlignRight | Qt::AlignVCenter));
    if (role == Qt::ToolTipRole && index.column() == nameColumn) return entry.path.isEmpty() ? entry.name : entry.path;
    if (role == Qt::AccessibleTextRole && index.column() == nameColumn)
        return tr("%1, %2").arg(entry.name, kindInWords(entry));
    return {};
}

QVariant FolderModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
    switch (section) {
        case nameColumn: return tr("Name");
        case sizeColumn: return tr("Size");
        case kindColumn: return tr("Kind");
        case changedColumn: return tr("Changed");
        default: return {};
    }
}

Qt::ItemFlags FolderModel::flags(const QModelIndex& index) const {
    Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    if (!index.isValid()) return flags;
    flags |= Qt::ItemIsDragEnabled | Qt::ItemNeverHasChildren;
    if (index.column() == nameColumn && place_.kind != Place::Kind::trash) flags |= Qt::ItemIsEditable;
    if (entryAt(index.row()).isFolder && place_.kind != Place::Kind::trash) flags |= Qt::ItemIsDropEnabled;
    return flags;
}

bool FolderModel::setData(const QModelIndex& index, const QVariant& value, int role) {
    if (role != Qt::EditRole || !index.isValid() || index.column() != nameColumn) return false;
    const Entry& entry = entryAt(index.row());
    const QString name = value.toString();
    if (name.isEmpty() || name == entry.name) return false;
    emit renamed(entry.id, name);
    return true;
}

QStringList FolderModel::mimeTypes() const { return {idsMimeType()}; }

QMimeData* FolderModel::mimeData(const QModelIndexList& indexes) const {
    QStringList ids;
    for (const QModelIndex& index : indexes)
        if (index.column() == nameColumn) ids.append(entryAt(index.row()).id);
    return mimeOfIds(ids).release();
}

bool FolderModel::canDropMimeData(const QMimeData* data, Qt::DropAction, int, int, const QModelIndex& parent) const {
    if (!data->hasFormat(idsMimeType()) || !parent.isValid() || place_.kind == Place::Kind::trash) return false;
    const Entry& onto = entryAt(parent.row());
    return onto.isFolder && !idsOf(*data).contains(onto.id);
}

bool FolderModel::dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                               const QModelIndex& parent) {
    if (canDropMimeData(data, action, row, column, parent)) emit dropped(idsOf(*data), entryAt(parent.row()).id);
    return false;  // the rows go when the server says so, not when the drag ends
}

void FolderModel::sort(int column, Qt::SortOrder order) {
    static constexpr SortBy columns[] = {SortBy::name, SortBy::size, SortBy::name, SortBy::modified};
    if (column < 0 || column >= columnCount_ || column == kindColumn) return;
    const Order wanted{columns[column], order == Qt::DescendingOrder};
    if (wanted == order_) return;
    order_ = wanted;
    if (reading_ != nullptr && place_.kind == Place::Kind::folder) reload();
}

}  // namespace chunkvault::desktop
