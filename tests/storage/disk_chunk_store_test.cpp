#include "storagenode/store/disk_chunk_store.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire/json.h"
#include "storagenode/store/posix_disk.h"
#include "tests/storage/chunk_store_conformance.h"
#include "tests/storage/chunks.h"
#include "tests/storage/disk_store_under_test.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::storagenode {
namespace {

using std::filesystem::path;
using test::chunkOf;
using test::codeOf;
using test::contentOf;
using test::filesIn;
using test::overwrite;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class DiskChunkStoreTest : public testing::Test {
  protected:
    DiskChunkStoreTest() {
        (void)DiskChunkStore::format(*makePosixDisk(folder_), "vault", "node1");
        open();
    }
    void open(std::uint64_t reserveBytes = 0) {
        store_.reset();
        store_ = DiskChunkStore::open(openPosixDisk(folder_), "vault", {.reserveBytes = reserveBytes});
    }
    [[nodiscard]] std::string read(const Chunk& chunk) {
        return test::textOf(store_->get(chunk.id(), chunk.size(), test::testBuffers().acquire(chunk.size())));
    }
    [[nodiscard]] path plainFile(const Chunk& chunk) const {
        const std::string hex = chunk.id().toHex();
        return folder_ / "chunks" / hex.substr(0, 2) / hex;
    }

    test::TempFolder home_;
    const path folder_ = home_.path() / "deep" / "store";
    std::unique_ptr<DiskChunkStore> store_;
};

TEST_F(DiskChunkStoreTest, KeepsTheRawBytesUnderTheHashForEver) {
    const Chunk chunk = chunkOf("raw bytes");
    store_->put(chunk, 1);
    EXPECT_EQ(contentOf(plainFile(chunk)), "raw bytes");
    open();
    EXPECT_EQ(read(chunk), "raw bytes");
}

TEST_F(DiskChunkStoreTest, KeepsTheGenerationOfTheLastPutInTheNameOfTheOneFile) {
    const Chunk chunk = chunkOf("lives"), late = chunkOf("born late");
    const std::string hex = chunk.id().toHex(), folder = hex.substr(0, 2) + "/";
    store_->put(chunk, 1);
    store_->put(chunk, 4);
    EXPECT_THAT(filesIn(folder_ / "chunks"), ElementsAre(folder + hex + ".4"));
    open();
    store_->put(chunk, 2);
    EXPECT_FALSE(store_->remove(chunk.id(), 3));
    store_->put(chunk, 6);
    EXPECT_EQ(read(chunk), "lives");
    EXPECT_THAT(filesIn(folder_ / "chunks"), ElementsAre(folder + hex + ".6"));
    store_->put(late, 7);
    EXPECT_EQ(contentOf(plainFile(late).string() + ".7"), "born late");
}

TEST_F(DiskChunkStoreTest, WritesACopyThatIsThereAnewOnlyIfItIsToldTo) {
    const Chunk chunk = chunkOf("sent by two");
    store_->put(chunk, 1);
    std::filesystem::create_hard_link(plainFile(chunk), home_.path() / "first");
    for (const bool rewrites : {false, true}) {
        store_.reset();
        store_ = DiskChunkStore::open(openPosixDisk(folder_), "vault", {.rewrites = rewrites});
        store_->put(chunk, 1);
        EXPECT_EQ(std::filesystem::equivalent(plainFile(chunk), home_.path() / "first"), !rewrites);
        EXPECT_EQ(read(chunk), "sent by two");
    }
    EXPECT_EQ(filesIn(folder_ / "chunks").size(), 1u);
}

TEST_F(DiskChunkStoreTest, LeavesNothingInTmp) {
    store_->putAll(std::vector<PutItem>{{chunkOf("a"), 1}, {chunkOf("b"), 2}});
    EXPECT_THAT(filesIn(folder_ / "tmp"), IsEmpty());
    overwrite(folder_ / "tmp" / "left behind", "by a crash");
    open();
    EXPECT_THAT(filesIn(folder_ / "tmp"), IsEmpty());
}

TEST_F(DiskChunkStoreTest, PutsMoreInOneBatchThanItMayHaveFilesOpen) {
    std::vector<PutItem> items;
    for (std::size_t i = 0; i < 3 * DiskChunkStore::openFiles + 1; ++i)
        items.push_back({chunkOf(std::to_string(i)), 1});
    store_->putAll(items);
    EXPECT_EQ(store_->count().files, items.size());
}

TEST_F(DiskChunkStoreTest, MovesRemovedChunksToTheTrashUnderTheGenerationOfTheRemoval) {
    const Chunk chunk = chunkOf("removed");
    store_->put(chunk, 1);
    EXPECT_TRUE(store_->remove(chunk.id(), 2));
    EXPECT_THAT(filesIn(folder_ / "chunks"), IsEmpty());
    EXPECT_EQ(contentOf(folder_ / "trash" / (chunk.id().toHex() + ".2")), "removed");
}

TEST_F(DiskChunkStoreTest, ChecksACopyByItsHash) {
    const Chunk good = chunkOf(std::string(600'000, 'g')), flipped = chunkOf("flipped");
    store_->putAll(std::vector<PutItem>{{good, 1}, {flipped, 2}});
    overwrite(plainFile(flipped).string() + ".2", "flopped");
    EXPECT_EQ(store_->check(good.id(), good.size()), CopyState::good);
    EXPECT_EQ(store_->check(good.id(), good.size() - 1), CopyState::bad);
    EXPECT_EQ(store_->check(flipped.id(), flipped.size()), CopyState::bad);
    EXPECT_EQ(store_->check(chunkOf("absent").id(), 6), CopyState::missing);
}

TEST_F(DiskChunkStoreTest, MovesOnlyBadCopiesAside) {
    const Chunk chunk = chunkOf("good now");
    EXPECT_FALSE(store_->moveAside(chunk.id()));
    for (int n = 1; n <= 2; ++n) {
        store_->put(chunk, 1);
        EXPECT_FALSE(store_->moveAside(chunk.id()));
        overwrite(plainFile(chunk), "bad now!");
        EXPECT_TRUE(store_->moveAside(chunk.id()));
        EXPECT_FALSE(store_->has(chunk.id()));
        EXPECT_EQ(contentOf(folder_ / "trash" / (chunk.id().toHex() + ".bad-" + std::to_string(n))), "bad now!");
    }
}

TEST_F(DiskChunkStoreTest, TakesACopyThatCannotBeOpenedForABadOne) {
    const Chunk chunk = chunkOf("unreadable"), later = chunkOf("unreadable later"), gone = chunkOf("to be removed");
    const auto spoil = [](const std::filesystem::path& file) {
        std::filesystem::remove(file);
        std::filesystem::create_symlink(file, file);  // nobody can open it
    };
    for (const Chunk& each : {chunk, gone}) {
        store_->put(each, 1);
        spoil(plainFile(each));
    }
    store_->put(later, 3);
    spoil(plainFile(later).string() + ".3");
    for (const Chunk& each : {chunk, later, gone}) {
        EXPECT_EQ(store_->check(each.id(), each.size()), CopyState::bad);
        EXPECT_EQ(codeOf([&] { (void)read(each); }), ErrorCode::internal);
    }
    store_->put(chunk, 2);
    store_->put(later, 2);
    for (const Chunk& each : {chunk, later}) {
        EXPECT_EQ(store_->check(each.id(), each.size()), CopyState::good);
        EXPECT_EQ(read(each), test::textOf(each));
    }
    EXPECT_EQ(codeOf([&] { (void)store_->moveAside(gone.id()); }), ErrorCode::internal) << "it may be good";
    EXPECT_TRUE(std::filesystem::is_symlink(plainFile(gone)));
}

TEST_F(DiskChunkStoreTest, RemembersNoMoreGenerationsThanItMayAndFindsAllCopies) {
    constexpr std::size_t most = 8;
    store_.reset();
    store_ = DiskChunkStore::open(openPosixDisk(folder_), "vault", {.mostGenerations = most});
    std::vector<Chunk> chunks;
    for (int i = 0; i < 100; ++i) {
        chunks.push_back(chunkOf("trimmed " + std::to_string(i)));
        store_->put(chunks.back(), 2);
    }
    for (int round = 3; round < 5; ++round)
        for (const Chunk& chunk : chunks) {
            EXPECT_TRUE(store_->has(chunk.id()));
            store_->put(chunk, round);
            EXPECT_FALSE(store_->remove(chunk.id(), round - 1)) << "its last put was later";
            // The folder just asked for stays, whatever is in it.
            EXPECT_LE(store_->generationsKept(), most + 5);
        }
    EXPECT_TRUE(store_->remove(chunks[0].id(), 4));
    EXPECT_FALSE(store_->has(chunks[0].id()));
    EXPECT_EQ(store_->count().files, chunks.size() - 1);
}

TEST_F(DiskChunkStoreTest, ListsNoOtherFiles) {
    store_->put(chunkOf("a chunk"), 3);
    const ChunkId id = chunkOf("a chunk").id();
    const std::filesystem::path folder = folder_ / "chunks" / id.toHex().substr(0, 2);
    overwrite(folder / "not a chunk", "x");
    overwrite(folder / std::string(64, id.toHex()[0] == 'f' ? 'e' : 'f'), "in the wrong folder");
    const KeptPage page = store_->list(id.array()[0], 0, std::nullopt, maxKeptPage);
    ASSERT_EQ(page.chunks.size(), 1u);
    EXPECT_EQ(page.chunks[0].id, id);
}

TEST_F(DiskChunkStoreTest, RefusesWritesBelowTheReserveButGoesOnReading) {
    const Chunk before = chunkOf("before"), after = chunkOf("after");
    store_->put(before, 1);
    open(store_->space().freeBytes + (std::uint64_t{1} << 40));
    EXPECT_EQ(codeOf([&] { store_->put(after, 1); }), ErrorCode::storageFull);
    EXPECT_EQ(codeOf([&] { store_->putAll(std::vector<PutItem>{{before, 1}, {after, 1}}); }), ErrorCode::storageFull);
    EXPECT_FALSE(store_->has(after.id()));
    EXPECT_THAT(filesIn(folder_ / "tmp"), IsEmpty());
    EXPECT_EQ(read(before), "before");
    store_->put(before, 2);
    EXPECT_TRUE(store_->remove(before.id(), 2));
}

TEST_F(DiskChunkStoreTest, IsUsedByOneAtATime) {
    try {
        (void)DiskChunkStore::open(openPosixDisk(folder_), "vault");
        FAIL() << "opened twice";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::conflict);
        EXPECT_THAT(error.publicMessage(), testing::HasSubstr("in use by another process"));
        EXPECT_THAT(error.publicMessage(), testing::HasSubstr(folder_.string()));
    }
    store_.reset();
    EXPECT_NE(DiskChunkStore::open(openPosixDisk(folder_), "vault"), nullptr);
}

TEST_F(DiskChunkStoreTest, IsNotOpenedWithoutAMarkerOfItsVault) {
    store_.reset();
    const std::string marker = contentOf(folder_ / "vault.json");
    const auto openCode = [&](const std::string& vault) {
        return codeOf([&] { (void)DiskChunkStore::open(openPosixDisk(folder_), vault); });
    };
    EXPECT_EQ(openCode("another vault"), ErrorCode::conflict);
    for (const char* const bad : {"", "{", "[]", "{\"format\": 1}", "{\"format\": 0}"}) {
        overwrite(folder_ / "vault.json", bad);
        EXPECT_EQ(openCode("vault"), ErrorCode::conflict) << bad;
    }
    overwrite(folder_ / "vault.json", R"({"format":2,"vault_id":"vault","node_id":"node1","store_id":"x"})");
    EXPECT_EQ(openCode("vault"), ErrorCode::conflict);
    std::filesystem::remove(folder_ / "vault.json");
    EXPECT_EQ(openCode("vault"), ErrorCode::unavailable);
    std::filesystem::rename(folder_, home_.path() / "elsewhere");
    EXPECT_EQ(openCode("vault"), ErrorCode::unavailable);
    std::filesystem::rename(home_.path() / "elsewhere", folder_);
    overwrite(folder_ / "vault.json", marker);
    EXPECT_FALSE(openCode("vault"));
}

TEST_F(DiskChunkStoreTest, SaysInItsMarkerWhoseItIs) {
    const StoreIdentity& identity = store_->identity();
    EXPECT_EQ(identity.vaultId, "vault");
    EXPECT_EQ(identity.nodeId, "node1");
    EXPECT_THAT(identity.storeId,
                testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    const wire::Json document = wire::parseJson(contentOf(folder_ / "vault.json"));
    EXPECT_EQ(document.at("format"), 1);
    EXPECT_EQ(document.at("vault_id"), "vault");
    EXPECT_EQ(document.at("node_id"), "node1");
    EXPECT_EQ(document.at("store_id"), identity.storeId);
}

TEST_F(DiskChunkStoreTest, IsFormattedOnlyInAnEmptyFolder) {
    const auto formatCode = [](const path& folder) {
        return codeOf([&] { (void)DiskChunkStore::format(*makePosixDisk(folder), "vault", "node2"); });
    };
    EXPECT_EQ(formatCode(folder_), ErrorCode::conflict) << "in use";
    const Chunk chunk = chunkOf("somebody's");
    store_->put(chunk, 1);
    store_.reset();
    EXPECT_EQ(formatCode(folder_), ErrorCode::conflict) << "a store already";
    std::filesystem::remove(folder_ / "vault.json");
    EXPECT_EQ(formatCode(folder_), ErrorCode::conflict) << "has chunks";
    std::filesystem::remove(plainFile(chunk));
    EXPECT_FALSE(formatCode(folder_)) << "as after an interrupted format";
    const path photos = home_.path() / "photos";
    std::filesystem::create_directory(photos);
    overwrite(photos / "holiday.jpg", "x");
    EXPECT_EQ(formatCode(photos), ErrorCode::conflict);
}

TEST_F(DiskChunkStoreTest, IsNotWrittenToOnceTheMarkerIsGone) {
    const Chunk before = chunkOf("before"), after = chunkOf("after");
    store_->put(before, 1);
    const std::string marker = contentOf(folder_ / "vault.json");
    const auto refusesWrites = [&] {
        EXPECT_EQ(codeOf([&] { store_->put(after, 1); }), ErrorCode::unavailable);
        EXPECT_EQ(codeOf([&] { (void)store_->remove(before.id(), 1); }), ErrorCode::unavailable);
        EXPECT_EQ(codeOf([&] { (void)store_->moveAside(before.id()); }), ErrorCode::unavailable);
        EXPECT_EQ(codeOf([&] { (void)store_->purgeTrash(0, 1); }), ErrorCode::unavailable);
        EXPECT_EQ(read(before), "before");
    };
    std::filesystem::remove(folder_ / "vault.json");
    refusesWrites();
    overwrite(folder_ / "vault.json", marker);
    store_->put(after, 1);
    EXPECT_TRUE(store_->remove(after.id(), 1));

    // As after an unmount: another folder under the same path.
    std::filesystem::rename(folder_, home_.path() / "unmounted");
    std::filesystem::create_directory(folder_);
    refusesWrites();
    EXPECT_THAT(filesIn(folder_), IsEmpty());
}

TEST_F(DiskChunkStoreTest, MakesAgainTheFoldersThatABackupLeftOutForBeingEmpty) {
    store_.reset();
    for (const char* const folder : {"tmp", "trash", "records", "chunks"})
        std::filesystem::remove_all(folder_ / folder);
    open();
    const Chunk chunk = chunkOf("welcome back");
    store_->put(chunk, 1);
    EXPECT_TRUE(store_->remove(chunk.id(), 1));
}

TEST_F(DiskChunkStoreTest, RemembersTheHighestCatalogSequenceNumberItWasTold) {
    constexpr Timestamp start = 1'800'000'000 * secondUs;
    const path file = folder_ / "catalog_seq";
    EXPECT_EQ(store_->catalogSeq(), 0);
    store_->noteCatalogSeq(0, start);
    EXPECT_FALSE(std::filesystem::exists(file));
    store_->noteCatalogSeq(7, start);
    EXPECT_EQ(contentOf(file), "7\n") << "the first is written at once";
    store_->noteCatalogSeq(9, start + DiskChunkStore::catalogSeqAgeUs - 1);
    store_->noteCatalogSeq(3, start + DiskChunkStore::catalogSeqAgeUs - 1);
    EXPECT_EQ(store_->catalogSeq(), 9);
    EXPECT_EQ(contentOf(file), "7\n") << "the next ones not more often than needed";
    store_->noteCatalogSeq(3, start + DiskChunkStore::catalogSeqAgeUs);
    EXPECT_EQ(contentOf(file), "9\n");
    open();
    EXPECT_EQ(store_->catalogSeq(), 9);
    store_->noteCatalogSeq(10, start);
    EXPECT_EQ(contentOf(file), "10\n");
    EXPECT_THAT(filesIn(folder_ / "tmp"), IsEmpty());
    EXPECT_EQ(store_->count().files, 0u);
}

TEST_F(DiskChunkStoreTest, TakesADamagedCatalogSequenceNumberForNone) {
    for (const char* const bad : {"", "7", "x\n", "-7\n", "7 \n", "7\n7\n", "99999999999999999999\n"}) {
        overwrite(folder_ / "catalog_seq", bad);
        open();
        EXPECT_EQ(store_->catalogSeq(), 0) << bad;
    }
    store_->noteCatalogSeq(8, systemNow());
    open();
    EXPECT_EQ(store_->catalogSeq(), 8);
}

TEST_F(DiskChunkStoreTest, DoesNotWriteTheCatalogSequenceNumberToAFolderWithoutItsMarker) {
    const std::string marker = contentOf(folder_ / "vault.json");
    std::filesystem::remove(folder_ / "vault.json");
    EXPECT_EQ(codeOf([&] { store_->noteCatalogSeq(5, 0); }), ErrorCode::unavailable);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "catalog_seq"));
    EXPECT_EQ(store_->catalogSeq(), 5);
    overwrite(folder_ / "vault.json", marker);
    store_->noteCatalogSeq(5, 0);
    EXPECT_EQ(contentOf(folder_ / "catalog_seq"), "5\n");
}

TEST_F(DiskChunkStoreTest, OpensACopyForReadingUnverifiedIfItsLengthIsRight) {
    const Chunk chunk = chunkOf("as it lies");
    EXPECT_EQ(codeOf([&] { (void)store_->openCopy(chunk.id(), 10); }), ErrorCode::chunkMissing);
    store_->put(chunk, 1);
    EXPECT_EQ(codeOf([&] { (void)store_->openCopy(chunk.id(), 11); }), ErrorCode::chunkCorrupt);
    overwrite(plainFile(chunk), "changed it");
    std::string read(10, '\0');
    EXPECT_EQ(store_->openCopy(chunk.id(), 10)->read(0, read), 10u);
    EXPECT_EQ(read, "changed it");
}

TEST_F(DiskChunkStoreTest, SurvivesAFileThatVanishedBehindItsBack) {
    const Chunk chunk = chunkOf("vanishing");
    store_->put(chunk, 2);
    EXPECT_TRUE(store_->has(chunk.id()));
    std::filesystem::remove(plainFile(chunk).string() + ".2");
    EXPECT_FALSE(store_->has(chunk.id()));
    store_->put(chunk, 1);
    EXPECT_EQ(read(chunk), "vanishing");
}

}  // namespace
}  // namespace chunkvault::storagenode

namespace chunkvault::test {

INSTANTIATE_TEST_SUITE_P(PosixDisk, ChunkStoreConformance,
                         testing::Values(StoreKind{"DiskChunkStore",
                                                   [] { return std::make_unique<DiskStoreUnderTest>(); }},
                                         StoreKind{"DiskChunkStoreThatRewrites",
                                                   [] {
                                                       return std::make_unique<DiskStoreUnderTest>(
                                                           storagenode::StoreOptions{.rewrites = true});
                                                   }}),
                         kindName);
INSTANTIATE_TEST_SUITE_P(PosixDisk, MaintainedStoreConformance,
                         testing::Values(MaintainedStoreKind{"DiskChunkStore",
                                                             [] { return std::make_unique<DiskStoreUnderTest>(); }}),
                         maintainedKindName);

}  // namespace chunkvault::test
