// Many chunks in one call: what is known of each must not depend on the others beside it.
#include <algorithm>

#include <gmock/gmock.h>

#include "tests/catalog/parallel.h"
#include "tests/catalog/vault_fixture.h"

namespace chunkvault::catalog {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class UploadChunksTest : public VaultTest {
  protected:
    // count chunks, every third of them the same.
    [[nodiscard]] static std::vector<DeclaredChunk> declare(int count) {
        std::vector<DeclaredChunk> chunks;
        for (int i = 0; i < count; ++i) {
            const std::string text = i % 3 == 0 ? "the same" : "chunk " + std::to_string(i);
            chunks.push_back({i, static_cast<std::int64_t>(text.size()), ChunkId::of(text)});
        }
        return chunks;
    }
    [[nodiscard]] std::vector<StoredChunk> storedOf(const std::vector<PinnedChunk>& pinned) {
        std::vector<StoredChunk> stored;
        for (const PinnedChunk& chunk : pinned) stored.push_back({chunk.index, chunk.row, chunk.generation, stores});
        return stored;
    }
};

TEST_P(UploadChunksTest, ManyArePinnedStoredAndCommittedAsOneByOne) {
    const User alice = makeUser("alice");
    for (const int count : {1, 2, 5, 700}) {
        const auto declared = declare(count);
        const UploadId intake = uploads.openIntake(alice.id);
        const auto pinned = uploads.pinAll(intake, declared);
        ASSERT_THAT(pinned, SizeIs(count));
        for (int i = 0; i < count; ++i) {
            EXPECT_EQ(pinned[static_cast<std::size_t>(i)].index, i);
            EXPECT_EQ(pinned[static_cast<std::size_t>(i)].row == pinned[0].row, i % 3 == 0);
        }
        uploads.storedAll(intake, storedOf(pinned));
        NewFile file{alice.root,       {},         FileName::parse("f"), 0, 0, count,
                     ChunkId::of("f"), time.now(), OnConflict::version};
        RootHash root;
        for (const DeclaredChunk& chunk : declared) {
            file.size += chunk.length;
            root.add(static_cast<std::uint64_t>(chunk.length), chunk.id);
        }
        file.sha256 = ChunkId::of(std::to_string(count));
        const auto outcomes = uploads.commitFiles(alice.id, intake, {}, {&file, 1});
        ASSERT_TRUE(outcomes[0].file) << outcomes[0].error->what();
        EXPECT_EQ(outcomes[0].file->entry.root, root.finish());
        EXPECT_EQ(chunks.safety(*outcomes[0].file->entry.content).copiesPresent, 3);
    }
}

TEST_P(UploadChunksTest, HaveTellsTheMissingInTheOrderAsked) {
    const User alice = makeUser("alice");
    const std::string known = std::string(100, 'a') + std::string(100, 'b');
    (void)put(alice, "known", known);
    const std::string text = std::string(100, 'c') + known + std::string(100, 'd') + std::string(100, 'a') + "e";
    const Upload upload = uploads.create(alice.id, newUpload(alice, "k", "f", text));
    auto declared = cut(text);
    std::ranges::reverse(declared);
    EXPECT_THAT(uploads.have(upload.id, declared), ElementsAre(5, 3, 0));
    EXPECT_EQ(uploads.get(upload.id, true).chunksStored, 3);
    EXPECT_THAT(uploads.have(upload.id, {}), IsEmpty());
    // An index named twice has what was named last, as if it had been asked twice.
    const auto piece = [&](std::int64_t index, char what) {
        return DeclaredChunk{index, 100, ChunkId::of(std::string(100, what))};
    };
    EXPECT_THAT(uploads.have(upload.id, std::vector{piece(0, 'a'), piece(0, 'z'), piece(0, 'b'), piece(0, 'x')}),
                ElementsAre(0, 0));
    EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks u JOIN chunks k ON k.id = u.chunk_id WHERE u.idx = 0 AND"
                     " k.hash = $1",
                     {ChunkId::of(std::string(100, 'b'))}),
              1);
}

TEST_P(UploadChunksTest, AHashWithTwoLengthsIsRefused) {
    const User alice = makeUser("alice");
    const UploadId intake = uploads.openIntake(alice.id);
    std::vector<DeclaredChunk> declared = {{0, 5, ChunkId::of("12345")}, {1, 6, ChunkId::of("12345")}};
    EXPECT_EQ(errorOf([&] { (void)uploads.pinAll(intake, declared); }), ErrorCode::checksumMismatch);
    EXPECT_EQ(number("SELECT COUNT(*) FROM upload_chunks"), 0);
}

TEST_P(UploadChunksTest, OwnersWithTheSameChunksInDifferentOrdersDoNotBlockEachOther) {
    std::vector<User> users;
    for (int i = 0; i < 6; ++i) users.push_back(makeUser("user" + std::to_string(i)));
    const auto result = inParallel(6, [&](int i) {
        for (int round = 0; round < 5; ++round) {
            auto declared = declare(60);
            std::rotate(declared.begin(), declared.begin() + i * 10, declared.end());
            if (i % 2 == 1) std::ranges::reverse(declared);
            std::int64_t index = 0;
            for (DeclaredChunk& chunk : declared) chunk.index = index++;
            std::vector<PinnedChunk> pinned;
            const UploadId intake = uploads.openIntake(users[static_cast<std::size_t>(i)].id, declared, pinned);
            uploads.storedAll(intake, storedOf(pinned));
            uploads.end(intake);
        }
    });
    EXPECT_EQ(result.succeeded, 6);
    EXPECT_THAT(result.refused, IsEmpty());
    for (const ChunkAudit& audit : chunks.auditAfter(ChunkRow{0}, 100)) EXPECT_THAT(audit.good, SizeIs(3));
}

CATALOG_SUITE(UploadChunksTest);

}  // namespace
}  // namespace chunkvault::catalog
