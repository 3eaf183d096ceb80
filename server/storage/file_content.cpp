#include "server/storage/file_content.h"

#include <algorithm>

#include "common/error/error.h"
#include "server/storage/replicated_chunk_store.h"

namespace chunkvault::server {

namespace {

constexpr int windowChunks = 64;  // of the layout, read in one query

}  // namespace

FileContent::Reader::Reader(FileContent& home, catalog::ContentId content, std::int64_t offset, std::int64_t length)
    : home_(home), content_(content), at_(offset), end_(offset + length) {}

std::optional<FileContent::Slice> FileContent::Reader::next(std::chrono::nanoseconds lastTook) {
    const catalog::ContentChunk* found = upcoming();
    if (found == nullptr) return std::nullopt;
    catalog::ContentChunk part = *found;
    Read read = [&] {
        try {
            return ahead_.valid() ? ahead_.get() : readFrom(part, std::nullopt);
        } catch (const Error&) {
            if (!lookAgain()) throw;
            part = window_.front();
            return readFrom(part, std::nullopt);
        }
    }();
    Slice slice = cut(part, std::move(read.chunk));
    window_.pop_front();
    at_ += static_cast<std::int64_t>(slice.size);
    if (lastTook <= read.took) readAhead();
    return slice;
}

void FileContent::Reader::goBackTo(std::int64_t offset) {
    ahead_ = {};
    window_.clear();
    at_ = offset;
}

const catalog::ContentChunk* FileContent::Reader::upcoming() {
    if (at_ >= end_) return nullptr;
    if (window_.empty()) {
        for (auto& part : home_.chunks_.layout(content_, at_, windowChunks)) window_.push_back(std::move(part));
        const bool fits =
            !window_.empty() && window_.front().offset <= at_ && at_ < window_.front().offset + window_.front().length;
        if (!fits)
            throw Error(ErrorCode::gone, "The file was deleted while it was read.",
                        "content without chunks at an offset");
    }
    return &window_.front();
}

bool FileContent::Reader::lookAgain() {
    const catalog::ContentChunk before = window_.front();
    window_.clear();
    const catalog::ContentChunk* now = upcoming();
    return now != nullptr && !std::ranges::is_permutation(now->stores, before.stores);
}

FileContent::Slice FileContent::Reader::cut(const catalog::ContentChunk& part, Chunk chunk) const {
    const std::int64_t begin = at_ - part.offset, end = std::min(part.length, end_ - part.offset);
    return {std::move(chunk), static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)};
}

void FileContent::Reader::readAhead() {
    const catalog::ContentChunk* part = upcoming();
    if (part == nullptr) return;
    auto buffer = home_.buffers_.tryAcquire(static_cast<std::size_t>(part->length));
    if (!buffer) return;
    // Threads are bounded by the memory that each of them needs.
    ahead_ = std::async(std::launch::async, [this, part = *part, buffer = std::move(*buffer)]() mutable {
        return readFrom(part, std::move(buffer));
    });
}

FileContent::Reader::Read FileContent::Reader::readFrom(const catalog::ContentChunk& part,
                                                        std::optional<ChunkBuffer> buffer) const {
    const auto size = static_cast<std::size_t>(part.length);
    const auto begin = std::chrono::steady_clock::now();
    Chunk chunk = buffer
                      ? home_.stores_.get(part.id, size, part.stores, home_.buffers_, std::move(*buffer), part.doubtful)
                      : home_.stores_.get(part.id, size, part.stores, home_.buffers_, part.doubtful);
    return {std::move(chunk), std::chrono::steady_clock::now() - begin};
}

}  // namespace chunkvault::server
