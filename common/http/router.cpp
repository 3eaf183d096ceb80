#include "common/http/router.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>

#include "common/error/error.h"
#include "common/http/ascii.h"
#include "common/http/percent.h"

namespace chunkvault::http {

namespace {

constexpr std::array allMethods = {Method::get,   Method::head, Method::post,   Method::put,
                                   Method::patch, Method::del,  Method::options};

std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> segments;
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::string_view segment = path.substr(0, path.find('/'));
        segments.push_back(segment);
        path.remove_prefix(segment.size());
    }
    return segments;
}

// A decoded segment is handed to handlers as an id or a name: what could act as a path there never arrives.
std::optional<std::string> decodeSegment(std::string_view raw) {
    auto segment = percentDecode(raw);
    if (!segment || *segment == "." || *segment == ".." || segment->find('/') != std::string::npos ||
        std::any_of(segment->begin(), segment->end(), isControl))
        return std::nullopt;
    return segment;
}

bool isParameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

}  // namespace

struct Router::Node {
    struct Endpoint {
        const Route* route;
        std::vector<std::string> names;
    };

    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::map<Method, Endpoint> endpoints;

    // values gets what the {names} on the way took.
    [[nodiscard]] const Node* find(std::span<const std::string> segments, std::vector<std::string>& values) const {
        if (segments.empty()) return endpoints.empty() ? nullptr : this;
        const std::string& segment = segments.front();
        if (const auto literal = literals.find(segment); literal != literals.end())
            if (const Node* found = literal->second->find(segments.subspan(1), values)) return found;
        if (parameter == nullptr || segment.empty()) return nullptr;
        values.push_back(segment);
        if (const Node* found = parameter->find(segments.subspan(1), values)) return found;
        values.pop_back();
        return nullptr;
    }

    [[nodiscard]] const Endpoint* endpoint(Method method) const {
        auto found = endpoints.find(method);
        if (found == endpoints.end() && method == Method::head) found = endpoints.find(Method::get);
        return found == endpoints.end() ? nullptr : &found->second;
    }

    [[nodiscard]] std::string allowed() const {
        std::string list;
        for (const Method method : allMethods) {
            if (endpoint(method) == nullptr && method != Method::options) continue;
            if (!list.empty()) list += ", ";
            list += toString(method);
        }
        return list;
    }
};

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)), root_(std::make_unique<Node>()) {
    for (const Route& route : routes_) {
        if (!route.pattern.starts_with('/'))
            throw std::logic_error("a route's pattern starts with '/': " + route.pattern);
        Node* node = root_.get();
        std::vector<std::string> names;
        for (const std::string_view segment : split(route.pattern)) {
            auto& next = isParameter(segment) ? node->parameter : node->literals[std::string(segment)];
            if (isParameter(segment)) names.emplace_back(segment.substr(1, segment.size() - 2));
            if (next == nullptr) next = std::make_unique<Node>();
            node = next.get();
        }
        if (!node->endpoints.try_emplace(route.method, Node::Endpoint{&route, std::move(names)}).second)
            throw std::logic_error("two routes for " + std::string(toString(route.method)) + ' ' + route.pattern);
    }
    options_ = {
        .method = Method::options, .pattern = "", .handler = [this](const Request& request, Response& response) {
            response.setHeader("Allow", allowed(request.path));
            response.sendEmpty(204);
        }};
}

Router::~Router() = default;

const Router::Node* Router::find(std::string_view path, std::vector<std::string>& values) const {
    if (!path.starts_with('/')) return nullptr;
    const auto raw = split(path);
    std::vector<std::string> segments;
    segments.reserve(raw.size());
    for (const std::string_view segment : raw) {
        auto decoded = decodeSegment(segment);
        if (!decoded)
            throw Error(ErrorCode::badRequest,
                        "The path is not well percent-encoded UTF-8, or a part of it is '.', '..' or holds '/' or a "
                        "control character.");
        segments.push_back(*std::move(decoded));
    }
    return root_->find(segments, values);
}

const Route& Router::match(Request& request) const {
    std::vector<std::string> values;
    const Node* node = find(request.path, values);
    if (node == nullptr) throw Error(ErrorCode::notFound, "There is nothing at this path.");
    const Node::Endpoint* endpoint = node->endpoint(request.method);
    if (endpoint == nullptr) {
        if (request.method == Method::options) return options_;
        throw Error(ErrorCode::methodNotAllowed, std::string(toString(request.method)) +
                                                     " is not possible here. Possible: " + node->allowed() + '.');
    }
    request.params.clear();
    for (std::size_t i = 0; i < values.size(); ++i)
        request.params.emplace_back(endpoint->names[i], std::move(values[i]));
    return *endpoint->route;
}

std::string Router::allowed(std::string_view path) const {
    std::vector<std::string> values;
    const Node* node = find(path, values);
    return node == nullptr ? std::string() : node->allowed();
}

}  // namespace chunkvault::http
