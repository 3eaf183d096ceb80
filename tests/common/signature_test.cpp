#include "common/wire/signature.h"

#include <gtest/gtest.h>

#include "common/wire/secrets.h"
#include "tests/support/manual_clock.h"

namespace chunkvault::wire {
namespace {

constexpr std::string_view secret = "a secret of the cluster, long enough";
const Sha256Digest body = Sha256Digest::of(std::string_view("body"));

class SignatureTest : public testing::Test {
  protected:
    [[nodiscard]] std::string signedHeader(SignedRequest request) {
        return Signature::sign(key_, request, clock_.now() + clientOffsetUs_, newNonce()).header();
    }
    [[nodiscard]] std::string signedHeader() { return signedHeader({"node1", "PUT", "/chunks/ab?generation=1", body}); }
    [[nodiscard]] std::optional<Refusal> verify(std::optional<std::string_view> header) {
        return verifier_.verify("PUT", "/chunks/ab?generation=1", header).refusal;
    }

    test::ManualClock clock_;
    const ClusterKey key_{secret};
    RequestVerifier verifier_{key_, "node1", clock_.clock(), 100};
    Timestamp clientOffsetUs_ = 0;
};

TEST_F(SignatureTest, TakesASignedRequestOnce) {
    const std::string header = signedHeader();
    const auto verdict = verifier_.verify("PUT", "/chunks/ab?generation=1", header);
    EXPECT_EQ(verdict.refusal, std::nullopt);
    EXPECT_EQ(verdict.body, body);
    EXPECT_EQ(verify(header), Refusal::replayed);
    EXPECT_EQ(verify(signedHeader()), std::nullopt);
}

TEST_F(SignatureTest, RefusesWhatWasSignedForAnythingElse) {
    EXPECT_EQ(verify(signedHeader({"node2", "PUT", "/chunks/ab?generation=1", body})), Refusal::forged);
    EXPECT_EQ(verify(signedHeader({"node1", "DELETE", "/chunks/ab?generation=1", body})), Refusal::forged);
    EXPECT_EQ(verify(signedHeader({"node1", "PUT", "/chunks/ab?generation=2", body})), Refusal::forged);
    const ClusterKey other("a secret of another cluster, long too");
    EXPECT_EQ(verify(Signature::sign(other, {"node1", "PUT", "/chunks/ab?generation=1", body}, clock_.now(), newNonce())
                         .header()),
              Refusal::forged);
    auto changed = *Signature::parse(signedHeader());
    changed.time += 1;
    EXPECT_EQ(verify(changed.header()), Refusal::forged);
    changed = *Signature::parse(signedHeader());
    changed.nonce[3] ^= 1;
    EXPECT_EQ(verify(changed.header()), Refusal::forged);
    changed = *Signature::parse(signedHeader());
    changed.body = Sha256Digest();
    EXPECT_EQ(verify(changed.header()), Refusal::forged);
}

TEST_F(SignatureTest, SaysWhenARequestIsNotSigned) {
    EXPECT_EQ(verify(std::nullopt), Refusal::missing);
    const std::string good = signedHeader();
    for (const std::string& bad : std::vector<std::string>{
             "", "Bearer x", "ChunkVault-HMAC ", good + " ", good + ", more=1", good.substr(0, good.size() - 1),
             "x" + good, "ChunkVault-HMAC nonce=1, time=1, body=1, signature=1",
             "ChunkVault-HMAC time=-1" + good.substr(good.find(", nonce"))})
        EXPECT_EQ(verify(bad), Refusal::malformed) << bad;
}

TEST_F(SignatureTest, TakesRequestsWithinThirtySecondsOfItsClock) {
    clock_.advance(hourUs);
    for (const Timestamp offsetUs : {-signatureWindowUs, Timestamp{0}, signatureWindowUs}) {
        clientOffsetUs_ = offsetUs;
        EXPECT_EQ(verify(signedHeader()), std::nullopt) << offsetUs;
    }
    for (const Timestamp offsetUs : {-signatureWindowUs - 1, signatureWindowUs + 1}) {
        clientOffsetUs_ = offsetUs;
        EXPECT_EQ(verify(signedHeader()), Refusal::stale) << offsetUs;
    }
}

TEST_F(SignatureTest, RefusesWhatWasSignedBeforeItWasMade) {
    clientOffsetUs_ = -1;
    EXPECT_EQ(verify(signedHeader()), Refusal::stale);
}

TEST_F(SignatureTest, RefusesAReplayAtAnyLaterTime) {
    clientOffsetUs_ = signatureWindowUs;
    const std::string header = signedHeader();
    EXPECT_EQ(verify(header), std::nullopt);
    for (int second = 0; second < 100; ++second) {
        EXPECT_EQ(verify(header), second <= 60 ? Refusal::replayed : Refusal::stale) << second;
        clock_.advance(secondUs);
    }
}

TEST_F(SignatureTest, RefusesReplaysAlsoOfWhatItHadToForget) {
    std::vector<std::string> headers;
    for (int i = 0; i < 300; ++i) {
        headers.push_back(signedHeader());
        EXPECT_EQ(verify(headers.back()), std::nullopt);
        clock_.advance(1000);
    }
    for (const std::string& header : headers) EXPECT_NE(verify(header), std::nullopt);
    EXPECT_EQ(verify(signedHeader()), std::nullopt);
}

TEST_F(SignatureTest, TellsItsTimeWithAProofThatOnlyTheKeyCanMake) {
    clientOffsetUs_ = -hourUs;
    const auto verdict = verifier_.verify("GET", "/", signedHeader({"node1", "GET", "/", body}));
    ASSERT_EQ(verdict.refusal, Refusal::stale);
    const std::string header = verifier_.timeHeader(verdict);
    EXPECT_EQ(parseTimeHeader(key_, "node1", *verdict.nonce, header), clock_.now());
    EXPECT_EQ(parseTimeHeader(key_, "node2", *verdict.nonce, header), std::nullopt);
    EXPECT_EQ(parseTimeHeader(key_, "node1", newNonce(), header), std::nullopt);
    EXPECT_EQ(parseTimeHeader(ClusterKey("x"), "node1", *verdict.nonce, header), std::nullopt);
    std::string later = header;
    later.front() = '9';
    for (const std::string& bad : {later, std::to_string(clock_.now()), std::string(), std::string(" "), header + 'x'})
        EXPECT_EQ(parseTimeHeader(key_, "node1", *verdict.nonce, bad), std::nullopt) << bad;
    EXPECT_EQ(verifier_.timeHeader(verifier_.verify("GET", "/", std::nullopt)), std::to_string(clock_.now()));
}

TEST(Secrets, DerivesKeysAsTheStandardSays) {
    // RFC 4231, test case 2.
    EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?").toHex(),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // HKDF with an empty salt is HMAC twice.
    const Sha256Digest extracted = hmac(std::string(32, '\0'), secret);
    EXPECT_EQ(deriveKey(secret, "label"), hmac(extracted.raw(), std::string("label") + '\x01').raw());
}

}  // namespace
}  // namespace chunkvault::wire
