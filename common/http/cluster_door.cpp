#include "common/http/cluster_door.h"

#include "common/error/error.h"
#include "common/wire/error_table.h"

namespace chunkvault::http {

void SignedCall::requireBody(const Sha256Digest& read) const {
    if (read != body_) throw Error(ErrorCode::unauthorized, "The body of the request is not the one that was signed.");
}

std::string SignedCall::body(std::size_t limit) const {
    std::string text = request.body->readAll(limit);
    requireBody(Sha256Digest::of(text));
    return text;
}

Handler ClusterDoor::guard(std::function<void(SignedCall&)> handler) {
    return [this, handler = std::move(handler)](Request& request, Response& response) {
        const auto verdict =
            verifier_.verify(toString(request.method), request.target, request.header("Authorization"));
        if (verdict.refusal) return refuse(response, request.requestId, *verdict.refusal, verdict);
        SignedCall call(request, response, verdict.body);
        try {
            handler(call);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::unauthorized) throw;
            refuse(response, request.requestId, wire::Refusal::altered, verdict);
        }
    };
}

void ClusterDoor::refuse(Response& response, const std::string& requestId, wire::Refusal refusal,
                         const wire::RequestVerifier::Verdict& verdict) {
    onRefused_(refusal);
    response.setHeader(wire::timeHeaderName, verifier_.timeHeader(verdict));
    response.setHeader("WWW-Authenticate", "ChunkVault-HMAC");
    const Error error(ErrorCode::unauthorized,
                      "Only the cluster's own programs may ask here; the request's signature is " +
                          std::string(wire::textOf(refusal)) + '.');
    response.send(wire::errorRow(error.code()).status, "application/problem+json", wire::problemJson(error, requestId));
}

}  // namespace chunkvault::http
