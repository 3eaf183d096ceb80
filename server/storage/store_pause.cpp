#include "server/storage/store_pause.h"

#include <algorithm>

namespace chunkvault::server {

bool StorePause::lasts(Time now) const {
    const std::lock_guard lock(mutex_);
    return pause_.count() > 0 && now < until_;
}

void StorePause::trying(Time now) {
    const std::lock_guard lock(mutex_);
    if (pause_.count() == 0 || now < until_) return;
    pause_ = std::min(pause_ * 2, longest_);
    until_ = now + pause_;
}

void StorePause::reached() {
    const std::lock_guard lock(mutex_);
    pause_ = std::chrono::milliseconds(0);
}

void StorePause::failed(Time now) {
    const std::lock_guard lock(mutex_);
    // Calls that were under way together fail together: they are one failure.
    if (pause_.count() == 0) pause_ = first_;
    until_ = std::max(until_, now + pause_);
}

}  // namespace chunkvault::server
