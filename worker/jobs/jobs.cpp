#include "worker/jobs/jobs.h"

#include "common/error/error.h"
#include "worker/jobs/remove_chunk.h"
#include "worker/jobs/verify_content.h"

namespace chunkvault::worker {

namespace {

constexpr int purgedAtOnce = 1000;  // rows in a transaction

}  // namespace

Jobs::Jobs(catalog::Catalog& catalog, Stores stores, ChunkBuffers& buffers, int replicationFactor, Throttle& repairs,
           Throttle& moves, std::stop_token stop, OnWrongAnswer onWrongAnswer)
    : catalog_(catalog),
      stores_(stores),
      buffers_(buffers),
      repair_(catalog.chunks, std::move(stores), buffers, replicationFactor, repairs, moves,
              [this](const WrongAnswer& answer) { wrongAnswer(answer); }),
      stop_(std::move(stop)),
      onWrongAnswer_(std::move(onWrongAnswer)) {}

void Jobs::wrongAnswer(const WrongAnswer& answer) noexcept {
    std::string nodeId = "store " + std::to_string(catalog::valueOf(answer.store));
    try {
        nodeId = catalog_.nodes.wrongAnswer(answer.store);
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the line in the log tells it
    }
    onWrongAnswer_(nodeId, answer);
}

void Jobs::run(const Job& job) {
    const auto chunk = static_cast<catalog::ChunkRow>(job.id);
    switch (job.kind) {
        case JobKind::repairChunk: return repair(chunk);
        case JobKind::rebalanceChunk: rebalanced_ += repair_.rebalance(chunk) ? 1 : 0; return;
        case JobKind::trimChunk:
            if (!catalog_.nodes.collectionHold()) trimmed_ += static_cast<std::uint64_t>(repair_.trim(chunk));
            return;
        case JobKind::verifyChunk:
            if (!repair_.verify(chunk)) repair(chunk);
            return;
        case JobKind::removeChunk: return remove(chunk);
        case JobKind::verifyContent:
            return verifyContent(catalog_.chunks, stores_, buffers_, static_cast<catalog::ContentId>(job.id), stop_);
        case JobKind::unknown: return;
        case JobKind::purge: break;
    }
    while (catalog_.tree.purgeStep(purgedAtOnce) > 0) throwIfStopped(stop_);
    (void)catalog_.accounts.finishDeleted();
}

void Jobs::repair(catalog::ChunkRow chunk) {
    switch (repair_.repair(chunk)) {
        case RepairOutcome::repaired: ++repaired_; return;
        case RepairOutcome::nothingToDo: return;
        // Neither is helped by trying again soon: a sweep posts it again while it is true.
        case RepairOutcome::noSource:
        case RepairOutcome::noTarget: return;
    }
}

void Jobs::remove(catalog::ChunkRow chunk) {
    if (removeChunk(catalog_.chunks, stores_(), chunk)) ++removed_;
}

}  // namespace chunkvault::worker
