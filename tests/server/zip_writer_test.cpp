// The archives are read by other programs in tests/system/test_zip.py. Here: what they are made of, and what is
// refused.
#include "server/storage/zip_writer.h"

#include <clocale>
#include <cstring>

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::server {
namespace {

std::string taken(ZipWriter& zip) {
    std::string made = std::move(zip.made());
    zip.made().clear();
    return made;
}

std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
    return value;
}

// Of the zip64 end of central directory record (APPNOTE 4.3.14) and the old one.
struct End {
    std::uint64_t entries, directorySize, directoryOffset;
};
End zip64End(std::string_view tail) {
    const std::size_t at = tail.rfind("PK\x06\x06");
    EXPECT_NE(at, std::string_view::npos);
    return {number(tail, at + 32, 8), number(tail, at + 40, 8), number(tail, at + 48, 8)};
}

TEST(ZipWriter, StoresNamesInUtf8WhateverTheLocaleIs) {
    ASSERT_STREQ(std::setlocale(LC_CTYPE, nullptr), "C");
    ZipWriter zip;
    const std::string name = "дом/naïve 🙂.txt";
    zip.beginFile(name, 5, 0);
    zip.write(std::string_view("hello"));
    zip.finish();
    const std::string made = taken(zip);
    constexpr std::size_t flagsAt = 6, methodAt = 8;
    constexpr std::uint64_t namesAreUtf8 = 1 << 11, stored = 0;
    EXPECT_NE(number(made, flagsAt, 2) & namesAreUtf8, 0u);
    EXPECT_EQ(number(made, methodAt, 2), stored);
    EXPECT_NE(made.find(name), made.rfind(name));  // at the file and in the directory
    EXPECT_NE(made.find("hello"), std::string::npos);
}

TEST(ZipWriter, HoldsFilesBeyond4GiBWithoutKeepingThem) {
    constexpr std::int64_t size = (std::int64_t{4} << 30) + (64 << 20);
    const std::string block(4 << 20, 'x');
    ZipWriter zip;
    std::uint64_t bytes = 0;
    std::size_t most = 0;
    const auto count = [&] {
        most = std::max(most, zip.made().size());
        bytes += zip.made().size();
        zip.made().clear();
    };
    zip.beginFile("large", size, 0);
    for (std::int64_t at = 0; at < size; at += static_cast<std::int64_t>(block.size())) {
        zip.write(block);
        count();
    }
    zip.beginFile("after", 1, 0);
    zip.write(std::string_view("y"));
    count();
    zip.finish();
    const std::string end = zip.made();
    EXPECT_LT(most, block.size() + 4096);
    const End read = zip64End(end);
    EXPECT_EQ(read.entries, 2u);
    EXPECT_GT(read.directoryOffset, static_cast<std::uint64_t>(size));
    // The directory is in the last bytes: it begins where the record says.
    EXPECT_GE(read.directoryOffset + read.directorySize, bytes);
}

TEST(ZipWriter, HoldsMoreThan65535Entries) {
    ZipWriter zip;
    constexpr int count = 70'000;
    for (int i = 0; i < count; ++i) {
        zip.addFolder("folder " + std::to_string(i), 0);
        zip.made().clear();
    }
    zip.finish();
    EXPECT_EQ(zip64End(zip.made()).entries, static_cast<std::uint64_t>(count));
}

TEST(ZipWriter, RefusesEntriesThatAreNotAsLongAsAnnounced) {
    ZipWriter zip;
    zip.beginFile("a", 3, 0);
    EXPECT_THROW(zip.write(std::string_view("four")), Error);
    zip.write(std::string_view("on"));
    EXPECT_THROW(zip.beginFile("b", 0, 0), Error);
    EXPECT_THROW(zip.finish(), Error);
    zip.write(std::string_view("e"));
    zip.finish();
}

TEST(ZipWriter, CanBeLeftInTheMiddle) {
    ZipWriter zip;
    zip.beginFile("a", 1000, 0);
    zip.write(std::string_view("some"));
}

TEST(ZipWriter, GivesTheDirectoryAwayInPieces) {
    ZipWriter zip;
    constexpr int entries = 20'000;
    std::uint64_t bytes = 0;
    std::size_t most = 0;
    const auto take = [&] {
        most = std::max(most, zip.made().size());
        bytes += taken(zip).size();
    };
    for (int number = 0; number < entries; ++number) zip.addFolder("folder " + std::to_string(number), 0);
    take();
    most = 0;
    zip.finish(take);
    EXPECT_LT(most, 256u << 10);
    EXPECT_GT(bytes, entries * 100u);
    EXPECT_TRUE(zip.made().empty());
}

TEST(ZipWriter, ThrowsWhatTheTakerOfTheDirectoryThrows) {
    ZipWriter zip;
    zip.addFolder("folder", 0);
    EXPECT_THROW(zip.finish([] { throw std::out_of_range("the client has gone"); }), std::out_of_range);
}

}  // namespace
}  // namespace chunkvault::server
