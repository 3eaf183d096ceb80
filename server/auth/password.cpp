#include "server/auth/password.h"

#include <memory>

#include <crypt.h>

#include "common/error/error.h"
#include "server/auth/base64.h"
#include "server/auth/keys.h"

namespace chunkvault::server {

namespace {

constexpr std::size_t bcryptBytes = 72;

std::string runBcrypt(std::string_view password, const std::string& setting) {
    const auto data = std::make_unique<crypt_data>();  // 32 KB: too large for a connection's stack
    const std::string terminated(password);
    const char* result = crypt_r(terminated.c_str(), setting.c_str(), data.get());
    if (result == nullptr || result[0] == '*')
        throw Error(ErrorCode::internal, "An internal error occurred.", "crypt_r refused its setting");
    return result;
}

std::string newSetting(int cost) {
    const std::string salt = randomBytes(16);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn("$2b$", static_cast<unsigned long>(cost), salt.data(), static_cast<int>(salt.size()), setting,
                         sizeof setting) == nullptr)
        throw Error(ErrorCode::internal, "An internal error occurred.", "crypt_gensalt_rn failed");
    return setting;
}

bool bcryptReads(std::string_view password) {
    return password.size() <= bcryptBytes && password.find('\0') == std::string_view::npos;
}

std::size_t characters(std::string_view utf8) {
    std::size_t count = 0;
    for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

}  // namespace

// A place among those that may hash now.
class Passwords::Turn {
  public:
    explicit Turn(Passwords& passwords) : passwords_(passwords) {
        std::unique_lock lock(passwords_.mutex_);
        if (passwords_.waiting_ >= passwords_.options_.waiting)
            throw Error(ErrorCode::unavailable, "Too many sign-ins at this moment. Try again in a few seconds.")
                .retryAfter(3);
        ++passwords_.waiting_;
        passwords_.freed_.wait(lock, [&] { return passwords_.running_ < passwords_.options_.atOnce; });
        --passwords_.waiting_;
        ++passwords_.running_;
    }
    ~Turn() {
        {
            const std::lock_guard lock(passwords_.mutex_);
            --passwords_.running_;
        }
        passwords_.freed_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    Passwords& passwords_;
};

Passwords::Passwords(const PasswordOptions& options)
    : options_(options), decoy_(runBcrypt(toBase64Url(randomBytes(32)), newSetting(options.cost))) {}

void Passwords::check(std::string_view password) {
    if (characters(password) < 8)
        throw Error(ErrorCode::invalidValue, "The password is too short. Use at least 8 characters.");
    if (password.size() > bcryptBytes)
        throw Error(ErrorCode::invalidValue, "The password is longer than 72 bytes. Use a shorter one.");
    if (password.find('\0') != std::string_view::npos)
        throw Error(ErrorCode::invalidValue, "The password contains a NUL character. Leave it out.");
}

std::string Passwords::hash(std::string_view password) {
    if (!bcryptReads(password))
        throw Error(ErrorCode::invalidValue, "The password must have at most 72 bytes and no NUL character.");
    const Turn turn(*this);
    return runBcrypt(password, newSetting(options_.cost));
}

bool Passwords::verify(std::string_view password, const std::optional<std::string>& hash) {
    const bool readable = bcryptReads(password);
    const bool real = hash.has_value() && readable;
    const Turn turn(*this);
    const std::string& against = real ? *hash : decoy_;
    return equalInConstantTime(runBcrypt(readable ? password : "", against), against) && real;
}

}  // namespace chunkvault::server
