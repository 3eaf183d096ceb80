#include "common/process/end_deadline.h"

#include <unistd.h>

#include <condition_variable>
#include <mutex>

namespace chunkvault::process {

void EndDeadline::arm(std::chrono::milliseconds patience) {
    thread_ = std::jthread([this, patience](const std::stop_token& ended) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        if (wake.wait_for(lock, ended, patience, [&] { return ended.stop_requested(); })) return;
        log_.write(
            Level::warning, "cut_off",
            {{"what", "Not everything came to its end in time; does a disk hang? What was acknowledged is kept."}});
        ::_exit(0);
    });
}

}  // namespace chunkvault::process
