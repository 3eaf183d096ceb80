#include "common/process/stop_signal.h"

#include <unistd.h>

#include <csignal>

namespace chunkvault::process {

namespace {

sigset_t stopSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

}  // namespace

StopSignal::StopSignal() {
    const sigset_t signals = stopSignals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

int StopSignal::wait() {
    const sigset_t signals = stopSignals();
    int signal = 0;
    while (sigwait(&signals, &signal) != 0) {
    }
    return signal;
}

// Blocked in every thread, so it stays pending for the process until wait() takes it.
void StopSignal::notify() { kill(getpid(), SIGTERM); }

}  // namespace chunkvault::process
