// What strangers can send to the door of the cluster: the header of a signature, and what follows the door for those
// who have the key: the head of a batch, a report, a problem.

#include "common/error/error.h"
#include "common/wire/error_table.h"
#include "common/wire/node_report.h"
#include "common/wire/signature.h"
#include "storagenode/client/node_protocol.h"
#include "tests/fuzz/input.h"

using namespace chunkvault;
using fuzz::expect;

namespace {

template <typename Parse>
void refusing(Parse&& parse) {
    try {
        parse();
    } catch (const Error& error) {
        expect(error.code() != ErrorCode::internal, "it is refused as the sender's mistake");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::Input(data, size).rest();
    if (const auto signature = wire::Signature::parse(text)) {
        const auto again = wire::Signature::parse(signature->header());
        expect(again && again->time == signature->time && again->nonce == signature->nonce &&
                   again->body == signature->body && again->value == signature->value,
               "a signature is written as it was read");
    }
    static const wire::ClusterKey key("a secret that the fuzzer does not know");
    static wire::RequestVerifier verifier(key, "node1", [] { return Timestamp{1'800'000'000'000'000}; });
    expect(verifier.verify("GET", "/stats", text).refusal.has_value(), "nothing is genuine without the key");
    expect(!wire::parseTimeHeader(key, "node1", wire::Nonce{}, text), "no time is proved without the key");
    refusing([&] { (void)wire::parseNodeReport(text); });
    refusing([&] { (void)wire::parseNodeReportAnswer(text); });
    (void)wire::parseProblem(text);
    refusing([&] { (void)storagenode::parseKeptPage(text); });
    refusing([&] {
        std::uint64_t total = 0;
        for (const storagenode::BatchEntry& entry : storagenode::parseBatchEntries(text)) total += entry.size;
        expect(total <= storagenode::maxBatchBytes, "a batch is bounded");
    });
    return 0;
}
