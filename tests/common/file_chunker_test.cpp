#include "common/chunk/file_chunker.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chunkvault {
namespace {

using testing::ElementsAreArray;

constexpr std::uint64_t tebibyte = std::uint64_t{1} << 40;

TEST(ChunkLayout, CutsAnySizeIntoFullChunksAndARest) {
    struct Case {
        std::uint64_t size, chunkSize, count, lastLength;
    };
    for (const Case& c :
         {Case{0, 10, 0, 0}, Case{1, 10, 1, 1}, Case{9, 10, 1, 9}, Case{10, 10, 1, 10}, Case{11, 10, 2, 1},
          Case{100, 10, 10, 10}, Case{101, 1, 101, 1}, Case{5 * tebibyte + 3, 4 << 20, (5 * tebibyte >> 22) + 1, 3}}) {
        const ChunkLayout layout{c.size, c.chunkSize};
        EXPECT_EQ(layout.count(), c.count) << c.size;
        if (c.count == 0) continue;
        EXPECT_EQ(layout.offset(0), 0u);
        EXPECT_EQ(layout.length(c.count - 1), c.lastLength) << c.size;
        EXPECT_EQ(layout.offset(c.count - 1) + c.lastLength, c.size);
        if (c.count > 1) {
            EXPECT_EQ(layout.length(0), c.chunkSize) << c.size;
        }
    }
}

TEST(Slices, CoverExactlyTheRangeWhateverTheChunkSizesWere) {
    const std::vector<ChunkExtent> extents{{0, 10}, {10, 5}, {15, 1}, {16, 20}};
    struct Case {
        std::uint64_t offset, length;
        std::vector<ChunkSlice> slices;
    };
    for (const Case& c : std::vector<Case>{
             {0, 0, {}},
             {0, 1, {{0, 0, 1}}},
             {0, 10, {{0, 0, 10}}},
             {0, 11, {{0, 0, 10}, {1, 0, 1}}},
             {9, 2, {{0, 9, 1}, {1, 0, 1}}},
             {10, 5, {{1, 0, 5}}},
             {12, 5, {{1, 2, 3}, {2, 0, 1}, {3, 0, 1}}},
             {0, 36, {{0, 0, 10}, {1, 0, 5}, {2, 0, 1}, {3, 0, 20}}},
             {35, 1, {{3, 19, 1}}},
             {35, 100, {{3, 19, 1}}},
             {36, 1, {}},
         })
        EXPECT_THAT(slicesOf(extents, c.offset, c.length), ElementsAreArray(c.slices)) << c.offset << "+" << c.length;
}

TEST(Slices, AreFoundInAWindowOfAHugeFile) {
    const std::vector<ChunkExtent> window{{tebibyte, 100}, {tebibyte + 100, 100}};
    EXPECT_THAT(slicesOf(window, tebibyte + 150, 10), ElementsAreArray({ChunkSlice{1, 50, 10}}));
    EXPECT_THAT(slicesOf(window, tebibyte - 10, 20), ElementsAreArray({ChunkSlice{0, 0, 10}}));
    EXPECT_TRUE(slicesOf(window, tebibyte - 10, 10).empty());
    EXPECT_TRUE(slicesOf({}, 0, 10).empty());
}

// Feeds text in steps and gives the chunks' texts.
std::vector<std::string> cut(const std::string& text, std::size_t chunkSize, std::size_t step,
                             std::optional<std::uint64_t> announced) {
    ChunkBuffers buffers(1, chunkSize);
    FileChunker chunker(buffers, chunkSize, announced);
    std::vector<std::string> chunks;
    for (std::size_t at = 0; at < text.size();) {
        const auto room = chunker.room();
        const std::size_t n = std::min({step, room.size(), text.size() - at});
        std::memcpy(room.data(), text.data() + at, n);
        at += n;
        if (const auto chunk = chunker.filled(n)) chunks.emplace_back(chunk->bytes().data(), chunk->size());
    }
    if (const auto chunk = chunker.finish()) chunks.emplace_back(chunk->bytes().data(), chunk->size());
    EXPECT_EQ(chunker.totalBytes(), text.size());
    EXPECT_EQ(buffers.bytesInUse(), 0u);
    return chunks;
}

TEST(FileChunker, CutsAStreamTheSameHoweverItArrives) {
    const std::string text = "the quick brown fox jumps over the lazy dog";
    for (const std::size_t chunkSize : {1u, 7u, 43u, 44u, 100u}) {
        const ChunkLayout layout{text.size(), chunkSize};
        std::vector<std::string> expected;
        for (std::uint64_t i = 0; i < layout.count(); ++i)
            expected.push_back(text.substr(layout.offset(i), layout.length(i)));
        for (const std::size_t step : {1u, 5u, 7u, 100u})
            for (const std::optional<std::uint64_t>& announced :
                 {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(text.size())})
                EXPECT_EQ(cut(text, chunkSize, step, announced), expected) << chunkSize << " by " << step;
    }
}

TEST(FileChunker, MakesNoChunkOfAnEmptyStream) {
    EXPECT_TRUE(cut("", 10, 1, std::nullopt).empty());
    EXPECT_TRUE(cut("", 10, 1, 0).empty());
    ChunkBuffers buffers(1, 10);
    FileChunker chunker(buffers, 10, std::nullopt);
    EXPECT_EQ(chunker.room().size(), 10u);
    EXPECT_FALSE(chunker.filled(0));
    EXPECT_FALSE(chunker.finish());
    EXPECT_EQ(buffers.bytesInUse(), 0u);
}

TEST(FileChunker, DrawsNoMoreMemoryThanTheAnnouncedRestNeeds) {
    ChunkBuffers buffers(4, 1000);
    FileChunker chunker(buffers, 1000, 10);
    EXPECT_EQ(chunker.room().size(), 10u);
    EXPECT_EQ(buffers.bytesInUse(), 10u);
}

TEST(FileChunker, CutsOnWhenMoreComesThanWasAnnounced) {
    EXPECT_THAT(cut("0123456789", 4, 3, 6), ElementsAreArray({"0123", "45", "6789"}));
}

}  // namespace
}  // namespace chunkvault
