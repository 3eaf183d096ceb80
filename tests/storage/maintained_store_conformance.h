// What every MaintainedStore must do besides what every ChunkStore must.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/chunk/maintained_store.h"
#include "tests/storage/chunk_store_conformance.h"

namespace chunkvault::test {

class MaintainedStoreUnderTest : public StoreUnderTest {
  public:
    static constexpr int hoursOfAge = 1000;

    [[nodiscard]] virtual MaintainedStore& maintained() = 0;
    // Makes the last put of the chunk so old.
    virtual void age(const ChunkId& id) = 0;
    // The names of the files in the trash.
    [[nodiscard]] virtual std::vector<std::string> trash() = 0;
};

struct MaintainedStoreKind {
    std::string name;
    std::function<std::unique_ptr<MaintainedStoreUnderTest>()> make;
};

class MaintainedStoreConformance : public testing::TestWithParam<MaintainedStoreKind> {
  protected:
    std::unique_ptr<MaintainedStoreUnderTest> under_ = GetParam().make();
    MaintainedStore& store_ = under_->maintained();
};

inline std::string maintainedKindName(const testing::TestParamInfo<MaintainedStoreKind>& info) {
    return info.param.name;
}

}  // namespace chunkvault::test
