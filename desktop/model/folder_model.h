// The entries of a folder, of a search or of the trash, a page after another.
#pragma once

#include <QAbstractTableModel>
#include <QSet>
#include <memory>
#include <vector>

#include "desktop/api/api_client.h"
#include "desktop/model/entry.h"

namespace chunkvault::desktop {

// What is listed.
struct Place {
    enum class Kind { folder, search, trash };
    Kind kind = Kind::folder;
    QString folderId;  // of a folder
    QString text;      // that is searched for
    bool operator==(const Place&) const = default;
};

class FolderModel final : public QAbstractTableModel {
    Q_OBJECT

  public:
    enum Column { nameColumn, sizeColumn, kindColumn, changedColumn, columnCount_ };
    static constexpr int pageEntries = 500;
    // More changes of the place at once, and it is read again.
    static constexpr int mostSingleChanges = 200;

    explicit FolderModel(ApiClient& api, QObject* parent = nullptr);

    // Forgets what was listed and reads the first page.
    void open(const Place& place);
    void reload() { open(place_); }
    [[nodiscard]] const Place& place() const { return place_; }
    [[nodiscard]] bool isLoading() const { return loading_; }
    // Whether all that there is has been read.
    [[nodiscard]] bool isWhole() const { return whole_; }

    [[nodiscard]] const Entry& entryAt(int row) const { return *entries_[static_cast<std::size_t>(row)]; }
    [[nodiscard]] int rowOf(const QString& id) const;  // -1: not among what has been read

    // Of ChangeFeed. Rows that stay keep their persistent indexes.
    void apply(const QList<QJsonObject>& changes);

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
    // Of the name: asks for it by renamed, and changes nothing itself.
    bool setData(const QModelIndex& index, const QVariant& value, int role) override;
    [[nodiscard]] QStringList mimeTypes() const override;
    [[nodiscard]] QMimeData* mimeData(const QModelIndexList& indexes) const override;
    [[nodiscard]] Qt::DropActions supportedDropActions() const override { return Qt::MoveAction | Qt::CopyAction; }
    bool canDropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                         const QModelIndex& parent) const override;
    bool dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column,
                      const QModelIndex& parent) override;
    [[nodiscard]] bool canFetchMore(const QModelIndex& parent) const override;
    void fetchMore(const QModelIndex& parent) override;
    // By the server, which reads the place again. The kind cannot be sorted by.
    void sort(int column, Qt::SortOrder order) override;

  signals:
    // The first page has come, or all of them.
    void loaded();
    void failed(const chunkvault::desktop::Problem& problem);
    void renamed(const QString& id, const QString& name);
    void dropped(const QStringList& ids, const QString& folderId);

  private:
    void read();
    void take(const QJsonObject& page);
    void applyOne(const QJsonObject& change);
    void put(const QString& id, const QJsonObject& json);
    void remove(const QString& id);

    ApiClient& api_;
    Place place_;
    Order order_;
    std::vector<std::unique_ptr<Entry>> entries_;
    QSet<QString> ids_;
    QString cursor_;                // of the next page
    QList<QJsonObject> meanwhile_;  // told while a page is on its way
    bool loading_ = false;
    bool whole_ = false;
    std::unique_ptr<QObject> reading_;  // the context of the calls for this place: gone with it
};

}  // namespace chunkvault::desktop
