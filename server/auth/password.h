// Passwords: what is accepted, and their bcrypt hashes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace chunkvault::server {

struct PasswordOptions {
    int cost = 12;     // bcrypt's; each step doubles the time
    int atOnce = 2;    // hashes computed at the same time; more wait
    int waiting = 64;  // requests that may wait; more are refused with unavailable
};

// Thread-safe.
class Passwords {
  public:
    explicit Passwords(const PasswordOptions& options);

    // Throws Error invalidValue unless a new password has 8 characters and at most 72 bytes (what bcrypt reads),
    // without NUL.
    static void check(std::string_view password);

    // "$2b$..." (bcrypt by crypt_r). Throws like check would for what bcrypt cannot take.
    [[nodiscard]] std::string hash(std::string_view password);
    // Against nullopt, the same time is spent and the answer is false: an unknown user cannot be told by the time.
    [[nodiscard]] bool verify(std::string_view password, const std::optional<std::string>& hash);

  private:
    class Turn;

    PasswordOptions options_;
    std::mutex mutex_;
    std::condition_variable freed_;
    int running_ = 0;
    int waiting_ = 0;
    std::string decoy_;  // a hash that no password has
};

}  // namespace chunkvault::server
