#include "desktop/model/entry.h"

#include <tuple>

#include "common/error/error.h"
#include "common/wire/file_name.h"

namespace chunkvault::desktop {

namespace {

QDateTime timeOf(const QJsonValue& value) { return QDateTime::fromString(value.toString(), Qt::ISODateWithMs); }

std::string keyOf(const QString& name) {
    try {
        return FileName::parse(name.toStdString()).key();
    } catch (const Error&) {  // a newer server may allow more than this program does
        return name.toCaseFolded().toStdString();
    }
}

}  // namespace

Entry Entry::from(const QJsonObject& json) {
    Entry entry{.id = json[QLatin1String("id")].toString(),
                .folderId = json[QLatin1String("folder_id")].toString(),
                .name = json[QLatin1String("filename")].toString(),
                .isFolder = json[QLatin1String("kind")].toString() == QLatin1String("folder"),
                .isComplete = json[QLatin1String("status")].toString() != QLatin1String("uploading"),
                .sizeBytes = json[QLatin1String("size")].toInteger(),
                .mimeType = json[QLatin1String("mime_type")].toString(),
                .version = json[QLatin1String("version")].toInt(),
                .sha256 = json[QLatin1String("sha256")].toString(),
                .sha256Verified = json[QLatin1String("sha256_verified")].toBool(),
                .modifiedAt = timeOf(json[QLatin1String("modified_at")]),
                .createdAt = timeOf(json[QLatin1String("created_at")]),
                .path = json[QLatin1String("path")].toString()};
    entry.key = keyOf(entry.name);
    return entry;
}

bool Order::operator()(const Entry& a, const Entry& b) const {
    if (a.isFolder != b.isFolder) return a.isFolder;
    const Entry& first = descending ? b : a;
    const Entry& second = descending ? a : b;
    if (by == SortBy::size && first.sizeBytes != second.sizeBytes) return first.sizeBytes < second.sizeBytes;
    if (by == SortBy::modified && first.modifiedAt != second.modifiedAt) return first.modifiedAt < second.modifiedAt;
    return first.key < second.key;
}

QString Order::parameter() const {
    static constexpr const char* names[] = {"name", "size", "modified_at"};
    return QLatin1String(descending ? "-" : "") + QLatin1String(names[static_cast<int>(by)]);
}

}  // namespace chunkvault::desktop
