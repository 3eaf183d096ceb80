#include "desktop/model/folder_tree_model.h"

#include <QJsonArray>
#include <algorithm>
#include <utility>

#include "desktop/model/ids_mime.h"

namespace chunkvault::desktop {

namespace {

constexpr int pageEntries = 500;

}  // namespace

struct FolderTreeModel::Node {
    Entry entry;
    Node* parent = nullptr;
    std::vector<std::unique_ptr<Node>> children = {};
    bool known = false;                          // the children have been read, or are being
    std::unique_ptr<QObject> reading = nullptr;  // then: the context of the calls for them
};

FolderTreeModel::FolderTreeModel(ApiClient& api, QString rootFolder, QString rootName, QObject* parent)
    : QAbstractItemModel(parent), api_(api), top_(std::make_unique<Node>()) {
    auto root = std::make_unique<Node>();
    root->entry.id = std::move(rootFolder);
    root->entry.name = std::move(rootName);
    root->parent = top_.get();
    byId_[root->entry.id] = root.get();
    top_->children.push_back(std::move(root));
    top_->known = true;
}

FolderTreeModel::~FolderTreeModel() = default;

FolderTreeModel::Node* FolderTreeModel::nodeOf(const QModelIndex& index) const {
    return index.isValid() ? static_cast<Node*>(index.internalPointer()) : top_.get();
}

QModelIndex FolderTreeModel::indexOf(const Node* node) const {
    if (node == top_.get()) return {};
    const auto& siblings = node->parent->children;
    const auto found =
        std::find_if(siblings.begin(), siblings.end(), [&](const auto& one) { return one.get() == node; });
    return createIndex(static_cast<int>(found - siblings.begin()), 0, node);
}

QModelIndex FolderTreeModel::indexOf(const QString& folderId) const {
    const Node* node = byId_.value(folderId);
    return node == nullptr ? QModelIndex() : indexOf(node);
}

QString FolderTreeModel::idOf(const QModelIndex& index) const { return nodeOf(index)->entry.id; }

QModelIndex FolderTreeModel::index(int row, int column, const QModelIndex& parent) const {
    if (!hasIndex(row, column, parent)) return {};
    return createIndex(row, column, nodeOf(parent)->children[static_cast<std::size_t>(row)].get());
}

QModelIndex FolderTreeModel::parent(const QModelIndex& index) const {
    return index.isValid() ? indexOf(nodeOf(index)->parent) : QModelIndex();
}

int FolderTreeModel::rowCount(const QModelIndex& parent) const {
    return parent.column() > 0 ? 0 : static_cast<int>(nodeOf(parent)->children.size());
}

int FolderTreeModel::columnCount(const QModelIndex&) const { return 1; }

bool FolderTreeModel::hasChildren(const QModelIndex& parent) const {
    const Node* node = nodeOf(parent);
    return !node->children.empty() || !node->known || node->reading != nullptr;
}

QVariant FolderTreeModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    if (role == Qt::DisplayRole || role == Qt::EditRole || role == Qt::ToolTipRole) return nodeOf(index)->entry.name;
    return {};
}

Qt::ItemFlags FolderTreeModel::flags(const QModelIndex& index) const {
    const Qt::ItemFlags flags = QAbstractItemModel::flags(index);
    return index.isValid() ? flags | Qt::ItemIsDropEnabled : flags;
}

bool FolderTreeModel::canFetchMore(const QModelIndex& parent) const { return !nodeOf(parent)->known; }

void FolderTreeModel::fetchMore(const QModelIndex& parent) {
    Node* node = nodeOf(parent);
    if (node->known) return;
    node->known = true;
    node->reading = std::make_unique<QObject>();
    read(node, {});
}

void FolderTreeModel::read(Node* node, const QString& cursor) {
    Request request{.method = "GET", .path = QStringLiteral("/files")};
    request.query.addQueryItem(QStringLiteral("folder_id"), node->entry.id);
    request.query.addQueryItem(QStringLiteral("limit"), QString::number(pageEntries));
    if (!cursor.isEmpty()) request.query.addQueryItem(QStringLiteral("cursor"), cursor);
    api_.call(request, node->reading.get(), [this, node](const Answer& answer) {
        if (!answer.good()) {
            node->known = false;  // so that looking at it again reads it
            node->reading.reset();
            return;
        }
        bool more = true;
        for (const QJsonValue& item : answer.body[QLatin1String("items")].toArray()) {
            const Entry entry = Entry::from(item.toObject());
            if (!entry.isFolder) {  // folders come first
                more = false;
                break;
            }
            put(node, entry);
        }
        const QString next = answer.body[QLatin1String("next_cursor")].toString();
        if (more && !next.isEmpty()) {
            read(node, next);
        } else {
            node->reading.reset();
            emit dataChanged(indexOf(node), indexOf(node));
        }
    });
}

