#include "tests/storage/chunk_store_conformance.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/storage/chunks.h"

namespace chunkvault::test {

std::string ChunkStoreConformance::read(const Chunk& chunk) {
    return textOf(store_.get(chunk.id(), chunk.size(), testBuffers().acquire(chunk.size())));
}

TEST_P(ChunkStoreConformance, GivesBackWhatWasPut) {
    for (const std::string& text : {std::string("a"), std::string(4096, 'b'), std::string((1 << 20) - 3, 'c')}) {
        const Chunk chunk = chunkOf(text);
        EXPECT_FALSE(store_.has(chunk.id()));
        store_.put(chunk, 1);
        EXPECT_TRUE(store_.has(chunk.id()));
        EXPECT_EQ(read(chunk), text);
    }
}

TEST_P(ChunkStoreConformance, SaysMissingForWhatWasNeverPut) {
    const Chunk chunk = chunkOf("never");
    EXPECT_FALSE(store_.has(chunk.id()));
    EXPECT_EQ(codeOf([&] { (void)read(chunk); }), ErrorCode::chunkMissing);
    EXPECT_TRUE(store_.remove(chunk.id(), 1));
}

TEST_P(ChunkStoreConformance, TakesTheSameChunkAgain) {
    const Chunk chunk = chunkOf("twice");
    store_.put(chunk, 1);
    store_.put(chunk, 1);
    EXPECT_EQ(read(chunk), "twice");
}

TEST_P(ChunkStoreConformance, PutsManyAtOnce) {
    std::vector<PutItem> items;
    for (int i = 0; i < 300; ++i) items.push_back({chunkOf("item " + std::to_string(i)), 1 + i % 3});
    store_.put(items[7].chunk, 1);
    items.push_back(items[9]);
    store_.putAll(items);
    for (const PutItem& item : items) EXPECT_EQ(read(item.chunk), textOf(item.chunk));
    store_.putAll({});
}

TEST_P(ChunkStoreConformance, NeverReturnsAFlippedByteAndTakesALaterPutInItsPlace) {
    for (const Generation generation : {1, 2}) {
        const Chunk chunk = chunkOf("precious " + std::to_string(generation));
        store_.put(chunk, generation);
        under_->damage(chunk.id());
        const auto code = codeOf([&] { (void)read(chunk); });
        EXPECT_EQ(code, ErrorCode::chunkCorrupt);
        store_.put(chunk, generation);
        EXPECT_EQ(read(chunk), textOf(chunk));
    }
}

TEST_P(ChunkStoreConformance, ReplacesABadCopyInABatchAndAtAHigherGeneration) {
    const Chunk flipped = chunkOf("flipped"), cut = chunkOf("cut short"), good = chunkOf("good");
    for (const Chunk& chunk : {flipped, cut, good}) store_.put(chunk, 1);
    under_->damage(flipped.id());
    under_->shorten(cut.id());
    store_.putAll(std::vector<PutItem>{{flipped, 3}, {cut, 1}, {good, 2}, {chunkOf("new"), 1}});
    for (const Chunk& chunk : {flipped, cut, good}) EXPECT_EQ(read(chunk), textOf(chunk));
    EXPECT_FALSE(store_.remove(flipped.id(), 2));
    EXPECT_FALSE(store_.remove(good.id(), 1));
    EXPECT_TRUE(store_.remove(cut.id(), 1));
}

TEST_P(ChunkStoreConformance, RefusesASizeThatIsNotTheCopys) {
    const Chunk chunk = chunkOf("twelve bytes");
    store_.put(chunk, 1);
    for (const std::size_t size : {std::size_t{0}, std::size_t{11}, std::size_t{13}})
        EXPECT_EQ(codeOf([&] { (void)store_.get(chunk.id(), size, testBuffers().acquire(16)); }),
                  ErrorCode::chunkCorrupt);
    under_->shorten(chunk.id());
    EXPECT_EQ(codeOf([&] { (void)read(chunk); }), ErrorCode::chunkCorrupt);
}

TEST_P(ChunkStoreConformance, KeepsAChunkThatWasPutAtAHigherGenerationThanItsRemoval) {
    struct Case {
        std::vector<Generation> puts;
        Generation removal;
        bool removed;
    };
    int number = 0;
    for (const Case& c : std::vector<Case>{{{1}, 1, true},
                                           {{1}, 2, true},
                                           {{2}, 1, false},
                                           {{1, 3}, 2, false},
                                           {{3, 1}, 2, false},
                                           {{3, 1}, 3, true},
                                           {{5}, 10, true},
                                           {{10}, 9, false}}) {
        const Chunk chunk = chunkOf("case " + std::to_string(number++));
        for (const Generation generation : c.puts) store_.put(chunk, generation);
        EXPECT_EQ(store_.remove(chunk.id(), c.removal), c.removed) << number;
        EXPECT_EQ(store_.has(chunk.id()), !c.removed) << number;
        if (!c.removed) {
            EXPECT_EQ(read(chunk), textOf(chunk));
        }
    }
}

TEST_P(ChunkStoreConformance, TakesAChunkAnewAfterItsRemoval) {
    const Chunk chunk = chunkOf("phoenix");
    for (Generation generation = 1; generation < 8; generation += 2) {
        store_.put(chunk, generation);
        EXPECT_TRUE(store_.remove(chunk.id(), generation + 1));
        EXPECT_TRUE(store_.remove(chunk.id(), generation + 1));
        EXPECT_EQ(codeOf([&] { (void)read(chunk); }), ErrorCode::chunkMissing);
    }
    store_.put(chunk, 9);
    EXPECT_EQ(read(chunk), "phoenix");
}

TEST_P(ChunkStoreConformance, TakesTheSameChunksFromManyThreads) {
    std::vector<PutItem> items;
    for (int i = 0; i < 20; ++i) items.push_back({chunkOf("shared " + std::to_string(i)), 1});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            if (t % 2 == 0) store_.putAll(items);
            for (const PutItem& item : items) store_.put(item.chunk, 1 + t);
            for (const PutItem& item : items) EXPECT_EQ(read(item.chunk), textOf(item.chunk));
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(store_.remove(items[0].chunk.id(), 3));
}

TEST_P(ChunkStoreConformance, NeverLosesAPutThatIsNewerThanTheRemovalsRacingWithIt) {
    const Chunk chunk = chunkOf("contended");
    std::atomic<Generation> last = 0;
    std::thread remover([&] {
        for (Generation seen = 0; seen < 60; seen = last) (void)store_.remove(chunk.id(), seen);
    });
    std::thread reader([&] {
        while (last < 60) {
            const auto code = codeOf([&] { EXPECT_EQ(read(chunk), "contended"); });
            EXPECT_TRUE(!code || code == ErrorCode::chunkMissing);
        }
    });
    for (Generation generation = 1; generation <= 60; ++generation) {
        store_.put(chunk, generation);
        EXPECT_EQ(read(chunk), "contended") << "put at " << generation << " was taken by an older removal";
        last = generation;
    }
    remover.join();
    reader.join();
    EXPECT_FALSE(store_.remove(chunk.id(), 59));
}

}  // namespace chunkvault::test
