#include "common/process/stop_signal.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <future>

#include <gtest/gtest.h>

namespace chunkvault::process {
namespace {

TEST(StopSignal, GivesTheSignalThatArrived) {
    StopSignal stop;
    for (const int signal : {SIGTERM, SIGINT}) {
        kill(getpid(), signal);
        EXPECT_EQ(stop.wait(), signal);
    }
}

TEST(StopSignal, IsWokenFromInside) {
    StopSignal stop;
    std::future<int> waiting = std::async(std::launch::async, [&] { return stop.wait(); });
    stop.notify();
    EXPECT_EQ(waiting.get(), SIGTERM);
    stop.notify();
    EXPECT_EQ(stop.wait(), SIGTERM);
}

TEST(StopSignal, MakesABrokenPipeAnErrorInsteadOfTheEnd) {
    const StopSignal stop;
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    EXPECT_EQ(write(ends[1], "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    close(ends[1]);
}

}  // namespace
}  // namespace chunkvault::process
