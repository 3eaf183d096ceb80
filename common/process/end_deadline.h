// Ends a process whose threads do not: one that sits in a disk that hangs can be neither interrupted nor left behind.
#pragma once

#include <chrono>
#include <thread>

#include "common/process/log.h"

namespace chunkvault::process {

// Made in main before all that has threads, so that it outlives them. For one thread.
class EndDeadline {
  public:
    // log must outlive this.
    explicit EndDeadline(Log& log) : log_(log) {}
    ~EndDeadline() = default;  // it has ended in time
    EndDeadline(const EndDeadline&) = delete;
    EndDeadline& operator=(const EndDeadline&) = delete;

    // Unless this is destroyed, or armed anew, before so much time is over, the process ends there and then, with exit
    // code 0 and a line in the log. So nothing may be left that has to be written.
    void arm(std::chrono::milliseconds patience);

  private:
    Log& log_;
    std::jthread thread_;
};

}  // namespace chunkvault::process
