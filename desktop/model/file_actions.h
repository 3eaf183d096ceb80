// What a user does to files and folders: one call each. What comes of it is told by ChangeFeed.
#pragma once

#include <QObject>
#include <QStringList>

#include "desktop/api/api_client.h"

namespace chunkvault::desktop {

// For one thread. Names that clash are kept beside each other when things are moved, copied or restored; a rename and a
// new folder that clash fail.
class FileActions final : public QObject {
    Q_OBJECT

  public:
    explicit FileActions(ApiClient& api, QObject* parent = nullptr) : QObject(parent), api_(api) {}

    void makeFolder(const QString& name, const QString& inFolder);
    void rename(const QString& id, const QString& name);
    void move(const QStringList& ids, const QString& toFolder);
    void copy(const QStringList& ids, const QString& toFolder);
    void trash(const QStringList& ids);
    void restore(const QStringList& ids);
    void purge(const QStringList& ids);
    void emptyTrash();

  signals:
    // what: as a sentence begins, "Could not rename the file".
    void failed(const QString& what, const chunkvault::desktop::Problem& problem);
    void made(const QString& folderId);

  private:
    // In parts of what a call may have; tells of the first thing that failed in each.
    void bulk(const QString& path, const QStringList& ids, const QJsonObject& more, const QString& what);
    void send(const Request& request, const QString& what);

    ApiClient& api_;
};

}  // namespace chunkvault::desktop
