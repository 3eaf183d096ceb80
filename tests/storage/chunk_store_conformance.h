// What every ChunkStore must do. A store takes part by instantiating ChunkStoreConformance with a way to make one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/chunk/chunk_store.h"

namespace chunkvault::test {

class StoreUnderTest {
  public:
    virtual ~StoreUnderTest() = default;
    [[nodiscard]] virtual ChunkStore& store() = 0;
    // Flips a bit in every copy of the chunk, behind the store's back.
    virtual void damage(const ChunkId& id) = 0;
    // Cuts every copy short by a byte.
    virtual void shorten(const ChunkId& id) = 0;
};

struct StoreKind {
    std::string name;
    std::function<std::unique_ptr<StoreUnderTest>()> make;
};

class ChunkStoreConformance : public testing::TestWithParam<StoreKind> {
  protected:
    std::unique_ptr<StoreUnderTest> under_ = GetParam().make();
    ChunkStore& store_ = under_->store();

    [[nodiscard]] std::string read(const Chunk& chunk);
};

inline std::string kindName(const testing::TestParamInfo<StoreKind>& info) { return info.param.name; }

}  // namespace chunkvault::test
