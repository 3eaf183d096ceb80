// A store that nobody waits for longer than a call may take, for the threads of jobs and sweeps, which all stores
// share.
#pragma once

#include <chrono>
#include <memory>

#include "common/chunk/maintained_store.h"
#include "server/storage/store_lane.h"

namespace chunkvault::server {

// Thread-safe. Makes its calls on the lane's threads. One that does not answer in time is left behind there, and as
// long as it goes on, all others are refused at once: both as unavailable. What was left behind may still happen.
class PatientStore final : public MaintainedStore {
  public:
    static constexpr std::chrono::milliseconds usualPatience{30'000};

    // lane: of this disk alone; it must not be destroyed by a thread that nobody may wait for.
    PatientStore(std::shared_ptr<MaintainedStore> store, std::shared_ptr<StoreLane> lane,
                 std::chrono::milliseconds patience = usualPatience);

    void put(const Chunk& chunk, Generation generation) override;
    void putAll(std::span<const PutItem> items) override;
    [[nodiscard]] Chunk get(const ChunkId& id, std::size_t size, ChunkBuffer buffer) override;
    [[nodiscard]] bool has(const ChunkId& id) override;
    bool remove(const ChunkId& id, Generation generation) override;

    bool removeOrphan(const KeptChunk& listed) override;
    [[nodiscard]] CopyState check(const ChunkId& id, std::uint64_t size) override;
    bool moveAside(const ChunkId& id) override;
    [[nodiscard]] KeptPage list(std::uint8_t firstByte, std::int64_t minAgeUs, const std::optional<ChunkId>& after,
                                std::size_t limit) override;
    PurgedTrash purgeTrash(std::int64_t minAgeUs, std::size_t limit) override;

  private:
    // work takes the store, and owns all else that it needs.
    template <typename Work>
    auto call(std::size_t bytes, Work work);

    const std::shared_ptr<MaintainedStore> store_;
    const std::shared_ptr<StoreLane> lane_;
    const std::chrono::milliseconds patience_;
};

}  // namespace chunkvault::server
