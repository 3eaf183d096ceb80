#include <optional>

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "server/api/zip.h"

namespace chunkvault::server {
namespace {

std::optional<ErrorCode> refusalOf(ZipMemory& memory, std::int64_t bytes) {
    try {
        const ZipMemory::Part part(memory, bytes);
        return std::nullopt;
    } catch (const Error& error) {
        return error.code();
    }
}

TEST(ZipMemory, IsSharedByTheZipsThatAreUnderWay) {
    ZipMemory memory(100);
    std::optional<ZipMemory::Part> large(std::in_place, memory, 70);
    EXPECT_EQ(refusalOf(memory, 31), ErrorCode::unavailable);
    EXPECT_EQ(refusalOf(memory, 30), std::nullopt);
    large.reset();
    EXPECT_EQ(refusalOf(memory, 100), std::nullopt);
}

TEST(ZipMemory, SaysWhenThereIsNeverEnough) {
    ZipMemory memory(100);
    EXPECT_EQ(refusalOf(memory, 101), ErrorCode::invalidValue);
    EXPECT_EQ(refusalOf(memory, 100), std::nullopt);
}

}  // namespace
}  // namespace chunkvault::server
