// A DiskChunkStore in a folder of its own, and what a test does to files behind its back.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "storagenode/store/disk_chunk_store.h"
#include "storagenode/store/posix_disk.h"
#include "tests/storage/maintained_store_conformance.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::test {

inline std::string contentOf(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void overwrite(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

// The names of the files below a folder, relative to it.
inline std::vector<std::string> filesIn(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder).string());
    return names;
}

class DiskStoreUnderTest final : public MaintainedStoreUnderTest {
  public:
    explicit DiskStoreUnderTest(storagenode::StoreOptions options = {}) {
        (void)storagenode::DiskChunkStore::format(*storagenode::openPosixDisk(home_.path()), "vault", "node1");
        store_ = storagenode::DiskChunkStore::open(storagenode::openPosixDisk(home_.path()), "vault", options);
    }
    ChunkStore& store() override { return *store_; }
    MaintainedStore& maintained() override { return *store_; }
    void damage(const ChunkId& id) override {
        const std::filesystem::path file = fileOf(id);
        std::string content = contentOf(file);
        content[content.size() / 2] ^= 1;
        overwrite(file, content);
    }
    void shorten(const ChunkId& id) override {
        std::filesystem::resize_file(fileOf(id), std::filesystem::file_size(fileOf(id)) - 1);
    }
    void age(const ChunkId& id) override {
        std::filesystem::last_write_time(
            fileOf(id), std::filesystem::file_time_type::clock::now() - std::chrono::hours(hoursOfAge));
    }
    std::vector<std::string> trash() override { return filesIn(home_.path() / "trash"); }

    [[nodiscard]] const std::filesystem::path& folder() const { return home_.path(); }
    [[nodiscard]] std::shared_ptr<storagenode::DiskChunkStore> disk() const { return store_; }

  private:
    [[nodiscard]] std::filesystem::path fileOf(const ChunkId& id) const {
        for (const std::string& name : filesIn(home_.path() / "chunks"))
            if (name.find(id.toHex()) != std::string::npos) return home_.path() / "chunks" / name;
        throw std::logic_error("no file of the chunk");
    }

    TempFolder home_;
    std::shared_ptr<storagenode::DiskChunkStore> store_;
};

}  // namespace chunkvault::test
