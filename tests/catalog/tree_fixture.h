// A tree with three stores to make files on. Every test ends with a check that quotas add up.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "database/catalog/accounts.h"
#include "database/catalog/chunks.h"
#include "database/catalog/tree.h"
#include "database/catalog/uploads.h"
#include "tests/catalog/catalog_fixture.h"

namespace chunkvault::catalog {

class TreeTest : public CatalogTest {
  protected:
    static constexpr std::int64_t chunkSize = 1 << 20;
    static constexpr TreeLimits limits{.maxDepth = 6, .maxEntriesAtOnce = 50, .versionsKeep = 3};

    void SetUp() override {
        for (const char* node : {"one", "two", "three"})
            stores_.push_back(chunks.registerStore({node, std::string("uuid of ") + node, node, "", 1 << 30, 1 << 30}));
        const User ann = accounts.create({"ann", "", "hash"}), bob = accounts.create({"bob", "", "hash"});
        user = ann.id;
        root = ann.root;
        other = bob.id;
        otherRoot = bob.root;
    }

    void TearDown() override {
        for (const auto& usage : tree.auditUsage()) {
            EXPECT_EQ(usage.used, usage.usedBySum) << "of user " << valueOf(usage.owner);
            EXPECT_EQ(usage.reserved, usage.reservedBySum) << "of user " << valueOf(usage.owner);
        }
    }

    static FileName name(std::string_view text) { return FileName::parse(text); }
    static std::vector<FileName> path(std::string_view text) { return FileName::parsePath(text); }

    FileId folder(FileId base, std::string_view text) { return tree.makeFolders(user, base, path(text)).id; }

    // A file, or its next version, of size bytes; content stands for what they are.
    Entry put(UserId owner, FileId base, std::string_view text, std::int64_t size, std::string content = {},
              OnConflict onConflict = OnConflict::version) {
        if (content.empty()) content = "content of " + std::string(text);
        content += ' ' + std::to_string(size);
        const auto id = Sha256Digest::of(size == 0 ? std::string() : content);
        std::vector<DeclaredChunk> declared;
        if (size > 0) declared.push_back({0, size, id});
        std::vector<PinnedChunk> pinned;
        const UploadId intake = uploads.openIntake(owner, declared, pinned);
        std::vector<StoredChunk> stored;
        for (const PinnedChunk& pin : pinned) stored.push_back({pin.index, pin.row, pin.generation, stores_});
        const NewFile file{base, {}, name(text), size, 0, std::ssize(declared), id, time.now(), onConflict};
        const auto outcomes = uploads.commitFiles(owner, intake, stored, std::span(&file, 1));
        if (outcomes.front().error) throw *outcomes.front().error;
        return outcomes.front().file->entry;
    }
    FileId file(FileId base, std::string_view text, std::int64_t size = 1) { return put(user, base, text, size).id; }

    std::vector<std::string> namesIn(FileId folder) { return namesOf(tree.list(user, {folder})); }
    std::vector<std::string> namesInTrash() { return namesOf(tree.trash(user, 100, std::nullopt)); }
    static std::vector<std::string> namesOf(const Page& page) {
        std::vector<std::string> names;
        for (const Entry& entry : page.items) names.push_back(entry.name);
        return names;
    }

    std::int64_t used(UserId owner) { return *number("SELECT used FROM users WHERE id = $1", {owner}); }
    std::int64_t seq() { return *number("SELECT seq FROM users WHERE id = $1", {user}); }
    std::int64_t rows(std::string_view table) { return *number("SELECT COUNT(*) FROM " + std::string(table)); }

    // How much work raises seq, which every change does by one.
    template <typename Work>
    std::int64_t changesOf(Work&& work) {
        const auto before = seq();
        work();
        return seq() - before;
    }

    Accounts accounts{database(), clock()};
    Chunks chunks{database(), clock(), 3};
    Uploads uploads{database(), clock(), {.chunkSize = chunkSize}, limits, 0};
    Tree tree{database(), clock(), limits, 0};
    UserId user{}, other{};
    FileId root{}, otherRoot{};

  private:
    std::vector<StoreRow> stores_;
};

using Names = std::vector<std::string>;

}  // namespace chunkvault::catalog
