#include "common/http/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <list>
#include <mutex>
#include <thread>

#include <Poco/Exception.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

#include "common/error/error.h"
#include "common/http/connection.h"
#include "common/http/tls_context.h"

namespace chunkvault::http {

namespace {

constexpr std::size_t stackBytes = 1 << 20;      // only what is touched takes memory
constexpr std::size_t refusalsAtOnce = 64;       // connections above the limit that get an answer; more are closed
constexpr std::chrono::milliseconds acceptPause{100};  // when there are no more descriptors

void raiseDescriptorLimit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

Poco::Net::ServerSocket listenOn(const ServerOptions& options) {
    try {
        Poco::Net::ServerSocket socket;
        socket.bind(Poco::Net::SocketAddress(options.host, options.port), true, false);
        socket.listen(1024);
        return socket;
    } catch (const Poco::Exception& error) {
        throw Error(ErrorCode::unavailable,
                    "Cannot listen on " + options.host + " port " + std::to_string(options.port) +
                        ": is another program using it, or the address not this machine's? Set HOST and PORT.",
                    error.displayText());
    }
}

}  // namespace

struct Server::Impl {
    Impl(const Router& router, ServerOptions options, std::function<void(const Exchange&)> onExchange)
        : proxies(options.trustedProxies),
          context{router, std::move(options), proxies, std::move(onExchange)},
          socket(listenOn(context.options)),
          wake(eventfd(0, EFD_CLOEXEC)) {
        const ServerOptions& set = context.options;
        if (!set.tlsCert.empty() || !set.tlsKey.empty())
            tls = std::make_unique<TlsContext>(set.tlsCert, set.tlsKey, [](std::string_view warning) {
                std::fprintf(stderr, "%.*s\n", static_cast<int>(warning.size()), warning.data());
            });
    }
    ~Impl() { ::close(wake); }

    void acceptAll();
    void serve(Poco::Net::StreamSocket accepted);
    static void* runConnection(void* argument);

    const TrustedProxies proxies;
    ServerContext context;
    Poco::Net::ServerSocket socket;
    const int wake;
    std::unique_ptr<TlsContext> tls;  // used by the accepting thread
    std::thread acceptor;

    std::mutex mutex;
    std::condition_variable ended;
    std::list<std::unique_ptr<Connection>> connections;
    std::atomic<std::size_t> count = 0;
};

namespace {

struct Started {
    Server::Impl* server;
    std::list<std::unique_ptr<Connection>>::iterator connection;
};

}  // namespace

void Server::Impl::acceptAll() {
    while (!context.stopping) {
        pollfd entries[2] = {{.fd = static_cast<int>(socket.impl()->sockfd()), .events = POLLIN, .revents = 0},
                             {.fd = wake, .events = POLLIN, .revents = 0}};
        if (::poll(entries, 2, -1) < 0 || context.stopping) continue;
        try {
            serve(socket.acceptConnection());
        } catch (const Poco::Exception&) {
            // Out of descriptors or memory, most likely: accepting at once again would only fail again.
            (void)::poll(&entries[1], 1, static_cast<int>(acceptPause.count()));
        }
    }
}

void Server::Impl::serve(Poco::Net::StreamSocket accepted) {
    const std::size_t now = count;
    if (now >= context.options.maxConnections + refusalsAtOnce) return;
    accepted.setNoDelay(true);
    auto connection = std::make_unique<Connection>(context, accepted, tls ? tls->current() : nullptr,
                                                   now >= context.options.maxConnections);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stackBytes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const std::lock_guard lock(mutex);
    connections.push_back(std::move(connection));
    ++count;
    auto started = std::make_unique<Started>(Started{this, std::prev(connections.end())});
    pthread_t thread;
    if (pthread_create(&thread, &attributes, runConnection, started.get()) == 0) {
        (void)started.release();
    } else {
        connections.pop_back();
        --count;
    }
    pthread_attr_destroy(&attributes);
}

void* Server::Impl::runConnection(void* argument) {
    const std::unique_ptr<Started> started(static_cast<Started*>(argument));
    Server::Impl& server = *started->server;
    (*started->connection)->run();
    const std::lock_guard lock(server.mutex);
    server.connections.erase(started->connection);
    --server.count;
    server.ended.notify_all();
    return nullptr;
}

Server::Server(const Router& router, ServerOptions options, std::function<void(const Exchange&)> onExchange) {
    raiseDescriptorLimit();
    impl_ = std::make_unique<Impl>(router, std::move(options), std::move(onExchange));
}

Server::~Server() { stop(); }

void Server::start() {
    impl_->acceptor = std::thread([this] { impl_->acceptAll(); });
}

void Server::stop() {
    if (impl_->context.stopping.exchange(true)) return;
    const std::uint64_t one = 1;
    (void)!::write(impl_->wake, &one, sizeof one);
    if (impl_->acceptor.joinable()) impl_->acceptor.join();
    impl_->socket.close();
    std::unique_lock lock(impl_->mutex);
    for (const auto& connection : impl_->connections) connection->stopWhenIdle();
    const auto none = [&] { return impl_->connections.empty(); };
    if (impl_->ended.wait_for(lock, impl_->context.options.stopTimeout, none)) return;
    for (const auto& connection : impl_->connections) connection->cut();
    impl_->ended.wait(lock, none);
}

std::uint16_t Server::port() const { return impl_->socket.address().port(); }

std::size_t Server::connections() const { return impl_->count; }

}  // namespace chunkvault::http
