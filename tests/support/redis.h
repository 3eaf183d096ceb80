// The Redis of the test run, and what tests need beside it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "worker/queue/redis_connection.h"

namespace chunkvault::test {

// CHUNKVAULT_TEST_REDIS; the test fails when it is not set.
[[nodiscard]] worker::RedisAddress redisAddress();
// "test:{...}", used by nobody before.
[[nodiscard]] std::string freshPrefix();
// A port of this machine at which nobody listens.
[[nodiscard]] worker::RedisAddress nobodysAddress();

// Asks again and again until it is so, or the time is up: false then.
[[nodiscard]] inline bool eventually(const std::function<bool()>& holds,
                                     std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

}  // namespace chunkvault::test
