#include "server/storage/patient_store.h"

#include <future>
#include <utility>

#include "common/error/error.h"

namespace chunkvault::server {

namespace {

[[noreturn]] void throwSilent() {
    throw Error(ErrorCode::unavailable, "The storage cannot be used now. Try again later.", "the disk does not answer")
        .retryAfter(10);
}

}  // namespace

PatientStore::PatientStore(std::shared_ptr<MaintainedStore> store, std::shared_ptr<StoreLane> lane,
                           std::chrono::milliseconds patience)
    : store_(std::move(store)), lane_(std::move(lane)), patience_(patience) {}

template <typename Work>
auto PatientStore::call(std::size_t bytes, Work work) {
    using Task = std::packaged_task<decltype(work(*store_))()>;
    if (lane_->stuck()) throwSilent();
    const auto task =
        std::make_shared<Task>([store = store_, work = std::move(work)]() mutable { return work(*store); });
    auto answer = task->get_future();
    const auto running = lane_->run(bytes, [task] { (*task)(); });
    if (answer.wait_for(patience_) != std::future_status::ready) {
        lane_->abandon(running);
        throwSilent();
    }
    return answer.get();
}

void PatientStore::put(const Chunk& chunk, Generation generation) {
    call(chunk.size(), [=](MaintainedStore& store) { store.put(chunk, generation); });
}

void PatientStore::putAll(std::span<const PutItem> items) {
    std::size_t bytes = 0;
    for (const PutItem& item : items) bytes += item.chunk.size();
    call(bytes, [own = std::vector(items.begin(), items.end())](MaintainedStore& store) { store.putAll(own); });
}

Chunk PatientStore::get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) {
    return call(size, [=, own = std::move(buffer)](MaintainedStore& store) mutable {
        return store.get(id, size, std::move(own));
    });
}

bool PatientStore::has(const ChunkId& id) {
    return call(0, [=](MaintainedStore& store) { return store.has(id); });
}

bool PatientStore::remove(const ChunkId& id, Generation generation) {
    return call(0, [=](MaintainedStore& store) { return store.remove(id, generation); });
}

bool PatientStore::removeOrphan(const KeptChunk& listed) {
    return call(0, [=](MaintainedStore& store) { return store.removeOrphan(listed); });
}

CopyState PatientStore::check(const ChunkId& id, std::uint64_t size) {
    return call(0, [=](MaintainedStore& store) { return store.check(id, size); });
}

bool PatientStore::moveAside(const ChunkId& id) {
    return call(0, [=](MaintainedStore& store) { return store.moveAside(id); });
}

KeptPage PatientStore::list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                            std::size_t limit) {
    return call(0, [=](MaintainedStore& store) { return store.list(firstByte, minAgeUs, after, limit); });
}

PurgedTrash PatientStore::purgeTrash(std::int64_t minAgeUs, std::size_t limit) {
    return call(0, [=](MaintainedStore& store) { return store.purgeTrash(minAgeUs, limit); });
}

}  // namespace chunkvault::server
