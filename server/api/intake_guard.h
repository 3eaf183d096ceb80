// The upload that one multipart or batch request lives in. Opened with its first chunks, ended if the request fails.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "database/catalog/uploads.h"

namespace chunkvault::server {

// Belongs to one request's thread.
class IntakeGuard {
  public:
    IntakeGuard(catalog::Uploads& uploads, catalog::UserId owner) : uploads_(uploads), owner_(owner) {}
    ~IntakeGuard();
    IntakeGuard(const IntakeGuard&) = delete;
    IntakeGuard& operator=(const IntakeGuard&) = delete;

    [[nodiscard]] std::vector<catalog::PinnedChunk> pin(std::span<const catalog::DeclaredChunk> chunks,
                                                        catalog::Reserve reserve);
    void recordStored(std::span<const catalog::StoredChunk> chunks);
    // Ends the intake. One outcome a file.
    [[nodiscard]] std::vector<catalog::FileOutcome> commit(std::span<const catalog::StoredChunk> lastStored,
                                                           std::span<const catalog::NewFile> files);

  private:
    catalog::Uploads& uploads_;
    catalog::UserId owner_;
    std::optional<catalog::UploadId> intake_;
};

}  // namespace chunkvault::server
