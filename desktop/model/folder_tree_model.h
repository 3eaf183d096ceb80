// The account's folders as a tree; a folder's children are read when somebody looks at them.
#pragma once

#include <QAbstractItemModel>
#include <QHash>
#include <memory>
#include <vector>

#include "desktop/api/api_client.h"
#include "desktop/model/entry.h"

namespace chunkvault::desktop {

class FolderTreeModel final : public QAbstractItemModel {
    Q_OBJECT

  public:
    FolderTreeModel(ApiClient& api, QString rootFolder, QString rootName, QObject* parent = nullptr);
    ~FolderTreeModel() override;

    [[nodiscard]] QString idOf(const QModelIndex& index) const;
    // Invalid when it has not been read.
    [[nodiscard]] QModelIndex indexOf(const QString& folderId) const;

    // Of ChangeFeed.
    void apply(const QList<QJsonObject>& changes);
    // Reads again what was read.
    void reload();
    // Reads what is missing of the way to a folder; then revealed.
    void reveal(const Entry& folder);

    [[nodiscard]] QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    [[nodiscard]] QModelIndex parent(const QModelIndex& index) const override;
    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] bool hasChildren(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
    [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
    [[nodiscard]] bool canFetchMore(const QModelIndex& parent) const override;
    void fetchMore(const QModelIndex& parent) override;
    [[nodiscard]] QStringList mimeTypes() const override;
    [[nodiscard]] Qt::DropActions supportedDropActions() const override { return Qt::MoveAction; }
    bool canDropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                         const QModelIndex& parent) const override;
    bool dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                      const QModelIndex& parent) override;

  signals:
    void revealed(const QString& folderId);
    void dropped(const QStringList& ids, const QString& folderId);

  private:
    struct Node;

    [[nodiscard]] Node* nodeOf(const QModelIndex& index) const;
    [[nodiscard]] QModelIndex indexOf(const Node* node) const;
    void read(Node* node, const QString& cursor);
    void climb(std::vector<Entry> way);
    void put(Node* parent, const Entry& entry);
    void remove(Node* node);
    void forget(Node* node);

    ApiClient& api_;
    std::unique_ptr<Node> top_;  // above the root folder, which is shown
    QHash<QString, Node*> byId_;
    std::unique_ptr<QObject> climbing_;  // the context of the calls of reveal
};

}  // namespace chunkvault::desktop
