// The door for the cluster's own programs: lets signed requests through (common/wire/signature.h), once, and answers
// everything else with 401 before any of it is read or done.
#pragma once

#include <functional>
#include <string>

#include "common/http/router.h"
#include "common/wire/signature.h"

namespace chunkvault::http {

// A request whose signature is genuine. Its body is not known to be: who reads it calls requireBody before anything is
// done with it. What is not read need not be checked.
class SignedCall {
  public:
    SignedCall(Request& req, Response& resp, const Sha256Digest& body) : request(req), response(resp), body_(body) {}

    // Throws Error unauthorized unless the body that was read has the hash that was signed.
    void requireBody(const Sha256Digest& read) const;
    // The whole body, checked. Throws as BodyReader::readAll and requireBody.
    [[nodiscard]] std::string body(std::size_t limit) const;

    Request& request;
    Response& response;

  private:
    Sha256Digest body_;
};

// Thread-safe.
class ClusterDoor {
  public:
    // onRefused is called on the connection's thread.
    ClusterDoor(wire::RequestVerifier& verifier, std::function<void(wire::Refusal)> onRefused)
        : verifier_(verifier), onRefused_(std::move(onRefused)) {}

    // The handler of a route that is for the cluster only. The door must outlive it.
    [[nodiscard]] Handler guard(std::function<void(SignedCall&)> handler);

  private:
    void refuse(Response& response, const std::string& requestId, wire::Refusal refusal,
                const wire::RequestVerifier::Verdict& verdict);

    wire::RequestVerifier& verifier_;
    std::function<void(wire::Refusal)> onRefused_;
};

}  // namespace chunkvault::http
