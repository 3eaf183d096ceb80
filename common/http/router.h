// From method and path to handler, by a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.h"

namespace chunkvault::http {

using Handler = std::function<void(Request&, Response&)>;

struct Route {
    Method method;
    // "/files/{id}/download": a {name} takes one whole, non-empty segment. A literal segment wins over a {name}.
    std::string pattern;
    Handler handler;
    // A larger Content-Length answers 413 before the handler; chunked bodies are cut there too. Bytes.
    std::uint64_t maxBodyBytes = 1 << 20;
    // For routes that move files: exempt from the short deadline for a whole body, but not from the minimum rate.
    bool transfer = false;
};

// Immutable after construction, so safe from any thread. HEAD is answered by the GET route unless it has its own;
// OPTIONS answers 204 with Allow. Segments are decoded before they are compared.
class Router {
  public:
    // Throws std::logic_error for a pattern without '/' in front, and for two routes of one method and pattern.
    explicit Router(std::vector<Route> routes);
    ~Router();

    // Throws Error notFound, methodNotAllowed (allowed() then gives the Allow header's value), or badRequest for a path
    // with bad escapes, "." or "..", or an encoded '/' or control character. Sets request.params.
    [[nodiscard]] const Route& match(Request& request) const;
    // "GET, HEAD, PUT, OPTIONS" for the path; empty when no route has it. Throws badRequest as match does.
    [[nodiscard]] std::string allowed(std::string_view path) const;

    [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

  private:
    struct Node;
    [[nodiscard]] const Node* find(std::string_view path, std::vector<std::string>& values) const;

    std::vector<Route> routes_;
    std::unique_ptr<Node> root_;
    Route options_;  // for every path that has no OPTIONS route of its own
};

}  // namespace chunkvault::http
