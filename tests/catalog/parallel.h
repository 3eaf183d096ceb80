// The same work on several threads at once, for races.
#pragma once

#include <barrier>
#include <optional>
#include <thread>
#include <vector>

#include "common/error/error.h"

namespace chunkvault::catalog {

struct Parallel {
    int succeeded = 0;
    std::vector<ErrorCode> refused;
};

// Calls work(0), ..., work(threads - 1), each on its own thread, started together. What is not an Error ends the test.
template <typename Work>
Parallel inParallel(int threads, Work&& work) {
    std::barrier start(threads);
    std::vector<std::optional<ErrorCode>> codes(static_cast<std::size_t>(threads));
    {
        std::vector<std::jthread> running;
        for (int i = 0; i < threads; ++i)
            running.emplace_back([&, i] {
                start.arrive_and_wait();
                try {
                    work(i);
                } catch (const Error& error) {
                    codes[static_cast<std::size_t>(i)] = error.code();
                }
            });
    }
    Parallel result;
    for (const auto& code : codes) {
        if (code) result.refused.push_back(*code);
        else ++result.succeeded;
    }
    return result;
}

}  // namespace chunkvault::catalog
