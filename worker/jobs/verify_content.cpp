#include "worker/jobs/verify_content.h"

#include <algorithm>

#include "common/error/error.h"
#include "worker/jobs/repair_chunk.h"

namespace chunkvault::worker {

namespace {

constexpr int windowChunks = 64;

Chunk readChunk(catalog::Chunks& chunks, const catalog::ContentChunk& part, const std::vector<LiveStore>& stores,
                ChunkBuffers& buffers) {
    const auto size = static_cast<std::size_t>(part.length);
    Error failure(ErrorCode::unavailable, "No store has the chunk now.");
    std::vector<const LiveStore*> sources;
    for (const catalog::StoreRow row : part.stores)
        if (const LiveStore* const found = storeOf(stores, row)) sources.push_back(found);
    // Suspects last: one that hangs would be waited for with each chunk.
    std::stable_partition(sources.begin(), sources.end(), [](const LiveStore* store) { return store->answers; });
    for (const LiveStore* const found : sources) {
        try {
            return found->store->get(part.id, size, buffers.acquire(size));
        } catch (const Error& error) {
            failure = error;
        }
        if (failure.code() == ErrorCode::unavailable) continue;
        try {
            (void)isGoodThere(chunks, part.row, part.id, part.length, *found);
        } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the next copy may be good
        }
    }
    throw Error(failure);
}

}  // namespace

void verifyContent(catalog::Chunks& chunks, const Stores& stores, ChunkBuffers& buffers, catalog::ContentId content,
                   const std::stop_token& stop) {
    Sha256Stream whole;
    std::int64_t offset = 0;
    for (auto window = chunks.layout(content, 0, windowChunks); !window.empty();
         window = chunks.layout(content, offset, windowChunks)) {
        const auto live = stores();
        for (const catalog::ContentChunk& part : window) {
            throwIfStopped(stop);
            whole.update(readChunk(chunks, part, live, buffers).bytes());
            offset = part.offset + part.length;
        }
    }
    chunks.contentVerified(content, whole.finish());
}

}  // namespace chunkvault::worker
