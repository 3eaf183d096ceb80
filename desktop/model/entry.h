// A file or folder, as lists of the server have it.
#pragma once

#include <QDateTime>
#include <QJsonObject>
#include <QString>
#include <string>

namespace chunkvault::desktop {

struct Entry {
    QString id;
    QString folderId;
    QString name;
    bool isFolder = false;
    bool isComplete = true;  // false: a file whose first upload is under way
    qint64 sizeBytes = 0;    // of a file
    QString mimeType;
    int version = 0;
    QString sha256;  // in hex; empty while nobody has read the file whole
    bool sha256Verified = false;
    QDateTime modifiedAt, createdAt;
    QString path;     // of a search: the folders above, "a/b"
    std::string key;  // the name as the server sorts it

    [[nodiscard]] static Entry from(const QJsonObject& json);
};

enum class SortBy { name, size, modified };

// How the server orders a list, save for entries that are equal in it: folders first, always up.
struct Order {
    SortBy by = SortBy::name;
    bool descending = false;
    [[nodiscard]] bool operator()(const Entry& a, const Entry& b) const;
    bool operator==(const Order&) const = default;
    [[nodiscard]] QString parameter() const;  // for "sort"
};

}  // namespace chunkvault::desktop
