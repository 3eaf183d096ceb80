// The types of files that an upload request takes, told by their names: ".jpg", "image/*", "application/pdf".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chunkvault::server {

// Lower case, comma-separated, as the catalog keeps them. Throws Error invalidValue with what is possible.
[[nodiscard]] std::string joinTypes(const std::vector<std::string>& types);
[[nodiscard]] std::vector<std::string> splitTypes(std::string_view joined);
// Whether a file of that name is of one of the types; any is when there are none.
[[nodiscard]] bool isOfTypes(std::string_view filename, std::string_view joined);

}  // namespace chunkvault::server
