#include "common/process/request_log.h"

namespace chunkvault::process {

void logRequest(Log& log, const http::Exchange& exchange, bool all) {
    if (!all && exchange.error.empty()) return;
    log.write(exchange.status >= 500 || exchange.truncated ? Level::warning : Level::info, "request",
              {{"request_id", exchange.requestId},
               {"method", http::toString(exchange.method)},
               {"route", exchange.route},
               {"status", exchange.status},
               {"bytes_in", static_cast<std::int64_t>(exchange.bytesIn)},
               {"bytes_out", static_cast<std::int64_t>(exchange.bytesOut)},
               {"ms", static_cast<double>(exchange.time.count()) / 1000},
               {"address", exchange.clientAddress},
               {"error", exchange.error}});
}

}  // namespace chunkvault::process
