#include "database/catalog/node_times_check.h"

namespace chunkvault::catalog {

namespace {

std::string textOf(const NodeTimes& times) {
    return "SUSPECT_AFTER " + std::to_string(times.suspectAfterUs / 1000) + "ms and DOWN_AFTER " +
           std::to_string(times.downAfterUs / 1000) + "ms";
}

}  // namespace

std::string NodeTimesCheck::look() {
    const auto others = nodes_.timesOfLastStart();
    if (!left_) nodes_.leaveTimes(own_);
    left_ = true;
    if (!others || *others == own_ || others == told_) return {};
    told_ = others;
    return "This program judges storage nodes by " + textOf(own_) + ", and another one was started with " +
           textOf(*others) + ". Give all API servers and workers the same.";
}

}  // namespace chunkvault::catalog
