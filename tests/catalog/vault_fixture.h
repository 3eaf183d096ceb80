// A catalog with three stores and files in it, for the suites that need more than accounts. No bytes exist: what stores
// would have said is made up.
#pragma once

#include <string>
#include <vector>

#include "common/chunk/manifest.h"
#include "database/catalog/chunks.h"
#include "database/catalog/shares.h"
#include "database/catalog/tree.h"
#include "database/catalog/uploads.h"
#include "tests/catalog/catalog_fixture.h"

namespace chunkvault::catalog {

class VaultTest : public CatalogTest {
  protected:
    static constexpr std::int64_t chunkSize = 100;
    static constexpr std::int64_t quota = 10'000;

    VaultTest() {
        for (const char* node : {"a", "b", "c"})
            stores.push_back(chunks.registerStore({node, std::string("uuid-") + node, node, "", 1000, 900}));
    }

    // Whatever a test did, what users have used is what their rows sum up to.
    void TearDown() override {
        for (const Tree::Usage& usage : tree.auditUsage()) {
            EXPECT_EQ(usage.used, usage.usedBySum) << "user " << valueOf(usage.owner);
            EXPECT_EQ(usage.reserved, usage.reservedBySum) << "user " << valueOf(usage.owner);
        }
    }

    // The chunks of text, cut at chunkSize.
    [[nodiscard]] static std::vector<DeclaredChunk> cut(const std::string& text) {
        std::vector<DeclaredChunk> cutChunks;
        for (std::size_t at = 0; at < text.size(); at += chunkSize) {
            const std::string piece = text.substr(at, chunkSize);
            cutChunks.push_back({static_cast<std::int64_t>(cutChunks.size()), static_cast<std::int64_t>(piece.size()),
                                 ChunkId::of(piece)});
        }
        return cutChunks;
    }
    [[nodiscard]] static Sha256Digest rootOfText(const std::string& text) {
        RootHash root;
        for (const DeclaredChunk& chunk : cut(text)) root.add(static_cast<std::uint64_t>(chunk.length), chunk.id);
        return root.finish();
    }
    [[nodiscard]] NewUpload newUpload(const User& user, const std::string& key, const std::string& name,
                                      const std::string& text, OnConflict policy = OnConflict::version) {
        return {key, user.root, FileName::parse(name), static_cast<std::int64_t>(text.size()), time.now(), policy};
    }
    void send(UploadId upload, const DeclaredChunk& chunk) {
        const PinnedChunk pinned = uploads.pin(upload, chunk);
        uploads.stored(upload, {chunk.index, pinned.row, pinned.generation, stores});
    }
    void sendAll(UploadId upload, const std::string& text) {
        for (const DeclaredChunk& chunk : cut(text)) send(upload, chunk);
    }
    // A whole upload.
    CommittedFile put(const User& user, const std::string& name, const std::string& text,
                      OnConflict policy = OnConflict::version) {
        const Upload upload =
            uploads.create(user.id, newUpload(user, "key-" + std::to_string(++keys_), name, text, policy));
        sendAll(upload.id, text);
        return uploads.commit(upload.id, rootOfText(text), std::nullopt);
    }
    // The same through one request, as form and batch do.
    FileOutcome putAtOnce(const User& user, const std::string& name, const std::string& text,
                          OnConflict policy = OnConflict::version) {
        std::vector<PinnedChunk> pinned;
        const auto declared = cut(text);
        const UploadId intake = uploads.openIntake(user.id, declared, pinned);
        std::vector<StoredChunk> stored;
        for (const PinnedChunk& pin : pinned) stored.push_back({pin.index, pin.row, pin.generation, stores});
        const NewFile file{user.root,
                           {},
                           FileName::parse(name),
                           static_cast<std::int64_t>(text.size()),
                           0,
                           static_cast<std::int64_t>(declared.size()),
                           ChunkId::of(text),
                           time.now(),
                           policy};
        return std::move(uploads.commitFiles(user.id, intake, stored, {&file, 1}).front());
    }

    // As if there had never been a copy on store.
    void forget(ChunkRow chunk, StoreRow store) {
        chunks.replicaBad(chunk, store);
        chunks.forgetBad(chunk, store);
    }

    TreeLimits treeLimits{.maxDepth = 10, .maxEntriesAtOnce = 1000, .versionsKeep = 3};
    UploadLimits uploadLimits{.chunkSize = chunkSize, .maxOpenPerOwner = 5};
    Accounts accounts{database(), clock()};
    Tree tree{database(), clock(), treeLimits, quota};
    Uploads uploads{database(), clock(), uploadLimits, treeLimits, quota};
    Chunks chunks{database(), clock(), 3};
    Shares shares{database(), clock()};
    std::vector<StoreRow> stores;

  private:
    int keys_ = 0;
};

}  // namespace chunkvault::catalog
