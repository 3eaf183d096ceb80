#include "tests/storage/maintained_store_conformance.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>

#include "tests/storage/chunks.h"

namespace chunkvault::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

}  // namespace

TEST_P(MaintainedStoreConformance, ChecksACopyByLengthAndHash) {
    const Chunk good = chunkOf(std::string(600'000, 'g')), flipped = chunkOf("flipped"), cut = chunkOf("cut");
    store_.putAll(std::vector<PutItem>{{good, 1}, {flipped, 2}, {cut, 1}});
    under_->damage(flipped.id());
    under_->shorten(cut.id());
    EXPECT_EQ(store_.check(good.id(), good.size()), CopyState::good);
    EXPECT_EQ(store_.check(good.id(), good.size() - 1), CopyState::bad);
    EXPECT_EQ(store_.check(flipped.id(), flipped.size()), CopyState::bad);
    EXPECT_EQ(store_.check(cut.id(), cut.size()), CopyState::bad);
    EXPECT_EQ(store_.check(chunkOf("absent").id(), 6), CopyState::missing);
}

TEST_P(MaintainedStoreConformance, MovesOnlyBadCopiesAside) {
    const Chunk chunk = chunkOf("good now");
    EXPECT_FALSE(store_.moveAside(chunk.id()));
    store_.put(chunk, 1);
    EXPECT_FALSE(store_.moveAside(chunk.id()));
    under_->damage(chunk.id());
    EXPECT_TRUE(store_.moveAside(chunk.id()));
    EXPECT_FALSE(store_.has(chunk.id()));
    EXPECT_THAT(under_->trash(), ElementsAre(chunk.id().toHex() + ".bad-1"));
}

TEST_P(MaintainedStoreConformance, ListsTheChunksOfAByteById) {
    std::vector<PutItem> items;
    std::vector<ChunkId> expected;
    for (int i = 0; i < 1000; ++i) {
        items.push_back({chunkOf("listed " + std::to_string(i)), 3});
        if (items.back().chunk.id().array()[0] != 0x7f) items.pop_back();
        else expected.push_back(items.back().chunk.id());
    }
    store_.putAll(items);
    std::sort(expected.begin(), expected.end());
    std::vector<ChunkId> listed;
    for (const KeptChunk& chunk : store_.list(0x7f, 0, std::nullopt, maxKeptPage).chunks) {
        listed.push_back(chunk.id);
        EXPECT_EQ(chunk.generation, 3);
        EXPECT_GE(chunk.sizeBytes, 8u);
        EXPECT_NEAR(static_cast<double>(chunk.putAt), static_cast<double>(systemNow()), static_cast<double>(minuteUs));
    }
    EXPECT_GT(listed.size(), 1u);
    EXPECT_EQ(listed, expected);
    EXPECT_THAT(store_.list(0x7f, minuteUs, std::nullopt, maxKeptPage).chunks, IsEmpty());
    under_->age(expected[0]);
    const KeptPage old = store_.list(0x7f, minuteUs, std::nullopt, maxKeptPage);
    ASSERT_EQ(old.chunks.size(), 1u);
    EXPECT_EQ(old.chunks[0].id, expected[0]);
    EXPECT_FALSE(old.more);
}

TEST_P(MaintainedStoreConformance, ListsPageByPage) {
    std::vector<ChunkId> expected, listed;
    for (int i = 0; expected.size() < 5; ++i) {
        const Chunk chunk = chunkOf("paged " + std::to_string(i));
        if (chunk.id().array()[0] >= 0x10) continue;
        store_.put(chunk, 1);
        under_->age(chunk.id());
        expected.push_back(chunk.id());
    }
    std::sort(expected.begin(), expected.end());
    for (int byte = 0; byte < 0x10; ++byte) {
        std::optional<ChunkId> after;
        for (bool more = true; more;) {
            const KeptPage page = store_.list(static_cast<std::uint8_t>(byte), minuteUs, after, 1);
            ASSERT_LE(page.chunks.size(), 1u);
            for (const KeptChunk& chunk : page.chunks) listed.push_back(*(after = chunk.id));
            more = page.more;
        }
    }
    EXPECT_EQ(listed, expected);
}

TEST_P(MaintainedStoreConformance, KeepsAnOrphanThatWasPutAgainSinceItWasListed) {
    const Chunk chunk = chunkOf("orphan");
    const auto listed = [&] {
        const KeptPage page = store_.list(chunk.id().array()[0], hourUs, std::nullopt, maxKeptPage);
        EXPECT_EQ(page.chunks.size(), 1u);
        return page.chunks.at(0);
    };
    store_.put(chunk, 2);
    under_->age(chunk.id());
    const KeptChunk first = listed();
    store_.put(chunk, 1);
    EXPECT_FALSE(store_.removeOrphan(first)) << "put again at a time that is another";
    under_->age(chunk.id());
    const KeptChunk second = listed();
    KeptChunk other = second;
    for (const Generation generation : {1, 3}) {
        other.generation = generation;
        EXPECT_FALSE(store_.removeOrphan(other)) << "listed at generation " << generation;
    }
    other = second;
    other.putAt += 1;
    EXPECT_FALSE(store_.removeOrphan(other));
    EXPECT_TRUE(store_.has(chunk.id()));
    EXPECT_TRUE(store_.removeOrphan(second));
    EXPECT_FALSE(store_.has(chunk.id()));
    EXPECT_TRUE(store_.removeOrphan(second)) << "it is gone";
}

TEST_P(MaintainedStoreConformance, PurgesWhatHasBeenInTheTrashForLongEnough) {
    const Chunk chunk = chunkOf("removed");
    store_.put(chunk, 1);
    under_->age(chunk.id());
    EXPECT_TRUE(store_.remove(chunk.id(), 1));
    EXPECT_EQ(store_.purgeTrash(minuteUs, 10).purged.files, 0u) << "it was put long ago, but removed just now";
    const FileTotals purged = store_.purgeTrash(0, 10).purged;
    EXPECT_EQ(purged.files, 1u);
    EXPECT_EQ(purged.bytes, 7u);
    EXPECT_THAT(under_->trash(), IsEmpty());
    EXPECT_EQ(store_.purgeTrash(0, 10).purged.files, 0u);
}

TEST_P(MaintainedStoreConformance, PurgesNoMoreThanItIsToldAndGoesOnBehindIt) {
    for (int i = 0; i < 7; ++i) {
        const Chunk chunk = chunkOf("removed " + std::to_string(i));
        store_.put(chunk, 1);
        EXPECT_TRUE(store_.remove(chunk.id(), 1));
    }
    // What is too new to go does not keep the rest from its turn.
    for (int round = 0; round < 2; ++round)
        for (const bool more : {true, true, false}) {
            const PurgedTrash kept = store_.purgeTrash(minuteUs, 3);
            EXPECT_EQ(kept.purged.files, 0u);
            EXPECT_EQ(kept.more, more);
        }
    EXPECT_TRUE(store_.purgeTrash(minuteUs, 3).more);
    std::vector<std::uint64_t> files;
    for (bool more = true; more;) {
        const PurgedTrash purged = store_.purgeTrash(0, 2);
        files.push_back(purged.purged.files);
        more = purged.more;
    }
    EXPECT_THAT(files, testing::ElementsAre(2u, 2u)) << "behind the three before";
    EXPECT_THAT(under_->trash(), testing::SizeIs(3));
    EXPECT_EQ(store_.purgeTrash(0, 10).purged.files, 3u);
}

}  // namespace chunkvault::test
