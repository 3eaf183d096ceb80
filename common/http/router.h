// From method and path to handler, by a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
// OPTIONS answers 204 with Allow.
class Router {
  public:
    explicit Router(std::vector<Route> routes);
    ~Router();

    // Throws Error notFound, or methodNotAllowed (allowed() then gives the Allow header's value). Sets request.params.
    [[nodiscard]] const Route& match(Request& request) const;
    // "GET, HEAD, PUT" for the path; empty when no route has it.
    [[nodiscard]] std::string allowed(std::string_view path) const;

    [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

  private:
    struct Node;
    std::vector<Route> routes_;
    std::unique_ptr<Node> root_;
};

}  // namespace chunkvault::http
