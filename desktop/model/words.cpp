#include "desktop/model/words.h"

#include <QCoreApplication>
#include <QLocale>
#include <QMimeDatabase>

namespace chunkvault::desktop {

QString sizeInWords(qint64 bytes) {
    return QLocale().formattedDataSize(bytes, bytes < 1000 ? 0 : 1, QLocale::DataSizeSIFormat);
}

QString agoInWords(const QDateTime& then, const QDateTime& now) {
    constexpr qint64 minuteS = 60, hourS = 60 * minuteS, dayS = 24 * hourS;
    const qint64 seconds = then.secsTo(now);
    const auto words = [&](const char* text, qint64 unitS) {
        return QCoreApplication::translate("chunkvault::desktop", text, nullptr, static_cast<int>(seconds / unitS));
    };
    if (seconds < minuteS) return QCoreApplication::translate("chunkvault::desktop", "just now");
    if (seconds < 2 * hourS) return words(QT_TRANSLATE_N_NOOP("chunkvault::desktop", "%n minutes ago"), minuteS);
    if (seconds < 2 * dayS) return words(QT_TRANSLATE_N_NOOP("chunkvault::desktop", "%n hours ago"), hourS);
    return words(QT_TRANSLATE_N_NOOP("chunkvault::desktop", "%n days ago"), dayS);
}

QString kindInWords(const Entry& entry) {
    if (entry.isFolder) return QCoreApplication::translate("chunkvault::desktop", "Folder");
    if (!entry.isComplete) return QCoreApplication::translate("chunkvault::desktop", "Being uploaded");
    static const QMimeDatabase types;
    const QMimeType type = types.mimeTypeForName(entry.mimeType);
    return type.isValid() && !type.isDefault() ? type.comment()
                                               : QCoreApplication::translate("chunkvault::desktop", "File");
}

}  // namespace chunkvault::desktop
