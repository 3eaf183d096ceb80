#include "server/storage/file_content.h"

#include <gmock/gmock.h>

#include "server/storage/replicated_chunk_store.h"
#include "tests/catalog/vault_fixture.h"
#include "tests/storage/fake_chunk_store.h"

namespace chunkvault::server {
namespace {

using catalog::EngineKind;
using catalog::StoreRow;
using test::FakeChunkStore;

// A file of two chunks on three stores of four.
class FileContentTest : public catalog::VaultTest {
  protected:
    FileContentTest() {
        (void)put(makeUser("alice"), "film", first_ + second_);
        stores.push_back(chunks.registerStore({"d", "uuid-d", "d", "", 1000, 900}));
        std::vector<Replica> replicas;
        for (const StoreRow store : stores) {
            fakes_.push_back(std::make_shared<FakeChunkStore>());
            replicas.push_back({store, fakes_.back(), "", 1 << 30, true});
        }
        for (std::size_t i = 0; i < 3; ++i)
            for (const std::string& text : {first_, second_}) fakes_[i]->set(ChunkId::of(text), text);
        replicated_.setReplicas(replicas);
    }
    [[nodiscard]] std::string read(FileContent::Reader& reader) {
        const auto slice = reader.next(std::chrono::hours(1));  // so slow that nothing is read ahead
        return slice ? std::string(slice->bytes().begin(), slice->bytes().end()) : "";
    }
    [[nodiscard]] FileContent::Reader reader() {
        return {content_, static_cast<catalog::ContentId>(*number("SELECT id FROM contents")), 0,
                static_cast<std::int64_t>(first_.size() + second_.size())};
    }
    void dropSecondFrom(std::size_t store) {
        (void)fakes_[store]->remove(ChunkId::of(second_), 1);
        forget(secondRow(), stores[store]);
    }
    [[nodiscard]] catalog::ChunkRow secondRow() {
        return static_cast<catalog::ChunkRow>(*number("SELECT MAX(chunk_id) FROM content_chunks"));
    }

    const std::string first_ = std::string(chunkSize, 'a'), second_ = "the end";
    std::vector<std::shared_ptr<FakeChunkStore>> fakes_;
    ReplicatedChunkStore replicated_{{}, {}};
    ChunkBuffers buffers_{4, chunkSize};
    FileContent content_{chunks, replicated_, buffers_};
};

TEST_P(FileContentTest, FollowsAChunkThatWasMovedWhileTheFileIsRead) {
    FileContent::Reader reader = this->reader();
    EXPECT_EQ(read(reader), first_);
    fakes_[3]->set(ChunkId::of(second_), second_);
    chunks.replicaGood(secondRow(), stores[3], 1);
    for (const std::size_t store : {0u, 1u, 2u}) dropSecondFrom(store);
    EXPECT_EQ(read(reader), second_);
    EXPECT_EQ(read(reader), "") << "the end";
}

TEST_P(FileContentTest, GivesUpAChunkThatIsNowhereElseEither) {
    FileContent::Reader reader = this->reader();
    EXPECT_EQ(read(reader), first_);
    for (const auto& fake : fakes_) (void)fake->remove(ChunkId::of(second_), 1);
    EXPECT_EQ(catalog::errorOf([&] { (void)read(reader); }), ErrorCode::chunkMissing);
}

INSTANTIATE_TEST_SUITE_P(Engines, FileContentTest, testing::Values(EngineKind::sqlite));

}  // namespace
}  // namespace chunkvault::server
