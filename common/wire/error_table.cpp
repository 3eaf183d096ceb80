#include "common/wire/error_table.h"

#include <nlohmann/json.hpp>

#include "common/wire/json.h"

namespace chunkvault::wire {

namespace {

constexpr std::string_view typePrefix = "urn:chunkvault:error:";

}  // namespace

ErrorRow errorRow(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::badRequest: return {400, "bad_request", "Bad request"};
        case ErrorCode::invalidValue: return {422, "invalid_value", "Invalid value"};
        case ErrorCode::checksumMismatch: return {422, "checksum_mismatch", "Checksum mismatch"};
        case ErrorCode::unauthorized: return {401, "unauthorized", "Sign-in required"};
        case ErrorCode::wrongCredentials: return {401, "wrong_credentials", "Wrong user name or password"};
        case ErrorCode::sharePasswordRequired: return {401, "share_password_required", "Password required"};
        case ErrorCode::forbidden: return {403, "forbidden", "Not allowed"};
        case ErrorCode::readOnlyToken: return {403, "read_only_token", "Token is read-only"};
        case ErrorCode::passwordChangeRequired: return {403, "password_change_required", "Password change required"};
        case ErrorCode::registrationClosed: return {403, "registration_closed", "Registration is closed"};
        case ErrorCode::notFound: return {404, "not_found", "Not found"};
        case ErrorCode::methodNotAllowed: return {405, "method_not_allowed", "Method not allowed"};
        case ErrorCode::requestTimeout: return {408, "request_timeout", "Request timed out"};
        case ErrorCode::nameTaken: return {409, "name_taken", "Name is taken"};
        case ErrorCode::conflict: return {409, "conflict", "Conflict"};
        case ErrorCode::uploadIncomplete: return {409, "upload_incomplete", "Upload is incomplete"};
        case ErrorCode::notYetComplete: return {409, "not_yet_complete", "File is still being uploaded"};
        case ErrorCode::gone: return {410, "gone", "No longer available"};
        case ErrorCode::uploadExpired: return {410, "upload_expired", "Upload has ended"};
        case ErrorCode::lengthRequired: return {411, "length_required", "Length required"};
        case ErrorCode::preconditionFailed: return {412, "precondition_failed", "Precondition failed"};
        case ErrorCode::payloadTooLarge: return {413, "payload_too_large", "Request body is too large"};
        case ErrorCode::uriTooLong: return {414, "uri_too_long", "Request target is too long"};
        case ErrorCode::unsupportedMediaType: return {415, "unsupported_media_type", "Unsupported media type"};
        case ErrorCode::rangeNotSatisfiable: return {416, "range_not_satisfiable", "Range not satisfiable"};
        case ErrorCode::expectationFailed: return {417, "expectation_failed", "Expectation failed"};
        case ErrorCode::locked: return {423, "locked", "Locked"};
        case ErrorCode::tooManyRequests: return {429, "too_many_requests", "Too many requests"};
        case ErrorCode::headersTooLarge: return {431, "headers_too_large", "Request header is too large"};
        case ErrorCode::notImplemented: return {501, "not_implemented", "Not implemented"};
        case ErrorCode::httpVersionNotSupported:
            return {505, "http_version_not_supported", "HTTP version not supported"};
        case ErrorCode::quotaExceeded: return {507, "quota_exceeded", "Quota exceeded"};
        case ErrorCode::storageFull: return {507, "storage_full", "Storage is full"};
        case ErrorCode::unavailable: return {503, "unavailable", "Temporarily unavailable"};
        case ErrorCode::chunkMissing: return {503, "chunk_missing", "Part of the content is unavailable"};
        case ErrorCode::chunkCorrupt: return {503, "chunk_corrupt", "Part of the content is unavailable"};
        case ErrorCode::internal: break;
    }
    return {500, "internal", "Internal error"};
}

std::string problemJson(const Error& error, std::string_view requestId) {
    const ErrorRow row = errorRow(error.code());
    const nlohmann::json document = {{"type", std::string(typePrefix) + std::string(row.name)},
                                     {"title", row.title},
                                     {"status", row.status},
                                     {"detail", error.publicMessage()},
                                     {"request_id", requestId}};
    return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<ErrorCode> errorCodeOf(std::string_view name) noexcept {
    for (int value = 0; value <= static_cast<int>(ErrorCode::internal); ++value)
        if (const auto code = static_cast<ErrorCode>(value); errorRow(code).name == name) return code;
    return std::nullopt;
}

std::optional<Error> parseProblem(std::string_view json) try {
    const Json document = parseJson(json);
    ObjectReader reader(document);
    const std::string type = reader.string("type");
    if (!type.starts_with(typePrefix)) return std::nullopt;
    const auto code = errorCodeOf(std::string_view(type).substr(typePrefix.size()));
    return code ? std::optional(Error(*code, reader.string("detail"))) : std::nullopt;
} catch (const Error&) {
    return std::nullopt;
}

}  // namespace chunkvault::wire
