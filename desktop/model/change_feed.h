// What happens to the account's files, as GET /changes tells it.
#pragma once

#include <QJsonObject>
#include <QObject>
#include <QTimer>

#include "desktop/api/api_client.h"

namespace chunkvault::desktop {

// Asks as long as it is there: with a wait when the server answers, and less and less often while it does not.
class ChangeFeed final : public QObject {
    Q_OBJECT

  public:
    explicit ChangeFeed(ApiClient& api, QObject* parent = nullptr);

    // From now on. Lists that are read after began is emitted and kept up by changed miss nothing.
    void start();

  signals:
    void began();
    // Several at once, in order; each as in the API's description.
    void changed(const QList<QJsonObject>& changes);
    // What was read before may be wrong: read the lists again.
    void lost();
    // Whether the server answers.
    void online(bool answers, const QString& why);

  private:
    void ask();
    void take(const Answer& answer);

    ApiClient& api_;
    QString cursor_;
    QTimer retry_;
    int failures_ = 0;
};

}  // namespace chunkvault::desktop
