// The one table between error codes and HTTP. Free of Qt and Poco.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/error/error.h"

namespace chunkvault::wire {

struct ErrorRow {
    int status;              // HTTP status code
    std::string_view name;   // snake_case, stable; the last part of the problem's "type"
    std::string_view title;  // for people; the same for every occurrence
};

[[nodiscard]] ErrorRow errorRow(ErrorCode code) noexcept;

// An application/problem+json document (RFC 9457): type "urn:chunkvault:error:<name>", title, status, detail,
// request_id.
[[nodiscard]] std::string problemJson(const Error& error, std::string_view requestId);

// The opposite, for who has asked another program of the house: the code of the row with this name.
[[nodiscard]] std::optional<ErrorCode> errorCodeOf(std::string_view name) noexcept;
// Code and public message of a problem document; nullopt when it is none of ours.
[[nodiscard]] std::optional<Error> parseProblem(std::string_view json);

}  // namespace chunkvault::wire
