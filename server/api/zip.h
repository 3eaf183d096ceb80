// A folder with all that is below it as one ZIP, made while it is sent.
#pragma once

#include <functional>

#include "server/api/call.h"

namespace chunkvault::server {

// 200 with a body of unknown length. folder: live, of its owner; a file is Error invalidValue. beforeFirstByte runs
// when something to send has been read; what it throws is the answer, as is what fails before. A failure later cuts the
// connection. HEAD reads nothing and does not call it.
void sendZip(Services& services, Call& call, const catalog::Entry& folder,
             const std::function<void()>& beforeFirstByte);

}  // namespace chunkvault::server
