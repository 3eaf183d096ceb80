#include "common/http/patience.h"

#include <algorithm>

namespace chunkvault::http {

std::chrono::nanoseconds TransferPace::left() const { return stallTimeout_ - std::max(stalled_, windowWaited_); }

bool TransferPace::waited(std::chrono::nanoseconds time) {
    stalled_ += time;
    windowWaited_ += time;
    if (stalled_ >= stallTimeout_) return false;
    if (windowWaited_ < stallTimeout_) return true;
    const double windowS = std::chrono::duration<double>(windowWaited_).count();
    const bool fastEnough = static_cast<double>(windowBytes_) >= static_cast<double>(minBytesPerS_) * windowS;
    windowWaited_ = {};
    windowBytes_ = 0;
    return fastEnough;
}

void TransferPace::moved(std::size_t bytes) {
    stalled_ = {};
    windowBytes_ += bytes;
}

}  // namespace chunkvault::http
