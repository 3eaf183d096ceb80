// The one exception type of the house. Thrown only for what ends the request, the job or the program; a programmer's
// mistake is an assertion. Free of Qt and Poco.
#pragma once

#include <exception>
#include <optional>
#include <string>

namespace chunkvault {

// What went wrong, as a caller can act on it. common/wire/error_table.h gives each its HTTP status, name and title;
// the switch there is exhaustive, so a new code without a row does not compile.
enum class ErrorCode {
    badRequest,             // the request cannot be parsed
    invalidValue,           // parsed, but a value is out of its range
    checksumMismatch,       // bytes that arrived are not those that were announced
    unauthorized,           // no valid token
    wrongCredentials,       // user name or password
    sharePasswordRequired,  // a share's password is missing or wrong
    forbidden,
    readOnlyToken,
    passwordChangeRequired,
    registrationClosed,
    notFound,
    methodNotAllowed,
    requestTimeout,
    nameTaken,
    conflict,          // the state of the thing does not allow this now
    uploadIncomplete,  // commit with chunks missing
    notYetComplete,    // the file's first upload has not been committed
    gone,              // expired or used up
    uploadExpired,
    lengthRequired,
    preconditionFailed,
    payloadTooLarge,
    uriTooLong,
    unsupportedMediaType,
    rangeNotSatisfiable,
    expectationFailed,
    locked,
    tooManyRequests,
    headersTooLarge,
    notImplemented,
    httpVersionNotSupported,
    quotaExceeded,
    storageFull,   // no store has room
    unavailable,   // a part that is needed is down or busy; trying again helps
    chunkMissing,  // a store does not have this chunk
    chunkCorrupt,  // a store's copy does not have the hash it is named by
    internal,
};

// publicMessage goes to the client: a sentence that says what to change. privateDetail goes to the log only.
class Error : public std::exception {
  public:
    explicit Error(ErrorCode code, std::string publicMessage, std::string privateDetail = {})
        : code_(code), publicMessage_(std::move(publicMessage)), privateDetail_(std::move(privateDetail)) {}

    // Asks the client to wait this long, in seconds, before it tries again (the Retry-After header).
    Error& retryAfter(int seconds) {
        retryAfterS_ = seconds;
        return *this;
    }

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] const std::string& publicMessage() const noexcept { return publicMessage_; }
    [[nodiscard]] const std::string& privateDetail() const noexcept { return privateDetail_; }
    [[nodiscard]] std::optional<int> retryAfterS() const noexcept { return retryAfterS_; }
    [[nodiscard]] const char* what() const noexcept override {
        return privateDetail_.empty() ? publicMessage_.c_str() : privateDetail_.c_str();
    }

  private:
    ErrorCode code_;
    std::string publicMessage_;
    std::string privateDetail_;
    std::optional<int> retryAfterS_;
};

}  // namespace chunkvault
