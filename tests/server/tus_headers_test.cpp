#include "server/api/tus_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "server/api/file_types.h"
#include "server/auth/base64.h"

namespace chunkvault::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(TusHeaders, NumbersAreDecimalDigits) {
    for (const auto& [text, number] :
         {std::pair<std::string_view, std::int64_t>{"0", 0}, {"007", 7}, {"9223372036854775807", INT64_MAX}})
        EXPECT_EQ(parseTusNumber(text), number) << text;
    for (const char* bad : {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808"})
        EXPECT_EQ(parseTusNumber(bad), std::nullopt) << bad;
}

TEST(TusHeaders, MetadataAreKeysWithBase64Values) {
    EXPECT_THAT(parseTusMetadata("filename d29ybGQ=,is_confidential"),
                ElementsAre(Pair("filename", "world"), Pair("is_confidential", "")));
    EXPECT_THAT(parseTusMetadata(" a YQ== , b "), ElementsAre(Pair("a", "a"), Pair("b", "")));
    EXPECT_THAT(parseTusMetadata(""), IsEmpty());
    for (const std::string& bad :
         {std::string(","), std::string("a YQ==,"), std::string("a !"), std::string("a YQ== x"), std::string("a,a"),
          std::string("\xc3\xa9 YQ=="), std::string(9000, 'a')})
        EXPECT_THROW((void)parseTusMetadata(bad), Error) << bad;
}

std::string metadata(std::initializer_list<std::pair<const char*, const char*>> values) {
    // Base64 as RFC 4648 section 4 has it, of which that for addresses differs in two characters and the padding.
    std::string header;
    for (const auto& [key, value] : values) {
        std::string text = toBase64Url(value);
        for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
        text.append((4 - text.size() % 4) % 4, '=');
        header += (header.empty() ? "" : ",") + std::string(key) + ' ' + text;
    }
    return header;
}

TEST(TusHeaders, TheFoldersOnTheWayAreThoseOfTheRelativePath) {
    struct Case {
        const char* path;
        std::vector<std::string> folders;
    };
    for (const Case& c :
         {Case{"f", {}}, {"null", {}}, {"/f", {}}, {"a/f", {"a"}}, {"/a/f", {"a"}}, {"a/b c/f", {"a", "b c"}}}) {
        std::vector<std::string> folders;
        for (const FileName& name : parseTusFile(metadata({{"filename", "f"}, {"relativePath", c.path}})).folders)
            folders.push_back(name.text());
        EXPECT_EQ(folders, c.folders) << c.path;
    }
    for (const char* bad : {"../f", "a/../f", "./f", "a//b/f", "//a/f"})
        EXPECT_THROW((void)parseTusFile(metadata({{"filename", "f"}, {"relativePath", bad}})), Error) << bad;
}

TEST(TusHeaders, AFileIsDescribedByItsMetadata) {
    const std::string hash(64, 'a');
    const TusFile file = parseTusFile(metadata({{"name", "f"},
                                                {"folder_id", "17"},
                                                {"modified_at", "2024-01-02T03:04:05Z"},
                                                {"on_conflict", "keep_both"},
                                                {"sha256", hash.c_str()},
                                                {"else", "x"}}));
    EXPECT_EQ(file.name.text(), "f");
    EXPECT_EQ(file.folderId, "17");
    EXPECT_EQ(toRfc3339(*file.modifiedAt), "2024-01-02T03:04:05Z");
    EXPECT_EQ(file.onConflict, catalog::OnConflict::keepBoth);
    EXPECT_EQ(file.sha256->toHex(), hash);
    EXPECT_EQ(parseTusFile(metadata({{"filename", "f"}, {"name", "g"}})).name.text(), "f");
    for (const auto& [key, value] : {std::pair<const char*, const char*>{"filename", ".."},
                                     {"filename", "a/b"},
                                     {"on_conflict", "fail"},
                                     {"modified_at", "yesterday"},
                                     {"sha256", "x"}})
        EXPECT_THROW((void)parseTusFile(metadata({{"name", "f"}, {key, value}})), Error) << key;
    EXPECT_THROW((void)parseTusFile(""), Error);
}

TEST(FileTypes, AreEndingsAndMediaTypes) {
    struct Case {
        const char* types;
        const char* name;
        bool taken;
    };
    for (const Case& c : {Case{"", "anything", true},
                          {".jpg", "a.jpg", true},
                          {".jpg", "A.JPG", true},
                          {".jpg", ".jpg", false},
                          {".jpg", "a.jpg.exe", false},
                          {".tar.gz", "a.tar.gz", true},
                          {"image/*", "a.png", true},
                          {"image/*", "a.txt", false},
                          {"application/pdf", "a.pdf", true},
                          {"application/pdf", "a.zip", false},
                          {".txt,image/*", "a.gif", true}})
        EXPECT_EQ(isOfTypes(c.name, c.types), c.taken) << c.types << ' ' << c.name;
    EXPECT_EQ(joinTypes({".JPG", "Image/*"}), ".jpg,image/*");
    EXPECT_THAT(splitTypes(".jpg,image/*"), ElementsAre(".jpg", "image/*"));
    EXPECT_THAT(splitTypes(""), IsEmpty());
    for (const char* bad : {"", ".", "jpg", "*", "*/*", "a/b/c", ".a,.b", ". a", "image/"})
        EXPECT_THROW((void)joinTypes({bad}), Error) << bad;
}

}  // namespace
}  // namespace chunkvault::server
