#include "common/process/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire/json.h"
#include "common/wire/timestamp.h"

namespace chunkvault::process {
namespace {

// What was written to a stream in memory.
class Written {
  public:
    Written() : stream_(open_memstream(&text_, &size_)) {}
    ~Written() {
        std::fclose(stream_);
        std::free(text_);
    }
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;

    [[nodiscard]] std::FILE* stream() { return stream_; }
    [[nodiscard]] std::string text() const { return {text_, size_}; }
    [[nodiscard]] std::vector<wire::Json> lines() const {
        std::vector<wire::Json> parsed;
        std::string_view rest(text_, size_);
        while (!rest.empty()) {
            parsed.push_back(wire::parseJson(rest.substr(0, rest.find('\n'))));
            rest.remove_prefix(rest.find('\n') + 1);
        }
        return parsed;
    }

  private:
    char* text_ = nullptr;
    std::size_t size_ = 0;
    std::FILE* stream_;
};

TEST(Log, WritesOneJsonLineAnEvent) {
    Written written;
    Log log(written.stream(), Level::debug);
    log.write(Level::info, "request",
              {{"text", "a"}, {"count", 7}, {"big", INT64_MAX}, {"share", 0.5}, {"whole", true}});
    log.write(Level::error, "bare", {});
    const auto lines = written.lines();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_TRUE(parseRfc3339(lines[0]["time"].get<std::string>()));
    EXPECT_EQ(lines[0]["level"], "info");
    EXPECT_EQ(lines[0]["event"], "request");
    EXPECT_EQ(lines[0]["text"], "a");
    EXPECT_EQ(lines[0]["count"], 7);
    EXPECT_EQ(lines[0]["big"], INT64_MAX);
    EXPECT_EQ(lines[0]["share"], 0.5);
    EXPECT_EQ(lines[0]["whole"], true);
    EXPECT_EQ(lines[1]["level"], "error");
}

TEST(Log, KeepsALineALineWhateverIsInIt) {
    Written written;
    Log log(written.stream(), Level::info);
    const std::string bytes("a\n\r\t\x1b[31m\0\"\\", 12);
    log.write(Level::info, "odd", {{"bytes", bytes}, {"broken", "\xff\xc3"}, {"name", "Größe"}, {"nan", std::nan("")}});
    const auto lines = written.lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0]["bytes"], bytes);
    EXPECT_EQ(lines[0]["broken"], "\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(lines[0]["name"], "Größe");
    EXPECT_TRUE(lines[0]["nan"].is_null());
    for (const char c : written.text().substr(0, written.text().size() - 1)) EXPECT_FALSE(c >= 0 && c < 0x20);
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
    Written written;
    Log log(written.stream(), Level::warning);
    for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) log.write(level, "event", {});
    const auto lines = written.lines();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0]["level"], "warning");
    EXPECT_EQ(lines[1]["level"], "error");
}

TEST(Log, KeepsTheLinesOfThreadsApart) {
    Written written;
    Log log(written.stream(), Level::info);
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread)
            threads.emplace_back([&log, thread] {
                for (int i = 0; i < 500; ++i) log.write(Level::info, "line", {{"thread", thread}, {"i", i}});
            });
    }
    const auto lines = written.lines();
    EXPECT_EQ(lines.size(), 2000u);
    std::vector<int> next(4);
    for (const auto& line : lines) EXPECT_EQ(line["i"], next[line["thread"].get<std::size_t>()]++);
}

TEST(Log, HandsEachLineOverAtOnceAndWhole) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_DIRECT | O_CLOEXEC), 0);  // a packet for each write(2)
    std::FILE* out = fdopen(ends[1], "w");
    Log log(out, Level::info);
    char packet[8192];
    for (const std::size_t length : {10u, 2000u}) {
        log.write(Level::info, "event", {{"text", std::string(length, 'x')}});
        const auto count = read(ends[0], packet, sizeof packet);
        ASSERT_GT(count, static_cast<ssize_t>(length));
        EXPECT_EQ(packet[count - 1], '\n');
    }
    std::fclose(out);
    close(ends[0]);
}

}  // namespace
}  // namespace chunkvault::process
