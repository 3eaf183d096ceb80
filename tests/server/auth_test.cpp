#include <atomic>
#include <thread>
#include <vector>

#include <Poco/AtomicCounter.h>
#include <Poco/Crypto/OpenSSLInitializer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error/error.h"
#include "server/auth/base64.h"
#include "server/auth/password.h"
#include "server/auth/tokens.h"
#include "tests/support/manual_clock.h"

namespace chunkvault::server {
namespace {

using catalog::SessionId;
using testing::StartsWith;

constexpr PasswordOptions quick{.cost = 4};

TEST(Password, IsAcceptedByLengthOnly) {
    for (const std::string& good :
         {std::string("12345678"), std::string(72, 'x'), std::string("pässwört"), std::string("        ")})
        EXPECT_NO_THROW(Passwords::check(good)) << good;
    for (const std::string& bad :
         {std::string(), std::string("1234567"), std::string("äöü"), std::string(73, 'x'), std::string("1234567\0", 8)})
        EXPECT_THROW(Passwords::check(bad), Error) << bad;
}

TEST(Password, IsKnownByItsBcryptHashOnly) {
    Passwords passwords(quick);
    const std::string hash = passwords.hash("correct horse");
    EXPECT_THAT(hash, StartsWith("$2b$04$"));
    EXPECT_NE(hash, passwords.hash("correct horse")) << "each hash has a salt of its own";
    EXPECT_TRUE(passwords.verify("correct horse", hash));
    EXPECT_FALSE(passwords.verify("correct horsf", hash));
    EXPECT_FALSE(passwords.verify("", hash));
    EXPECT_FALSE(passwords.verify("correct horse", std::nullopt));
}

TEST(Password, BeyondWhatBcryptReadsIsNeverCut) {
    Passwords passwords(quick);
    const std::string hash = passwords.hash(std::string(72, 'x'));
    EXPECT_TRUE(passwords.verify(std::string(72, 'x'), hash));
    EXPECT_FALSE(passwords.verify(std::string(73, 'x'), hash));
    EXPECT_FALSE(passwords.verify(std::string("short\0", 6), passwords.hash("short")));
    EXPECT_THROW((void)passwords.hash(std::string(73, 'x')), Error);
}

TEST(Password, MatchesAHashMadeElsewhere) {
    // From the test vectors of crypt_blowfish, of the "$2b$" kind.
    Passwords passwords(quick);
    EXPECT_TRUE(passwords.verify("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
    EXPECT_FALSE(passwords.verify("U*V", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
}

TEST(Password, HashesAreComputedAFewAtATime) {
    Passwords passwords({.cost = 8, .atOnce = 1, .waiting = 2});
    std::atomic<int> refused = 0, done = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 12; ++i)
        threads.emplace_back([&] {
            try {
                (void)passwords.hash("12345678");
                ++done;
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::unavailable);
                EXPECT_TRUE(error.retryAfterS());
                ++refused;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(done + refused, 12);
    EXPECT_GE(done, 1);
}

// How many keep Poco's OpenSSL set up. Poco tells nobody; an explicit instantiation may name what is private.
int usersOfOpenSsl();
template <Poco::AtomicCounter* users>
struct PocosCount {
    friend int usersOfOpenSsl() { return users->value(); }
};
template struct PocosCount<&Poco::Crypto::OpenSSLInitializer::_rc>;

class AccessTokenTest : public testing::Test {
  protected:
    test::ManualClock clock_;
    AccessTokens tokens{"key", clock_.clock(), 900};
};

TEST_F(AccessTokenTest, NamesItsSessionUntilItExpires) {
    const std::string token = tokens.issue(SessionId{42});
    EXPECT_EQ(tokens.verify(token), SessionId{42});
    clock_.advance(899 * secondUs);
    EXPECT_EQ(tokens.verify(token), SessionId{42});
    clock_.advance(secondUs);
    EXPECT_FALSE(tokens.verify(token));
}

TEST_F(AccessTokenTest, OfAnotherKeyOrAlteredIsRefused) {
    const std::string token = tokens.issue(SessionId{42});
    EXPECT_FALSE(AccessTokens("other", clock_.clock(), 900).verify(token));
    for (std::size_t i = 0; i + 1 < token.size(); ++i) {  // the last digit carries bits without meaning
        std::string altered = token;
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(tokens.verify(altered)) << i;
    }
    for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string(2000, 'a'),
                                   token + ".x", token.substr(0, token.rfind('.') + 1)})
        EXPECT_FALSE(tokens.verify(bad)) << bad;
}

TEST_F(AccessTokenTest, IsIssuedAndVerifiedByManyThreadsAtOnce) {
    std::atomic<int> refused = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&] {
                for (int id = 1; id <= 500; ++id) {
                    const std::string token = tokens.issue(SessionId{id});
                    for (int time = 0; time < 2; ++time) refused += tokens.verify(token) != SessionId{id};
                }
            });
    }
    EXPECT_EQ(refused, 0);
}

// Where it is torn down and set up again between requests, two threads rarely but surely free the same memory.
TEST_F(AccessTokenTest, KeepsOpenSslSetUpBetweenRequests) {
    EXPECT_GT(usersOfOpenSsl(), 0);
    EXPECT_TRUE(tokens.verify(tokens.issue(SessionId{42})));
    EXPECT_GT(usersOfOpenSsl(), 0);
}

TEST_F(AccessTokenTest, WithoutASignatureIsRefused) {
    const std::string payload =
        toBase64Url(R"({"iss":"chunkvault","aud":"chunkvault-api","sub":"42","nbf":0,"exp":99999999999})");
    for (const char* header : {R"({"alg":"none","typ":"JWT"})", R"({"alg":"None"})", R"({"alg":"HS512"})"})
        EXPECT_FALSE(tokens.verify(toBase64Url(header) + '.' + payload + '.')) << header;
}

TEST_F(AccessTokenTest, ForAnotherPurposeIsRefused) {
    const auto signedToken = [](const std::string& payload) {
        const std::string body = toBase64Url(R"({"alg":"HS256","typ":"JWT"})") + '.' + toBase64Url(payload);
        return body + '.' + toBase64Url(hmac("key", body).raw());
    };
    EXPECT_TRUE(tokens.verify(
        signedToken(R"({"iss":"chunkvault","aud":"chunkvault-api","sub":"42","nbf":0,"exp":99999999999})")));
    for (const char* payload :
         {R"({"iss":"other","aud":"chunkvault-api","sub":"42","nbf":0,"exp":99999999999})",
          R"({"iss":"chunkvault","aud":"other","sub":"42","nbf":0,"exp":99999999999})",
          R"({"iss":"chunkvault","aud":"chunkvault-api","sub":"x","nbf":0,"exp":99999999999})",
          R"({"iss":"chunkvault","aud":"chunkvault-api","sub":"42","nbf":99999999990,"exp":99999999999})",
          R"({"iss":"chunkvault","aud":"chunkvault-api","sub":"42","nbf":0})"})
        EXPECT_FALSE(tokens.verify(signedToken(payload))) << payload;
}

TEST(Tokens, AreDerivedFromWhatTheyStandFor) {
    const Keys keys("a secret of some length for the tests"), others("another secret of some length, other");
    EXPECT_EQ(uploadToken(keys, catalog::UploadId{1}, 5), uploadToken(keys, catalog::UploadId{1}, 5));
    EXPECT_NE(uploadToken(keys, catalog::UploadId{1}, 5), uploadToken(keys, catalog::UploadId{2}, 5));
    EXPECT_NE(uploadToken(keys, catalog::UploadId{1}, 5), uploadToken(keys, catalog::UploadId{1}, 6));
    EXPECT_NE(uploadToken(keys, catalog::UploadId{1}, 5), uploadToken(others, catalog::UploadId{1}, 5));
    const std::string share = shareToken(keys, catalog::ShareId{1}, "salt");
    EXPECT_EQ(share.size(), 22u) << "128 bits";
    EXPECT_NE(share, shareToken(keys, catalog::ShareId{1}, "other"));
    EXPECT_NE(share, shareToken(keys, catalog::ShareId{2}, "salt"));
    EXPECT_NE(shareCookie(keys, catalog::ShareId{1}, "hash"), shareCookie(keys, catalog::ShareId{1}, "other hash"));
}

TEST(Tokens, OfPreviewsEndAndAreForOneLinkAndPassword) {
    const Keys keys("a secret of some length for the tests"), others("another secret of some length, other");
    constexpr catalog::ShareId share{1}, other{2};
    constexpr Timestamp now = 1'700'000'000 * secondUs, end = now + dayUs;
    const std::string key = previewKey(keys, share, "hash", end);
    EXPECT_TRUE(isPreviewKey(keys, share, "hash", now, key));
    EXPECT_TRUE(isPreviewKey(keys, share, "hash", end - 1, key));
    EXPECT_FALSE(isPreviewKey(keys, share, "hash", end, key));
    EXPECT_FALSE(isPreviewKey(keys, other, "hash", now, key));
    EXPECT_FALSE(isPreviewKey(keys, share, "other hash", now, key));
    EXPECT_FALSE(isPreviewKey(others, share, "hash", now, key));
    EXPECT_FALSE(isPreviewKey(keys, share, "hash", now, shareCookie(keys, share, "hash")));
    const std::string longer = std::to_string(end + 1) + key.substr(key.find('.'));
    for (const std::string& bad : {std::string(), std::string("."), std::string("1"), longer, key + "x", "-" + key})
        EXPECT_FALSE(isPreviewKey(keys, share, "hash", now, bad)) << bad;
}

TEST(Tokens, OfChanceDifferAndSayWhatTheyAre) {
    EXPECT_NE(newRefreshToken().text, newRefreshToken().text);
    EXPECT_TRUE(looksLikeApiToken(newApiToken().text));
    EXPECT_FALSE(looksLikeApiToken(newRefreshToken().text));
    const RandomToken token = newApiToken();
    EXPECT_EQ(tokenHash(token.text), token.hash);
}

TEST(Keys, AreDerivedByHkdf) {
    // Computed with "openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:secret -kdfopt info:... HKDF".
    const Keys keys("secret");
    EXPECT_EQ(keys.accessTokens.size(), 32u);
    EXPECT_NE(keys.accessTokens, keys.uploadTokens);
    EXPECT_NE(keys.shareLinks, keys.shareCookies);
    EXPECT_EQ(Keys("secret").shareLinks, keys.shareLinks);
}

TEST(Base64, GoesThereAndBack) {
    // RFC 4648 section 10.
    const std::pair<std::string, std::string> cases[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (const auto& [bytes, text] : cases) {
        EXPECT_EQ(toBase64Url(bytes), text);
        EXPECT_EQ(fromBase64Url(text), bytes);
    }
    EXPECT_EQ(fromBase64("Zm9vYg=="), "foob");
    EXPECT_EQ(fromBase64("+/8="), "\xfb\xff");
}

TEST(Base64, RefusesEverythingElse) {
    for (const char* bad : {"Z", "Zg==", "Z g", "Zm9v\n", "Zh", "+/8", "Zm9vY"})
        EXPECT_FALSE(fromBase64Url(bad)) << bad;
    for (const char* bad : {"Zg", "Zg=", "Zg===", "====", "-_8=", "Zh=="}) EXPECT_FALSE(fromBase64(bad)) << bad;
}

}  // namespace
}  // namespace chunkvault::server
