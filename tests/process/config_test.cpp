#include "common/process/config.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "tests/support/temp_folder.h"

namespace chunkvault::process {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr Setting table[] = {
    {"PORT", "8000", "Where to listen"}, {"STORAGE_PATHS", "", "Folders"},    {"CHUNK_SIZE", "4M", "Size"},
    {"GC_GRACE", "7d", "Time"},          {"LOG_REQUESTS", "true", "Truth"},   {"LOG_LEVEL", "info", "One of some"},
    {"SECRET_KEY", "", "Hidden", true},  {"INTERVALS", "", "Times by names"},
};

template <typename Work>
std::string messageOf(Work&& work) {
    try {
        work();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalidValue);
        EXPECT_THAT(error.publicMessage(), Not(HasSubstr("\n")));
        return error.publicMessage();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

Config with(const char* name, const std::string& value) { return Config(table, {{name, value}}); }

std::string refusalOf(const Config::Environment& environment) {
    return messageOf([&] { Config config(table, environment); });
}

TEST(Config, FallsBackWhereNothingIsGiven) {
    for (const Config::Environment& environment : {Config::Environment{}, {{"PORT", ""}, {"HOME", "/root"}}}) {
        const Config config(table, environment);
        EXPECT_FALSE(config.given("PORT"));
        EXPECT_EQ(config.integer("PORT", 0, 65535), 8000);
        EXPECT_EQ(config.bytes("CHUNK_SIZE", 0, INT64_MAX), 4 << 20);
        EXPECT_EQ(config.duration("GC_GRACE", 0ms, 24h * 365), 24h * 7);
        EXPECT_TRUE(config.boolean("LOG_REQUESTS"));
        EXPECT_THAT(config.list("STORAGE_PATHS"), IsEmpty());
        EXPECT_EQ(config.text("SECRET_KEY"), "");
    }
}

TEST(Config, TakesWhatIsGiven) {
    EXPECT_EQ(with("PORT", "0").integer("PORT", 0, 65535), 0);
    EXPECT_TRUE(with("PORT", "0").given("PORT"));
    EXPECT_THAT(with("STORAGE_PATHS", " /a b ,, /c,").list("STORAGE_PATHS"), ElementsAre("/a b", "/c"));
    EXPECT_EQ(with("LOG_LEVEL", "debug").oneOf("LOG_LEVEL", {"debug", "info"}), "debug");
    for (const char* truth : {"true", "yes", "1"})
        EXPECT_TRUE(with("LOG_REQUESTS", truth).boolean("LOG_REQUESTS")) << truth;
    for (const char* lie : {"false", "no", "0"}) EXPECT_FALSE(with("LOG_REQUESTS", lie).boolean("LOG_REQUESTS")) << lie;
}

TEST(Config, ReadsTimesByNames) {
    const std::vector<std::string> known{"scrub", "trash"};
    const auto read = [&](const char* text) { return with("INTERVALS", text).durations("INTERVALS", known, 1s, 24h); };
    EXPECT_THAT(read(""), IsEmpty());
    EXPECT_THAT(read("trash=10min, scrub=1h,"), ElementsAre(testing::Pair("scrub", 1h), testing::Pair("trash", 10min)));
    for (const char* text :
         {"scrub", "scrub=", "=1h", "scrub=1", "scrub=25h", "scrub=0s", "other=1h", "scrub=1h,scrub=2h", "scrub =1h"})
        EXPECT_THAT(messageOf([&] { (void)read(text); }), AllOf(HasSubstr("INTERVALS"), HasSubstr("scrub, trash")))
            << text;
}

TEST(Config, ReadsSizes) {
    const std::pair<const char*, std::int64_t> cases[] = {{"0", 0},          {"1024", 1024},      {"64k", 64 << 10},
                                                          {"64K", 64 << 10}, {"100M", 100 << 20}, {"10G", 10LL << 30},
                                                          {"2t", 2LL << 40}};
    for (const auto& [text, bytes] : cases)
        EXPECT_EQ(with("CHUNK_SIZE", text).bytes("CHUNK_SIZE", 0, INT64_MAX), bytes) << text;
    for (const char* text :
         {"4MB", "4 M", "M", "-1", "+1", "1.5M", "4Mi", "0x10", "9223372036854775808", "8388608T", "99999999999G"})
        EXPECT_THAT(messageOf([&] { (void)with("CHUNK_SIZE", text).bytes("CHUNK_SIZE", 0, INT64_MAX); }),
                    HasSubstr(text))
            << text;
}

TEST(Config, ReadsTimes) {
    const std::pair<const char*, std::chrono::milliseconds> cases[] = {
        {"0s", 0ms}, {"500ms", 500ms}, {"30s", 30s}, {"15min", 15min}, {"24h", 24h}, {"7d", 24h * 7}};
    for (const auto& [text, time] : cases)
        EXPECT_EQ(with("GC_GRACE", text).duration("GC_GRACE", 0ms, 24h * 365), time) << text;
    for (const char* text : {"30", "30 s", "30S", "1m", "1.5h", "-1s", "1w", "s", "366d", "9223372036854775807d"})
        EXPECT_THAT(messageOf([&] { (void)with("GC_GRACE", text).duration("GC_GRACE", 0ms, 24h * 365); }),
                    HasSubstr(text))
            << text;
}

TEST(Config, SaysWhatIsAllowed) {
    for (const char* text : {"x", "80a", "-1", "65536", "99999999999999999999", "8000.0", " 80"})
        EXPECT_THAT(messageOf([&] { (void)with("PORT", text).integer("PORT", 1, 65535); }),
                    AllOf(HasSubstr("PORT"), HasSubstr('"' + std::string(text) + '"'), HasSubstr("from 1 to 65535")));
    EXPECT_THAT(messageOf([] { (void)with("CHUNK_SIZE", "1K").bytes("CHUNK_SIZE", 64 << 10, 100 << 20); }),
                HasSubstr("from 64K to 100M"));
    EXPECT_THAT(messageOf([] { (void)with("GC_GRACE", "1d").duration("GC_GRACE", 100ms, 1h); }),
                HasSubstr("from 100ms to 1h"));
    EXPECT_THAT(messageOf([] { (void)with("LOG_REQUESTS", "maybe").boolean("LOG_REQUESTS"); }),
                HasSubstr("true, false"));
    EXPECT_THAT(messageOf([] {
                    (void)with("LOG_LEVEL", "loud").oneOf("LOG_LEVEL", {"debug", "info"});
                }),
                HasSubstr("debug, info"));
    EXPECT_THAT(messageOf([] { (void)with("PORT", "1\r\n2").integer("PORT", 1, 65535); }), HasSubstr("1??2"));
    EXPECT_LT(messageOf([] { (void)with("PORT", std::string(9999, 'x')).integer("PORT", 1, 65535); }).size(), 400u);
}

TEST(Config, RefusesMisspeltSettings) {
    const std::pair<const char*, const char*> cases[] = {
        {"STORAGE_PATS", "STORAGE_PATHS"}, {"STORAGE_PATH", "STORAGE_PATHS"}, {"STORAGEPATH", "STORAGE_PATHS"},
        {"CHUNKSIZE", "CHUNK_SIZE"},       {"SECRET_KEYS", "SECRET_KEY"},     {"SECRETKEY_FILE", "SECRET_KEY_FILE"}};
    for (const auto& [name, meant] : cases)
        EXPECT_THAT(refusalOf({{name, "hidden-value"}}),
                    AllOf(HasSubstr(name), HasSubstr(std::string("mean ") + meant), Not(HasSubstr("hidden-value"))));
    EXPECT_THAT(refusalOf({{"CHUNKVAULT_PORT", "1"}}), HasSubstr("CHUNKVAULT_PORT"));
    EXPECT_NO_THROW(Config(
        table,
        {{"PATH", "/bin"}, {"PORTS", "1"}, {"POST", "1"}, {"LOGNAME", "root"}, {"STORAGE", "x"}, {"PORT_FILE", "x"}}));
}

TEST(Config, ReadsSecretsFromFiles) {
    const test::TempFolder folder;
    const std::string path = (folder.path() / "secret").string();
    const auto fromFile = [&](const std::string& content) {
        std::ofstream(path, std::ios::binary) << content;
        return Config(table, {{"SECRET_KEY_FILE", path}}).text("SECRET_KEY");
    };
    EXPECT_EQ(fromFile("abc"), "abc");
    EXPECT_EQ(fromFile("abc\n"), "abc");
    EXPECT_EQ(fromFile("abc\r\n"), "abc");
    EXPECT_EQ(fromFile(" a b \n\n"), " a b \n");
    EXPECT_TRUE(Config(table, {{"SECRET_KEY_FILE", path}}).given("SECRET_KEY"));
    EXPECT_THAT(refusalOf({{"SECRET_KEY_FILE", path}, {"SECRET_KEY", "direct"}}),
                AllOf(HasSubstr("SECRET_KEY_FILE"), HasSubstr("both"), Not(HasSubstr("direct"))));
    EXPECT_NO_THROW(Config(table, {{"SECRET_KEY_FILE", path}, {"SECRET_KEY", ""}}));

    EXPECT_THAT(refusalOf({{"SECRET_KEY_FILE", path + ".missing"}}), HasSubstr(".missing"));
    EXPECT_THAT(refusalOf({{"SECRET_KEY_FILE", folder.path().string()}}), HasSubstr("cannot be read"));
    EXPECT_THAT(messageOf([&] { (void)fromFile("\n"); }), HasSubstr("empty"));
}

TEST(Config, NeverShowsASecret) {
    EXPECT_THAT(messageOf([] { (void)with("SECRET_KEY", "hunter2").integer("SECRET_KEY", 0, 1); }),
                AllOf(HasSubstr("SECRET_KEY"), Not(HasSubstr("hunter2"))));
}

TEST(Config, ReadsTheProcessesEnvironment) {
    ASSERT_EQ(setenv("CONFIG_TEST_VALUE", "a=b", 1), 0);
    EXPECT_EQ(Config::environment().at("CONFIG_TEST_VALUE"), "a=b");
    unsetenv("CONFIG_TEST_VALUE");
}

TEST(Config, IsDescribedByATable) {
    const std::string text = Config::markdownTable(table);
    EXPECT_THAT(text, HasSubstr("| `CHUNK_SIZE` | `4M` | Size |\n"));
    EXPECT_THAT(text, HasSubstr("| `SECRET_KEY` |  | Hidden (or the file `SECRET_KEY_FILE`) |\n"));
}

}  // namespace
}  // namespace chunkvault::process
