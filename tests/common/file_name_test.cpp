#include "common/wire/file_name.h"

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault {
namespace {

std::string repeated(std::string_view text, std::size_t count) {
    std::string result;
    for (std::size_t i = 0; i < count; ++i) result += text;
    return result;
}

void expectRefused(const auto& call, const std::string& what) {
    try {
        call();
        ADD_FAILURE() << what;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalidValue) << what;
        EXPECT_FALSE(error.publicMessage().empty());
    }
}

TEST(FileName, IsShownInNfcAndComparedCaseFolded) {
    const struct {
        std::string typed, text, key;
    } cases[] = {
        {"report.PDF", "report.PDF", "report.pdf"},
        {"a", "a", "a"},
        {" leading and trailing ", " leading and trailing ", " leading and trailing "},
        {"...", "...", "..."},
        {"e\u0301te\u0301", "\u00e9t\u00e9", "\u00e9t\u00e9"},
        {"\u00c9T\u00c9", "\u00c9T\u00c9", "\u00e9t\u00e9"},
        {"E\u0301", "\u00c9", "\u00e9"},
        {"Stra\u00dfe", "Stra\u00dfe", "strasse"},
        {"STRA\u1e9eE", "STRA\u1e9eE", "strasse"},
        {"\u0131", "\u0131", "\u0131"},   // dotless i is a letter of its own
        {"\u0130", "\u0130", "i\u0307"},  // folded without regard to the language
        {"\u03a3\u03c3\u03c2", "\u03a3\u03c3\u03c2", "\u03c3\u03c3\u03c3"},
        {"q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307"},
        {"q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307"},  // marks in canonical order
        {"\u212b", "\u00c5", "\u00e5"},                       // the angstrom sign is a letter in NFC
        {"\ufb01le", "\ufb01le", "file"},                     // NFC keeps the ligature, folding does not
        {"\u1112\u1161\u11ab", "\ud55c", "\ud55c"},
        {"\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"},
        {"%_\\*?:\"<>|", "%_\\*?:\"<>|", "%_\\*?:\"<>|"},
    };
    for (const auto& c : cases) {
        const FileName name = FileName::parse(c.typed);
        EXPECT_EQ(name.text(), c.text) << c.typed;
        EXPECT_EQ(name.key(), c.key) << c.typed;
        EXPECT_EQ(FileName::parse(name.text()).key(), c.key) << c.typed;
        EXPECT_EQ(FileName::searchKey(c.typed), c.key) << c.typed;
    }
}

TEST(FileName, RefusesWhatCannotBeAName) {
    for (const std::string& bad : {
             std::string(),
             std::string("."),
             std::string(".."),
             std::string("a/b"),
             std::string("/"),
             std::string("a\0b", 3),
             std::string("a\nb"),
             std::string("\x01"),
             std::string("\x1f"),
             std::string("\x7f"),
             std::string("\xc2\x80"),
             std::string("\xc2\x9f"),  // C1
             std::string("\xff"),
             std::string("a\xc3"),
             std::string("\x80"),      // cut or stray bytes
             std::string("\xc0\xaf"),  // "/" in too many bytes
             std::string("\xed\xa0\x80"),
             std::string("\xf4\x90\x80\x80"),  // a surrogate, beyond Unicode
             std::string(256, 'a'),
             repeated("\u00e9", 128),
             std::string(100'000, 'a'),
         })
        expectRefused([&] { (void)FileName::parse(bad); }, bad.substr(0, 40));
}

TEST(FileName, HasAtMost255BytesAfterNormalisation) {
    EXPECT_EQ(FileName::parse(std::string(255, 'a')).text().size(), 255u);
    EXPECT_EQ(FileName::parse(repeated("e\u0301", 127)).text().size(), 254u);
    EXPECT_EQ(FileName::parse("\u00a0").text(), "\u00a0");
    EXPECT_EQ(FileName::parse(repeated("\u0390", 127)).key().size(), 254u);
    // U+0958 grows from 3 bytes to 6 in NFC.
    expectRefused([] { (void)FileName::parse(repeated("\u0958", 43)); }, "grows in NFC");
}

TEST(FileName, ParsesPathsOfNamesOnly) {
    const auto names = FileName::parsePath("Photos/2024/e\u0301te\u0301.jpg");
    ASSERT_EQ(names.size(), 3u);
    EXPECT_EQ(names[0].key(), "photos");
    EXPECT_EQ(names[1].text(), "2024");
    EXPECT_EQ(names[2].text(), "\u00e9t\u00e9.jpg");
    EXPECT_EQ(FileName::parsePath("one").size(), 1u);
    for (const char* bad : {"", "/", "/a", "a/", "a//b", "a/./b", "../a", "a/..", "a/\x01"})
        expectRefused([&] { (void)FileName::parsePath(bad); }, bad);
    std::string longest = "a";
    for (std::size_t i = 1; i < FileName::maxPathNames; ++i) longest += "/a";
    EXPECT_EQ(FileName::parsePath(longest).size(), FileName::maxPathNames);
    expectRefused([&] { (void)FileName::parsePath(longest + "/a"); }, "too many names");
}

TEST(FileName, IsNumberedBeforeItsExtension) {
    const struct {
        std::string name;
        int number;
        std::string expected;
    } cases[] = {
        {"report.pdf", 2, "report (2).pdf"},
        {"report", 2, "report (2)"},
        {"archive.tar.gz", 3, "archive.tar (3).gz"},
        {".bashrc", 2, ".bashrc (2)"},
        {"..hidden", 2, "..hidden (2)"},
        {".config.json", 2, ".config (2).json"},
        {"...", 2, "... (2)"},
        {"ends.", 2, "ends. (2)"},
        {"report (2).pdf", 2, "report (2) (2).pdf"},
        {"a." + std::string(40, 'x'), 2, "a." + std::string(40, 'x') + " (2)"},
        {"\u00e9t\u00e9.jpg", 1000, "\u00e9t\u00e9 (1000).jpg"},
        {std::string(255, 'a'), 2, std::string(251, 'a') + " (2)"},
        {std::string(251, 'a') + ".txt", 12, std::string(246, 'a') + " (12).txt"},
        {"a" + repeated("\u00e9", 127), 2, "a" + repeated("\u00e9", 125) + " (2)"},
        {repeated("\u00e9", 127), 2, repeated("\u00e9", 125) + " (2)"},
        {repeated("\U0001f600", 63) + "abc", 2, repeated("\U0001f600", 62) + " (2)"},
    };
    for (const auto& c : cases) {
        const FileName numbered = FileName::parse(c.name).numbered(c.number);
        EXPECT_EQ(numbered.text(), c.expected) << c.name;
        EXPECT_EQ(numbered.key(), FileName::parse(c.expected).key()) << c.name;
        EXPECT_LE(numbered.text().size(), 255u);
    }
}

TEST(FileName, SearchesForAnyPartOfAName) {
    EXPECT_EQ(FileName::searchKey("STRA\u00dfe"), "strasse");
    EXPECT_EQ(FileName::searchKey("."), ".");
    EXPECT_EQ(FileName::searchKey("50%_"), "50%_");
    for (const std::string& bad : {std::string(), std::string("\xff"), std::string("a\0", 2), std::string(256, 'a')})
        expectRefused([&] { (void)FileName::searchKey(bad); }, bad.substr(0, 40));
}

}  // namespace
}  // namespace chunkvault
