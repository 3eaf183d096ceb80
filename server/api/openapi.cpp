#include "server/api/openapi.h"

#include <algorithm>
#include <cctype>

#include "common/process/version.h"
#include "common/wire/json.h"
#include "server/api/openapi_schemas.h"
#include "server/api/routes.h"

namespace chunkvault::server {

namespace {

using wire::Json;

std::string lowerMethod(http::Method method) {
    std::string name(http::toString(method));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return name;
}

// Answers that are no problem, beside the one in the table of routes: of the same content, or of none when 304.
struct Besides {
    http::Method method;
    std::string_view pattern;
    int status;
    const char* what;
};
constexpr const char* part = "The bytes that Range asks for";
constexpr const char* unchanged = "If-None-Match names what is there";
constexpr Besides otherAnswers[] = {
    {http::Method::get, "/health", 503, "Files cannot be written, or the database does not answer"},
    {http::Method::get, "/health/ready", 503, "Requests cannot be served; why"},
    {http::Method::post, "/folders", 200, "The folder is there already"},
    {http::Method::post, "/uploads", 200, "The upload that was begun with this key"},
    {http::Method::get, "/files", 304, unchanged},
    {http::Method::get, "/files/{id}/download", 206, part},
    {http::Method::get, "/files/{id}/download", 304, unchanged},
    {http::Method::get, "/files/{id}/versions/{version}/download", 206, part},
    {http::Method::get, "/files/{id}/versions/{version}/download", 304, unchanged},
    {http::Method::get, "/share/{token}", 206, part},
    {http::Method::get, "/share/{token}", 304, unchanged},
    {http::Method::get, "/share/{token}/files/{id}/download", 206, part},
    {http::Method::get, "/share/{token}/files/{id}/download", 304, unchanged},
    {http::Method::get, "/share/{token}/preview", 206, part},
    {http::Method::get, "/share/{token}/preview", 304, unchanged},
    {http::Method::get, "/share/{token}/files/{id}/preview", 206, part},
    {http::Method::get, "/share/{token}/files/{id}/preview", 304, unchanged},
    {http::Method::get, "/assets/{name}", 304, unchanged},
};

Json schemaContent(std::string_view name) {
    if (name == "file") return {{"*/*", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}};
    if (name == "binary")
        return {{"application/octet-stream", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}};
    if (name == "tus")
        return {{"application/offset+octet-stream", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}};
    if (name == "text") return {{"text/plain", {{"schema", {{"type", "string"}}}}}};
    if (name == "html") return {{"text/html", {{"schema", {{"type", "string"}}}}}};
    if (name == "svg") return {{"image/svg+xml", {{"schema", {{"type", "string"}}}}}};
    if (name == "zip") return {{"application/zip", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}};
    const char* media = name == "Form"    ? "multipart/form-data"
                        : name == "Batch" ? "application/octet-stream"
                                          : "application/json";
    return {{media, {{"schema", {{"$ref", "#/components/schemas/" + std::string(name)}}}}}};
}

Json operation(const ApiRoute& route, const Json& queryOf) {
    Json json = {{"summary", route.summary}, {"x-guard", guardName(route.guard)}};
    Json parameters = Json::array();
    const std::string_view pattern = route.pattern;
    for (auto begin = pattern.find('{'); begin != std::string_view::npos; begin = pattern.find('{', begin + 1)) {
        const auto end = pattern.find('}', begin);
        parameters.push_back({{"name", pattern.substr(begin + 1, end - begin - 1)},
                              {"in", "path"},
                              {"required", true},
                              {"schema", {{"type", "string"}}}});
    }
    const auto query = queryOf.find(std::string(http::toString(route.method)) + ' ' + std::string(pattern));
    if (query != queryOf.end())
        for (const Json& parameter : *query) parameters.push_back(parameter);
    if (route.request == "tus") {
        // Only a header can say which version of tus a request is in, and where its bytes belong.
        for (const char* name : {"Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset"})
            parameters.push_back({{"name", name}, {"in", "header"}, {"schema", {{"type", "string"}}}});
    }
    if (!parameters.empty()) json["parameters"] = std::move(parameters);
    if (!route.request.empty())
        json["requestBody"] = {{"required", route.request != "tus"}, {"content", schemaContent(route.request)}};
    Json success = {{"description", route.summary}};
    if (!route.answer.empty()) success["content"] = schemaContent(route.answer);
    Json& responses = json["responses"];
    responses[std::to_string(route.status)] = success;
    for (const Besides& besides : otherAnswers)
        if (besides.method == route.method && besides.pattern == pattern) {
            Json& answer = responses[std::to_string(besides.status)];
            answer["description"] = besides.what;
            if (besides.status != 304) answer["content"] = success["content"];
        }
    responses["default"] = {
        {"description", "What is wrong, and what to change (RFC 9457)"},
        {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
    json["security"] = route.guard == Guard::open ? Json::array() : Json::array({{{"bearer", Json::array()}}});
    return json;
}

}  // namespace

std::string openApiDocument(std::string_view publicUrl) {
    const Json parts = wire::parseJson(openApiSchemas, 32);
    Json paths = Json::object();
    for (const ApiRoute& route : apiRoutes())
        paths[std::string(route.pattern)][lowerMethod(route.method)] = operation(route, parts["query"]);
    const Json document = {
        {"openapi", "3.1.0"},
        {"info",
         {{"title", "ChunkVault"},
          {"version", process::versionText},
          {"license", {{"name", "MIT"}, {"identifier", "MIT"}}}}},
        {"servers", Json::array({{{"url", publicUrl}}})},
        {"paths", std::move(paths)},
        {"components",
         {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}, {"schemas", parts["schemas"]}}}};
    return document.dump();
}

}  // namespace chunkvault::server
