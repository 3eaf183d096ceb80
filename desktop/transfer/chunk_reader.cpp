#include "desktop/transfer/chunk_reader.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <algorithm>
#include <utility>

namespace chunkvault::desktop {

std::optional<LocalFile> LocalFile::at(const QString& path) {
    const QFileInfo info(path);
    if (!info.isFile() || !info.isReadable()) return std::nullopt;
    return LocalFile{path, info.size(), info.lastModified().toUTC()};
}

ChunkReader::ChunkReader(LocalFile file, qint64 chunkSize)
    : file_(std::move(file)), chunkSize_(chunkSize), open_(file_.path) {}

ChunkReader::Step ChunkReader::changed() const {
    return {.failure = QCoreApplication::translate("ChunkReader",
                                                   "It was changed while it was being read. Upload it "
                                                   "again when it stays as it is."),
            .changed = true};
}

ChunkReader::Step ChunkReader::next() {
    if (index_ == 0 && !open_.isOpen() && !open_.open(QIODevice::ReadOnly)) return {.failure = open_.errorString()};
    if (readBytes_ == file_.sizeBytes) {
        if (LocalFile::at(file_.path) != file_) return changed();
        root_ = QString::fromStdString(rootHash_.finish().toHex());
        sha256_ = QString::fromStdString(whole_.finish().toHex());
        return {};
    }
    const qint64 wanted = std::min(chunkSize_, file_.sizeBytes - readBytes_);
    FileChunk chunk{.index = index_, .bytes = QByteArray(wanted, Qt::Uninitialized)};
    const qint64 got = open_.read(chunk.bytes.data(), wanted);
    if (got < 0) return {.failure = open_.errorString()};
    if (got < wanted) return changed();
    const std::span<const char> bytes(chunk.bytes.constData(), static_cast<std::size_t>(wanted));
    const ChunkId id = ChunkId::of(bytes);
    chunk.hash = QByteArray(id.raw().data(), static_cast<qsizetype>(id.raw().size()));
    rootHash_.add(static_cast<std::uint64_t>(wanted), id);
    whole_.update(bytes);
    readBytes_ += wanted;
    ++index_;
    return {.chunk = std::move(chunk)};
}

}  // namespace chunkvault::desktop
