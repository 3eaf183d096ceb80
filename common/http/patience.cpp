#include "common/http/patience.h"

#include <algorithm>

namespace chunkvault::http {

namespace {

constexpr std::chrono::milliseconds lookInterval{250};  // at who else waits

}  // namespace

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

std::chrono::nanoseconds HurriedPace::left() const {
    if (tooSlow()) return {};
    const std::chrono::nanoseconds nextLook = behind_ >= maxBehind ? lookInterval : maxBehind - behind_;
    return std::min(inner_.left(), nextLook);
}

bool HurriedPace::waited(std::chrono::nanoseconds time) {
    // Not further behind than that, so that a client that was silent for long can catch up.
    behind_ = std::min<std::chrono::nanoseconds>(behind_ + time, maxBehind);
    return inner_.waited(time) && !tooSlow();
}

void HurriedPace::moved(std::size_t bytes) {
    inner_.moved(bytes);
    const std::uint64_t enough = minBytesPerS * static_cast<std::uint64_t>(maxBehind.count()) / 1000;
    const auto covered =
        std::chrono::nanoseconds(std::min<std::uint64_t>(bytes, enough) * 1'000'000'000 / minBytesPerS);
    behind_ = std::max(behind_ - covered, std::chrono::nanoseconds(0));
}

}  // namespace chunkvault::http
