// A local file, read once from its beginning to its end in chunks.
#pragma once

#include <QByteArray>
#include <QDateTime>
#include <QFile>
#include <QString>
#include <optional>

#include "common/chunk/chunk_id.h"
#include "common/chunk/manifest.h"

namespace chunkvault::desktop {

struct LocalFile {
    QString path;
    qint64 sizeBytes = 0;
    QDateTime modifiedAt;

    // As it is now; nothing when it is not a file that can be read.
    [[nodiscard]] static std::optional<LocalFile> at(const QString& path);
    bool operator==(const LocalFile&) const = default;
};

struct FileChunk {
    qint64 index = 0;
    QByteArray bytes;
    QByteArray hash;  // SHA-256, 32 bytes
};

// For one thread at a time. Not on the thread of the windows: it waits for the disk.
class ChunkReader {
  public:
    ChunkReader(LocalFile file, qint64 chunkSize);

    struct Step {
        std::optional<FileChunk> chunk;  // nothing at the end
        QString failure;                 // in words of the user; empty: none
        bool changed = false;            // the failure is that the file is not the one it was
    };
    [[nodiscard]] Step next();

    // After the end: of the whole file, in hex.
    [[nodiscard]] QString root() const { return root_; }
    [[nodiscard]] QString sha256() const { return sha256_; }

  private:
    [[nodiscard]] Step changed() const;

    const LocalFile file_;
    const qint64 chunkSize_;
    QFile open_;
    qint64 index_ = 0, readBytes_ = 0;
    RootHash rootHash_;
    Sha256Stream whole_;
    QString root_, sha256_;
};

}  // namespace chunkvault::desktop