void FolderTreeModel::put(Node* parent, const Entry& entry) {
    const Order order;
    Node* old = byId_.value(entry.id);
    if (old != nullptr) {
        const bool stays = old->parent == parent && old->entry.key == entry.key;
        if (stays) {
            old->entry = entry;
            emit dataChanged(indexOf(old), indexOf(old));
            return;
        }
        // With all below it, which stays open in a view.
        Node* from = old->parent;
        const int row = indexOf(old).row();
        const auto target = std::lower_bound(parent->children.begin(), parent->children.end(), entry,
                                             [&](const auto& node, const Entry& e) { return order(node->entry, e); });
        const int to = static_cast<int>(target - parent->children.begin());
        const bool inPlace = from == parent && (to == row || to == row + 1);
        if (!inPlace && !beginMoveRows(indexOf(from), row, row, indexOf(parent), to)) return;
        old->entry = entry;
        if (!inPlace) {
            std::unique_ptr<Node> moved = std::move(from->children[static_cast<std::size_t>(row)]);
            from->children.erase(from->children.begin() + row);
            moved->parent = parent;
            const int at = from == parent && to > row ? to - 1 : to;
            parent->children.insert(parent->children.begin() + at, std::move(moved));
            endMoveRows();
        }
        emit dataChanged(indexOf(old), indexOf(old));
        return;
    }
    const auto at = std::lower_bound(parent->children.begin(), parent->children.end(), entry,
                                     [&](const auto& node, const Entry& e) { return order(node->entry, e); });
    const int row = static_cast<int>(at - parent->children.begin());
    beginInsertRows(indexOf(parent), row, row);
    auto node = std::make_unique<Node>();
    node->entry = entry;
    node->parent = parent;
    byId_[entry.id] = node.get();
    parent->children.insert(at, std::move(node));
    endInsertRows();
}

void FolderTreeModel::forget(Node* node) {
    byId_.remove(node->entry.id);
    for (const auto& child : node->children) forget(child.get());
}

void FolderTreeModel::remove(Node* node) {
    Node* parent = node->parent;
    const int row = indexOf(node).row();
    beginRemoveRows(indexOf(parent), row, row);
    forget(node);
    parent->children.erase(parent->children.begin() + row);
    endRemoveRows();
}

void FolderTreeModel::apply(const QList<QJsonObject>& changes) {
    for (const QJsonObject& change : changes) {
        const QString what = change[QLatin1String("change")].toString();
        if (what == QLatin1String("everything") || what == QLatin1String("folder")) return reload();
        const QString id = change[QLatin1String("id")].toString();
        if (id.isEmpty() || !change.contains(QLatin1String("entry"))) continue;
        const QJsonObject json = change[QLatin1String("entry")].toObject();
        Node* node = byId_.value(id);
        const bool live = !json.isEmpty() && !json.contains(QLatin1String("trashed_at"));
        if (live && json[QLatin1String("kind")] != QLatin1String("folder")) continue;
        Node* parent = live ? byId_.value(json[QLatin1String("folder_id")].toString()) : nullptr;
        if (parent != nullptr && (parent->known || node != nullptr)) put(parent, Entry::from(json));
        else if (node != nullptr) remove(node);
    }
}

void FolderTreeModel::reveal(const Entry& folder) {
    climbing_ = std::make_unique<QObject>();
    climb({folder});
}

// way: from the folder up.
void FolderTreeModel::climb(std::vector<Entry> way) {
    if (Node* parent = byId_.value(way.back().folderId)) {
        for (auto each = way.rbegin(); each != way.rend(); ++each) {
            put(parent, *each);
            parent = byId_.value(each->id);
        }
        emit revealed(way.front().id);
        return;
    }
    if (way.back().folderId.isEmpty()) return;
    const QString path = QStringLiteral("/files/") + way.back().folderId;
    api_.call({.method = "GET", .path = path}, climbing_.get(),
              [this, way = std::move(way)](const Answer& answer) mutable {
                  if (!answer.good()) return;
                  way.push_back(Entry::from(answer.body));
                  climb(std::move(way));
              });
}

QStringList FolderTreeModel::mimeTypes() const { return {idsMimeType()}; }

bool FolderTreeModel::canDropMimeData(const QMimeData* data, Qt::DropAction, int, int,
                                      const QModelIndex& parent) const {
    return data->hasFormat(idsMimeType()) && parent.isValid() && !idsOf(*data).contains(idOf(parent));
}

bool FolderTreeModel::dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                                   const QModelIndex& parent) {
    if (canDropMimeData(data, action, row, column, parent)) emit dropped(idsOf(*data), idOf(parent));
    return false;
}

void FolderTreeModel::reload() {
    beginResetModel();
    Node* root = top_->children.front().get();
    for (const auto& child : root->children) forget(child.get());
    root->children.clear();
    root->known = false;
    root->reading.reset();
    endResetModel();
}

}  // namespace chunkvault::desktop
