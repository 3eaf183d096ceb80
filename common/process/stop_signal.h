// SIGTERM and SIGINT as something to wait for.
#pragma once

namespace chunkvault::process {

// Made in main before any thread: blocks the two signals for the whole process, and ignores SIGPIPE.
class StopSignal {
  public:
    StopSignal();
    // Returns the signal that arrived, also one from before the call. One thread at a time.
    int wait();
    // Makes wait() return SIGTERM. From any thread.
    void notify();
};

}  // namespace chunkvault::process
