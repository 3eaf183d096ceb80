#include "server/storage/patient_store.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/storage/chunks.h"
#include "tests/storage/disk_store_under_test.h"

namespace chunkvault::server {
namespace {

using namespace std::chrono_literals;
using test::chunkOf;
using test::codeOf;

class PatientUnderTest final : public test::MaintainedStoreUnderTest {
  public:
    ChunkStore& store() override { return patient_; }
    MaintainedStore& maintained() override { return patient_; }
    void damage(const ChunkId& id) override { under_.damage(id); }
    void shorten(const ChunkId& id) override { under_.shorten(id); }
    void age(const ChunkId& id) override { under_.age(id); }
    std::vector<std::string> trash() override { return under_.trash(); }

  private:
    test::DiskStoreUnderTest under_;
    PatientStore patient_{under_.disk(), std::make_shared<StoreLane>(2, 1 << 20)};
};

// Hangs in check for as long as it is told to.
class Hanging final : public MaintainedStore {
  public:
    void hang(bool hangs) {
        const std::lock_guard lock(mutex_);
        hangs_ = hangs;
        changed_.notify_all();
    }

    CopyState check(const ChunkId&, std::uint64_t) override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !hangs_; });
        return CopyState::good;
    }
    bool has(const ChunkId&) override { return true; }
    void put(const Chunk&, Generation) override {}
    void putAll(std::span<const PutItem>) override {}
    Chunk get(const ChunkId&, std::size_t, ChunkBuffer) override { throw Error(ErrorCode::chunkMissing, "none"); }
    bool remove(const ChunkId&, Generation) override { return true; }
    bool removeOrphan(const KeptChunk&) override { return true; }
    bool moveAside(const ChunkId&) override { return false; }
    KeptPage list(std::uint8_t, std::int64_t, const std::optional<ChunkId>&, std::size_t) override { return {}; }
    PurgedTrash purgeTrash(std::int64_t, std::size_t) override { return {}; }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool hangs_ = false;
};

TEST(PatientStore, LeavesACallBehindThatIsNotAnsweredAndRefusesOthersUntilItIs) {
    const auto disk = std::make_shared<Hanging>();
    const auto lane = std::make_shared<StoreLane>(2, 1 << 20);
    PatientStore store(disk, lane, 50ms);
    const ChunkId id = chunkOf("asked for").id();
    EXPECT_EQ(store.check(id, 9), CopyState::good);
    EXPECT_EQ(codeOf([&] { (void)store.get(id, 9, test::testBuffers().acquire(9)); }), ErrorCode::chunkMissing);

    disk->hang(true);
    EXPECT_EQ(codeOf([&] { (void)store.check(id, 9); }), ErrorCode::unavailable);
    EXPECT_EQ(codeOf([&] { (void)store.has(id); }), ErrorCode::unavailable) << "though another thread is free";
    PatientStore again(disk, lane, 50ms);
    EXPECT_EQ(codeOf([&] { (void)again.has(id); }), ErrorCode::unavailable) << "it is the same disk";

    disk->hang(false);
    while (lane->stuck()) std::this_thread::yield();
    EXPECT_TRUE(store.has(id));
}

}  // namespace
}  // namespace chunkvault::server

namespace chunkvault::test {

INSTANTIATE_TEST_SUITE_P(PatientStore, ChunkStoreConformance,
                         testing::Values(StoreKind{"PatientStore",
                                                   [] { return std::make_unique<server::PatientUnderTest>(); }}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(PatientStore, MaintainedStoreConformance,
                         testing::Values(MaintainedStoreKind{
                             "PatientStore", [] { return std::make_unique<server::PatientUnderTest>(); }}),
                         maintainedKindName);

}  // namespace chunkvault::test
