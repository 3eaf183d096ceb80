#include "desktop/model/words.h"

#include <QCoreApplication>
#include <QLocale>
#include <QMimeDatabase>

namespace chunkvault::desktop {

QString sizeInWords(qint64 bytes) {
    return QLocale().formattedDataSize(bytes, bytes < 1000 ? 0 : 1, QLocale::DataSizeSIFormat);
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
