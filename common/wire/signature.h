// How the programs of a cluster know each other: every request carries an HMAC, keyed by CLUSTER_SECRET, over whom it
// is for, method, path, the hash of its body, the time, and a nonce that is used once:
//
//   Authorization: ChunkVault-HMAC time=<us>, nonce=<32 hex>, body=<64 hex>, signature=<64 hex>
//
// Who refuses one tells its own time, with a proof that it has the key, so that a wrong clock can be corrected:
//
//   X-ChunkVault-Time: <us> <64 hex>
//
// Free of Qt and Poco.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/chunk/chunk_id.h"
#include "common/wire/timestamp.h"

namespace chunkvault::wire {

inline constexpr Timestamp signatureWindowUs = 30 * secondUs;  // to either side of the receiver's clock
inline constexpr std::string_view apiTarget = "api";           // whom requests to API servers are for
inline constexpr std::string_view timeHeaderName = "X-ChunkVault-Time";

class ClusterKey {
  public:
    static constexpr std::size_t minSecretBytes = 32;
    // clusterSecret has at least minSecretBytes.
    explicit ClusterKey(std::string_view clusterSecret);
    [[nodiscard]] Sha256Digest mac(std::string_view message) const;

  private:
    std::string key_;
};

using Nonce = std::array<std::uint8_t, 16>;
[[nodiscard]] Nonce newNonce();

// What is signed. The views are valid as long as what they were made of.
struct SignedRequest {
    std::string_view target;  // a node's id, or apiTarget
    std::string_view method;  // "GET"
    std::string_view path;    // with its query, as sent
    Sha256Digest body;
};

struct Signature {
    Timestamp time;
    Nonce nonce;
    Sha256Digest body;
    Sha256Digest value;

    [[nodiscard]] static Signature sign(const ClusterKey& key, const SignedRequest& request, Timestamp time,
                                        const Nonce& nonce);
    // Of the Authorization header's value; nullopt unless it is exactly as above.
    [[nodiscard]] static std::optional<Signature> parse(std::string_view header);
    [[nodiscard]] std::string header() const;
};

enum class Refusal {
    missing,    // the request is not signed
    malformed,  // the header cannot be read
    forged,     // another key, target, method, path or body hash
    stale,      // the time is too far from the clock
    replayed,   // seen before
    altered,    // the body does not have the hash that was signed
};
[[nodiscard]] std::string_view textOf(Refusal refusal) noexcept;

// For one receiver. Thread-safe; memory is bounded by maxNonces of about 64 bytes.
class RequestVerifier {
  public:
    // Requests signed before now are refused as stale: an earlier process may have seen them.
    RequestVerifier(ClusterKey key, std::string target, Clock clock, std::size_t maxNonces = 1 << 18);

    struct Verdict {
        std::optional<Refusal> refusal;  // nullopt: genuine, if the body has the hash below
        Sha256Digest body;
        std::optional<Nonce> nonce;  // of a header that could be read
    };
    // authorization: the header's value, nullopt when there is none. A genuine request is so once.
    [[nodiscard]] Verdict verify(std::string_view method, std::string_view path,
                                 std::optional<std::string_view> authorization);
    // The value of the time header in the answer to a request that was refused.
    [[nodiscard]] std::string timeHeader(const Verdict& verdict) const;

  private:
    [[nodiscard]] std::optional<Refusal> seen(Timestamp time, const Nonce& nonce);

    const ClusterKey key_;
    const std::string target_;
    const Clock clock_;
    const std::size_t maxNonces_;
    std::mutex mutex_;
    std::set<std::pair<Timestamp, Nonce>> nonces_;
    Timestamp floor_;  // what was signed before is not known any more
};

// The time that the receiver tells, if its proof is for this nonce; nullopt otherwise.
[[nodiscard]] std::optional<Timestamp> parseTimeHeader(const ClusterKey& key, std::string_view target,
                                                       const Nonce& nonce, std::string_view header);

}  // namespace chunkvault::wire
