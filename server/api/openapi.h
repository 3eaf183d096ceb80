// /openapi.json (OpenAPI 3.1), made from the routes' table and the schemas beside it.
#pragma once

#include <string>
#include <string_view>

namespace chunkvault::server {

[[nodiscard]] std::string openApiDocument(std::string_view publicUrl);

}  // namespace chunkvault::server
