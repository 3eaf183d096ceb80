// What is known of one file or folder: also how safe it is, and its versions.
#pragma once

#include <QWidget>

#include "desktop/api/api_client.h"
#include "desktop/model/entry.h"

class QLabel;
class QTreeWidget;

namespace chunkvault::desktop {

class DetailsPane final : public QWidget {
    Q_OBJECT

  public:
    explicit DetailsPane(ApiClient& api, QWidget* parent = nullptr);

    void show(const Entry& entry);
    void showNothing();
    void showSeveral(int count);

  signals:
    void failed(const QString& what, const chunkvault::desktop::Problem& problem);

  private:
    void ask(const Entry& entry);
    void showSafety(const QJsonObject& info);
    void showVersions(const QJsonArray& versions);
    void restoreVersion();

    ApiClient& api_;
    QString id_;
    std::unique_ptr<QObject> asking_;
    QLabel *name_, *facts_, *safety_, *checksum_;
    QWidget* versionsBox_;
    QTreeWidget* versions_;
};

// "3 of 3 copies, verified 2 days ago", of the answer of GET /files/{id}.
[[nodiscard]] QString safetyInWords(const QJsonObject& info, const QDateTime& now);

}  // namespace chunkvault::desktop
