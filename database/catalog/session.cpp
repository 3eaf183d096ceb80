#include "database/catalog/session.h"

namespace chunkvault::catalog {

namespace {

ErrorCode codeOf(SqlFailure failure) {
    switch (failure) {
        case SqlFailure::serialization:
        case SqlFailure::busy:
        case SqlFailure::connectionLost: return ErrorCode::unavailable;
        case SqlFailure::full: return ErrorCode::storageFull;
        case SqlFailure::badText: return ErrorCode::invalidValue;
        case SqlFailure::unique:
        case SqlFailure::foreignKey:
        case SqlFailure::check:
        case SqlFailure::other: break;
    }
    return ErrorCode::internal;
}

std::string messageOf(ErrorCode code) {
    switch (code) {
        case ErrorCode::unavailable: return "The database is busy or cannot be reached. Try again in a few seconds.";
        case ErrorCode::storageFull: return "The server's disk is full.";
        case ErrorCode::invalidValue: return "Text must be valid UTF-8 without NUL characters.";
        default: return "Something went wrong on the server.";
    }
}

}  // namespace

SqlError::SqlError(SqlFailure failure, std::string detail)
    : Error(codeOf(failure), messageOf(codeOf(failure)), std::move(detail)), failure_(failure) {
    if (code() == ErrorCode::unavailable) retryAfter(2);
}

}  // namespace chunkvault::catalog
