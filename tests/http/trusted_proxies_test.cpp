#include "common/http/trusted_proxies.h"

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::http {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(IpAddress, IsReadInEveryForm) {
    const struct {
        const char* text;
        const char* normal;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"FE80::1%eth0", "fe80::1"},
        {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
    };
    for (const auto& c : cases) EXPECT_EQ(ip(c.text).toString(), c.normal) << c.text;
    for (const char* text : {"", "x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::1::", "[::1]", "1.2.3.4:80"})
        EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(TrustedProxies, ContainAddressesAndBlocks) {
    const TrustedProxies proxies({"10.0.0.0/8", "192.168.1.7", "172.16.0.0/12", "fd00::/9", "::1"});
    for (const char* address : {"10.255.0.1", "192.168.1.7", "172.31.255.255", "::ffff:10.0.0.1", "fd7f::1", "::1"})
        EXPECT_TRUE(proxies.contains(ip(address))) << address;
    for (const char* address : {"11.0.0.1", "192.168.1.8", "172.32.0.0", "fd80::1", "::2", "127.0.0.1"})
        EXPECT_FALSE(proxies.contains(ip(address))) << address;
    EXPECT_TRUE(TrustedProxies({"0.0.0.0/0"}).contains(ip("8.8.8.8")));
    EXPECT_FALSE(TrustedProxies({"0.0.0.0/0"}).contains(ip("2001::1")));
    EXPECT_TRUE(TrustedProxies({"::/0"}).contains(ip("8.8.8.8")));
}

TEST(TrustedProxies, RefuseEntriesThatAreNoBlocks) {
    for (const char* text : {"", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "/8",
                             "10.0.0/8", "proxy.example.org"}) {
        try {
            const TrustedProxies proxies({text});
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalidValue);
            EXPECT_NE(error.publicMessage().find("'" + std::string(text) + "'"), std::string::npos);
        }
    }
}

TEST(TrustedProxies, FindTheClientBehindThem) {
    const TrustedProxies proxies({"10.0.0.0/8", "fd00::/8"});
    const struct {
        const char* peer;
        std::vector<Header> headers;
        const char* client;
    } cases[] = {
        {"9.9.9.9", {{"X-Forwarded-For", "1.1.1.1"}}, "9.9.9.9"},
        {"10.0.0.1", {}, "10.0.0.1"},
        {"10.0.0.1", {{"x-forwarded-for", "1.1.1.1"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "6.6.6.6, 1.1.1.1"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "6.6.6.6, 1.1.1.1, 10.0.0.2"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "6.6.6.6"}, {"X-Forwarded-For", "1.1.1.1"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}, "10.0.0.3"},
        {"10.0.0.1", {{"X-Forwarded-For", "1.1.1.1, unknown, 10.0.0.2"}}, "10.0.0.2"},
        {"10.0.0.1", {{"X-Forwarded-For", "1.1.1.1, "}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "1.1.1.1:4567"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", "[2001:db8::1]:4567"}}, "2001:db8::1"},
        {"fd00::1", {{"X-Forwarded-For", "2001:db8::1"}}, "2001:db8::1"},
        {"::ffff:10.0.0.1", {{"X-Forwarded-For", "::ffff:1.1.1.1"}}, "1.1.1.1"},
        {"10.0.0.1", {{"X-Forwarded-For", ","}}, "10.0.0.1"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(proxies.origin(ip(c.peer), false, c.headers).address, c.client)
            << c.peer << ' ' << (c.headers.empty() ? "" : c.headers[0].value);
}

TEST(TrustedProxies, AreBelievedAboutTlsAndRequestIds) {
    const TrustedProxies proxies({"10.0.0.1"});
    const std::vector<Header> headers = {{"X-Forwarded-Proto", "https"}, {"X-Request-Id", "abc-1._Z"}};
    const Origin trusted = proxies.origin(ip("10.0.0.1"), false, headers);
    EXPECT_TRUE(trusted.secure);
    EXPECT_EQ(trusted.requestId, "abc-1._Z");
    const Origin stranger = proxies.origin(ip("10.0.0.2"), false, headers);
    EXPECT_FALSE(stranger.secure);
    EXPECT_EQ(stranger.requestId, "");
    EXPECT_TRUE(proxies.origin(ip("10.0.0.2"), true, {}).secure);
    EXPECT_FALSE(proxies.origin(ip("10.0.0.1"), true, {{"X-Forwarded-Proto", "http"}}).secure);
    for (const std::string& id :
         {std::string(), std::string("a b"), std::string("a\"b"), std::string(65, 'a'), std::string("\xc3\xa4")})
        EXPECT_EQ(proxies.origin(ip("10.0.0.1"), false, {{"X-Request-Id", id}}).requestId, "") << id;
    EXPECT_EQ(proxies.origin(ip("10.0.0.1"), false, {{"X-Request-Id", std::string(64, 'a')}}).requestId.size(), 64u);
}

}  // namespace
}  // namespace chunkvault::http
