#include "server/api/intake_guard.h"

namespace chunkvault::server {

IntakeGuard::~IntakeGuard() {
    if (!intake_) return;
    try {
        uploads_.end(*intake_);
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the sweep of expired uploads ends it then
    }
}

std::vector<catalog::PinnedChunk> IntakeGuard::pin(std::span<const catalog::DeclaredChunk> chunks,
                                                   catalog::Reserve reserve) {
    if (intake_) return uploads_.pinAll(*intake_, chunks, reserve);
    std::vector<catalog::PinnedChunk> pinned;
    intake_ = uploads_.openIntake(owner_, chunks, pinned, reserve);
    return pinned;
}

void IntakeGuard::recordStored(std::span<const catalog::StoredChunk> chunks) {
    if (!chunks.empty()) uploads_.storedAll(*intake_, chunks);
}

std::vector<catalog::FileOutcome> IntakeGuard::commit(std::span<const catalog::StoredChunk> lastStored,
                                                      std::span<const catalog::NewFile> files) {
    if (!intake_) intake_ = uploads_.openIntake(owner_);
    auto outcomes = uploads_.commitFiles(owner_, *intake_, lastStored, files);
    intake_.reset();
    return outcomes;
}

}  // namespace chunkvault::server
