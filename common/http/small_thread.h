// Threads for thousands of connections: little stack, and what of it is not in use can be given back.
#pragma once

#include <functional>

namespace chunkvault::http {

// Starts a thread that runs work, which must not throw; somebody must join it, by what its pthread_self() is. Throws
// Error unavailable when the system has no room.
void startSmallThread(std::function<void()> work);

// Gives the memory behind the calling small thread's deepest calls so far back to the system.
void releaseUnusedStack() noexcept;

}  // namespace chunkvault::http
