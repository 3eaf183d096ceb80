#include "desktop/model/change_feed.h"

#include <QJsonArray>
#include <algorithm>

namespace chunkvault::desktop {

namespace {

constexpr int waitS = 30;
constexpr int timeoutMs = (waitS + 20) * 1000;
constexpr int firstRetryMs = 1'000, longestRetryMs = 60'000;

}  // namespace

ChangeFeed::ChangeFeed(ApiClient& api, QObject* parent) : QObject(parent), api_(api) {
    retry_.setSingleShot(true);
    connect(&retry_, &QTimer::timeout, this, &ChangeFeed::ask);
}

void ChangeFeed::start() { ask(); }

void ChangeFeed::ask() {
    Request request{.method = "GET", .path = QStringLiteral("/changes"), .timeoutMs = timeoutMs};
    if (!cursor_.isEmpty()) {
        request.query.addQueryItem(QStringLiteral("after"), cursor_);
        // Without a wait after a failure: so it is known at once when the server is there again.
        if (failures_ == 0) request.query.addQueryItem(QStringLiteral("wait"), QString::number(waitS));
    }
    api_.call(request, this, [this](const Answer& answer) { take(answer); });
}

void ChangeFeed::take(const Answer& answer) {
    if (!answer.good()) {
        if (failures_ == 0 || !answer.problem->passes()) emit online(false, answer.problem->text);
        const int pause = std::min(longestRetryMs, firstRetryMs << std::min(failures_, 10));
        ++failures_;
        if (answer.problem->kind != Problem::Kind::signedOut)
            retry_.start(std::max(pause, 1000 * answer.problem->retryAfterS));
        return;
    }
    const bool first = cursor_.isEmpty(), reset = answer.body[QLatin1String("reset")].toBool();
    if (first || failures_ > 0) emit online(true, {});
    failures_ = 0;
    cursor_ = answer.body[QLatin1String("next_cursor")].toString();
    if (first) {
        emit began();
    } else if (reset) {
        emit lost();
    } else {
        QList<QJsonObject> changes;
        for (const QJsonValue& item : answer.body[QLatin1String("items")].toArray()) changes.append(item.toObject());
        if (!changes.isEmpty()) emit changed(changes);
    }
    ask();
}

}  // namespace chunkvault::desktop
