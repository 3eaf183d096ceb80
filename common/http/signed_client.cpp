#include "common/http/signed_client.h"

#include <utility>

#include "common/error/error.h"
#include "common/wire/error_table.h"

namespace chunkvault::http {

SignedClient::SignedClient(ServerAddress address, std::string target, wire::ClusterKey key, Clock clock,
                           ClientOptions options)
    : client_(std::move(address), options),
      target_(std::move(target)),
      key_(std::move(key)),
      clock_(std::move(clock)) {}

ClientAnswer SignedClient::ask(const ClientRequest& request, const Sha256Digest& body) {
    for (bool again = false;; again = true) {
        const wire::Nonce nonce = wire::newNonce();
        const auto signature = wire::Signature::sign(key_, {target_, toString(request.method), request.target, body},
                                                     clock_() + offsetUs_, nonce);
        ClientRequest signedRequest = request;
        signedRequest.headers.push_back({"Authorization", signature.header()});
        ClientAnswer answer = client_.ask(signedRequest);
        if (answer.status != 401) return answer;
        const auto time = wire::parseTimeHeader(key_, target_, nonce,
                                                answer.header(wire::timeHeaderName).value_or(std::string_view()));
        if (!time || again) {
            const auto problem = wire::parseProblem(answer.body);
            throw Error(ErrorCode::unavailable, "Another part of the system cannot be reached now. Try again later.",
                        client_.address().authority() + " does not take " + target_ + "'s requests from here" +
                            (time ? "" : "; do both have the same CLUSTER_SECRET?") +
                            (problem ? " (" + problem->publicMessage() + ')' : ""));
        }
        offsetUs_ = *time - clock_();
    }
}

}  // namespace chunkvault::http
