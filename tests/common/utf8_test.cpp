#include "common/wire/utf8.h"

#include <gtest/gtest.h>

namespace chunkvault::wire {
namespace {

TEST(ValidUtf8, ReplacesWhatIsNoneAndEndsBetweenCharacters) {
    const struct {
        std::string_view text;
        std::size_t maxBytes;
        std::string_view valid;
    } cases[] = {
        {"", 5, ""},
        {"plain", 5, "plain"},
        {"plain", 4, "plai"},
        {"caf\xC3\xA9", 5, "caf\xC3\xA9"},
        {"caf\xC3\xA9", 4, "caf"},
        {"caf\xE9!", 100, "caf\xEF\xBF\xBD!"},
        {"caf\xE9", 5, "caf"},
        {"\xE2\x98", 100, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"x", 0, ""},
    };
    for (const auto& c : cases) EXPECT_EQ(validUtf8(c.text, c.maxBytes), c.valid) << c.text << ' ' << c.maxBytes;
    EXPECT_EQ(validUtf8("caf\xE9!"), "caf\xEF\xBF\xBD!");
}

}  // namespace
}  // namespace chunkvault::wire
