// Files and folders of the account in the clipboard and in a drag.
#pragma once

#include <QMimeData>
#include <QStringList>
#include <memory>

namespace chunkvault::desktop {

inline QString idsMimeType() { return QStringLiteral("application/x-chunkvault-ids"); }
inline QString cutMimeType() { return QStringLiteral("application/x-chunkvault-cut"); }

[[nodiscard]] inline std::unique_ptr<QMimeData> mimeOfIds(const QStringList& ids, bool cut = false) {
    auto data = std::make_unique<QMimeData>();
    data->setData(idsMimeType(), ids.join(QLatin1Char('\n')).toUtf8());
    if (cut) data->setData(cutMimeType(), "1");
    return data;
}

[[nodiscard]] inline QStringList idsOf(const QMimeData& data) {
    return QString::fromUtf8(data.data(idsMimeType())).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
}

}  // namespace chunkvault::desktop
