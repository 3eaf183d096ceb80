#include "tests/http/test_server.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "common/error/error.h"

namespace chunkvault::http::test {

namespace {

using namespace std::chrono_literals;
constexpr auto patience = 20s;

ServerOptions onFreePort(ServerOptions options) {
    options.port = 0;
    return options;
}

std::uint64_t numberParam(const Request& request) { return std::stoull(std::string(request.param("count"))); }

void writePattern(BodyWriter& writer, std::uint64_t count) {
    const std::string piece = pattern(256 << 10);
    for (std::uint64_t done = 0; done < count;) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), count - done));
        writer.write(std::span(piece).first(size));
        done += size;
    }
}

void countBody(Request& request, Response& response) {
    std::vector<char> buffer(64 << 10);
    std::uint64_t count = 0;
    while (const std::size_t n = request.body->read(buffer)) count += n;
    response.send(200, "text/plain", std::to_string(count));
}

}  // namespace

std::string pattern(std::size_t count) {
    std::string text(count, '\0');
    for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>('a' + i % 26 - (i % 256 == 255 ? 32 : 0));
    return text;
}

void Gate::open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
}

void Gate::wait() {
    std::unique_lock lock(mutex_);
    if (!opened_.wait_for(lock, patience, [this] { return open_; })) throw std::runtime_error("the gate stays shut");
}

TestServer::TestServer(ServerOptions options, std::vector<Route> more)
    : router_(routes(std::move(more))),
      server_(router_, onFreePort(std::move(options)), [this](const Exchange& exchange) {
          const std::lock_guard lock(mutex_);
          told_.push_back({exchange.method, std::string(exchange.route), exchange.status, exchange.bytesIn,
                           exchange.bytesOut, std::string(exchange.requestId), std::string(exchange.clientAddress),
                           exchange.truncated, std::string(exchange.error)});
          toldOne_.notify_all();
      }) {
    server_.start();
}

TestServer::~TestServer() {
    leave.open();
    server_.stop();
}

Told TestServer::nextTold() {
    std::unique_lock lock(mutex_);
    if (!toldOne_.wait_for(lock, patience, [this] { return !told_.empty(); }))
        throw std::runtime_error("no request was told about");
    Told told = std::move(told_.front());
    told_.pop_front();
    return told;
}

void TestServer::awaitConnections(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (server_.connections() != count) {
        if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the connections stay");
        std::this_thread::sleep_for(1ms);
    }
}

std::vector<Route> TestServer::routes(std::vector<Route> more) {
    std::vector<Route> all = {
        {.method = Method::get,
         .pattern = "/hello",
         .handler = [](Request&, Response& response) { response.send(200, "text/plain", "hello"); }},
        {.method = Method::post,
         .pattern = "/echo",
         .handler = [](Request& request,
                       Response& response) { response.send(200, "text/plain", request.body->readAll(64 << 10)); },
         .maxBodyBytes = 64 << 10},
        {.method = Method::post,
         .pattern = "/ignore",
         .handler = [](Request&, Response& response) { response.send(200, "text/plain", "ignored"); },
         .maxBodyBytes = 1 << 30},
        {.method = Method::post, .pattern = "/count", .handler = countBody, .maxBodyBytes = 1 << 20},
        {.method = Method::put,
         .pattern = "/count",
         .handler = countBody,
         .maxBodyBytes = std::uint64_t(1) << 40,
         .transfer = true},
        {.method = Method::get,
         .pattern = "/bytes/{count}",
         .handler =
             [](Request& request, Response& response) {
                 const std::uint64_t count = numberParam(request);
                 writePattern(response.begin(200, "application/octet-stream", count), count);
             },
         .transfer = true},
        {.method = Method::get,
         .pattern = "/stream/{count}",
         .handler =
             [](Request& request, Response& response) {
                 writePattern(response.begin(200, "application/octet-stream", std::nullopt), numberParam(request));
             },
         .transfer = true},
        {.method = Method::get,
         .pattern = "/gate",
         .handler =
             [this](Request&, Response& response) {
                 entered.open();
                 leave.wait();
                 response.send(200, "text/plain", "through");
             }},
        {.method = Method::get,
         .pattern = "/origin",
         .handler =
             [](Request& request, Response& response) {
                 response.send(200, "text/plain", request.clientAddress + (request.secure ? " secure" : " plain"));
             }},
    };
    std::move(more.begin(), more.end(), std::back_inserter(all));
    return all;
}

}  // namespace chunkvault::http::test
