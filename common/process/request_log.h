// The log line of a request, the same in every program that serves any.
#pragma once

#include "common/http/server.h"
#include "common/process/log.h"

namespace chunkvault::process {

// A warning when the program failed at it. all: false writes those lines alone that tell of an error.
void logRequest(Log& log, const http::Exchange& exchange, bool all);

}  // namespace chunkvault::process
