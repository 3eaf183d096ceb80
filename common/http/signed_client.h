// A client whose requests are signed for one receiver: a storage node, or the API servers. Thread-safe.
#pragma once

#include <atomic>
#include <string>

#include "common/http/client.h"
#include "common/wire/signature.h"

namespace chunkvault::http {

class SignedClient {
  public:
    // target: a node's id, or wire::apiTarget.
    SignedClient(ServerAddress address, std::string target, wire::ClusterKey key, Clock clock,
                 ClientOptions options = {});

    // As Client::ask; body is the hash of the request's body. When the receiver refuses the signature and proves that
    // it has the key, its time is taken over and the request is signed and sent once more. Throws Error unavailable
    // also when it goes on refusing.
    [[nodiscard]] ClientAnswer ask(const ClientRequest& request, const Sha256Digest& body);

    [[nodiscard]] const ServerAddress& address() const { return client_.address(); }
    // What is added to the clock for this receiver; microseconds.
    [[nodiscard]] Timestamp clockOffsetUs() const { return offsetUs_; }

  private:
    Client client_;
    const std::string target_;
    const wire::ClusterKey key_;
    const Clock clock_;
    std::atomic<Timestamp> offsetUs_ = 0;
};

}  // namespace chunkvault::http
