#include "common/http/small_thread.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "common/error/error.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHUNKVAULT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHUNKVAULT_SANITIZED 1
#endif
#endif

namespace chunkvault::http {

namespace {

#ifdef CHUNKVAULT_SANITIZED
constexpr bool sanitized = true;
constexpr std::size_t stackBytes = 4 << 20;
#else
constexpr bool sanitized = false;
constexpr std::size_t stackBytes = 256 << 10;
#endif

thread_local char* stackLow = nullptr;  // page-aligned

void* threadMain(void* argument) {
    const std::unique_ptr<std::function<void()>> work(static_cast<std::function<void()>*>(argument));
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
        void* low = nullptr;
        std::size_t size = 0;
        if (::pthread_attr_getstack(&attributes, &low, &size) == 0) stackLow = static_cast<char*>(low);
        ::pthread_attr_destroy(&attributes);
    }
    (*work)();
    return nullptr;
}

}  // namespace

void startSmallThread(std::function<void()> work) {
    auto argument = std::make_unique<std::function<void()>>(std::move(work));
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stackBytes);
    pthread_t thread{};
    const int failure = ::pthread_create(&thread, &attributes, threadMain, argument.get());
    ::pthread_attr_destroy(&attributes);
    if (failure != 0)
        throw Error(ErrorCode::unavailable, "The server cannot take another connection.", std::strerror(failure));
    static_cast<void>(argument.release());
}

void releaseUnusedStack() noexcept {
    if (sanitized || stackLow == nullptr) return;
    static const auto pageBytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto unused = static_cast<std::size_t>(static_cast<char*>(__builtin_frame_address(0)) - stackLow);
    // The page of this frame and the one below it stay, for the call itself.
    if (unused > 2 * pageBytes) ::madvise(stackLow, unused / pageBytes * pageBytes - pageBytes, MADV_DONTNEED);
}

}  // namespace chunkvault::http
