// tus 1.0 over the same chunks as all other doors.
#pragma once

#include <string>

#include "server/api/call.h"

namespace chunkvault::server {

// Sets Tus-Resumable; throws preconditionFailed for another version of the protocol than ours.
void requireTus(Call& call);

struct TusTarget {
    catalog::UserId owner;
    catalog::FileId folder;                        // unless the metadata of the owner's own upload names one
    std::optional<catalog::ShareId> request = {};  // a guest's
    std::string types = {};                        // that it takes
};
// Answers 201 with the upload's own address, after the first bytes were stored, if any came along.
void createTusUpload(Services& services, Call& call, const TusTarget& target);

}  // namespace chunkvault::server
