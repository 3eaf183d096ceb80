#include "server/wiring/settings.h"

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::server {
namespace {

Settings settingsOf(const process::Config::Environment& environment) {
    return Settings(process::Config(Settings::table(), environment));
}

TEST(Settings, TakeTheWellKnownPasswordWhereOnlyThisMachineCanConnect) {
    for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"})
        EXPECT_EQ(settingsOf({{"HOST", host}}).adminPassword, wellKnownPassword) << host;
    for (const char* host : {"0.0.0.0", "::", "192.0.2.1", "127.example.org", "127.0.0.1.example.org",
                             "localhost.example", "2001:db8::1"}) {
        EXPECT_THROW((void)settingsOf({{"HOST", host}}), Error) << host;
        EXPECT_THROW((void)settingsOf({{"HOST", host}, {"ADMIN_PASSWORD", "admin123"}}), Error) << host;
        EXPECT_EQ(settingsOf({{"HOST", host}, {"ADMIN_PASSWORD", "a good one"}}).adminPassword, "a good one") << host;
    }
    EXPECT_THROW((void)settingsOf({{"ADMIN_PASSWORD", "short"}}), Error);
    EXPECT_THROW((void)settingsOf({{"ADMIN_PASSWORD", std::string(73, 'x')}}), Error);
}

TEST(Settings, KnowWhetherAnybodyCouldOpenALinkToTheirHost) {
    for (const char* host : {"0.0.0.0", "::", "[::]"})
        EXPECT_TRUE(settingsOf({{"HOST", host}, {"ADMIN_PASSWORD", "a good one"}}).isEveryAddress()) << host;
    for (const char* host : {"127.0.0.1", "192.0.2.1", "files.example.org", "::1"})
        EXPECT_FALSE(settingsOf({{"HOST", host}, {"ADMIN_PASSWORD", "a good one"}}).isEveryAddress()) << host;
}

}  // namespace
}  // namespace chunkvault::server
