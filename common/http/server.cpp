#include "common/http/server.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

#include "common/error/error.h"
#include "common/http/connection.h"
#include "common/http/small_thread.h"
#include "common/http/tls_context.h"

namespace chunkvault::http {

namespace {

using namespace std::chrono_literals;

constexpr int backlog = 1024;
// Connections above the limit that are told so; more are closed without a word.
constexpr std::size_t maxRefusals = 64;
constexpr auto noRoomPause = 50ms;

void raiseDescriptorLimit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

Poco::Net::ServerSocket listenOn(const ServerOptions& options) try {
    const Poco::Net::SocketAddress address(options.host, options.port);
    Poco::Net::ServerSocket socket;
    if (address.family() == Poco::Net::SocketAddress::IPv6) socket.bind6(address, true, false, false);
    else socket.bind(address, true, false);
    socket.listen(backlog);
    return socket;
} catch (const Poco::Exception& error) {
    throw Error(ErrorCode::unavailable,
                "Cannot listen on " + options.host + " port " + std::to_string(options.port) +
                    ": is another program using it, or the address not this machine's? Set HOST and PORT.",
                error.displayText());
}

// While it lives, threads that are started take no signals: those are for the program's main thread, and a client that
// goes away in the middle of a TLS write must not end the program.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

std::string describe(const std::exception& error) {
    const auto* poco = dynamic_cast<const Poco::Exception*>(&error);
    return poco == nullptr ? error.what() : poco->displayText();
}

ServerOptions withDefaults(ServerOptions options) {
    if (!options.warn)
        options.warn = [](std::string_view message) {
            std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
        };
    return options;
}

}  // namespace

struct Server::Impl {
    Impl(const Router& router, ServerOptions options, std::function<void(const Exchange&)> onExchange)
        : context(router, withDefaults(std::move(options)), std::move(onExchange)),
          listener(listenOn(context.options)),
          port(listener.address().port()) {
        if (!context.options.tlsCert.empty() || !context.options.tlsKey.empty())
            tls = std::make_unique<TlsContext>(context.options.tlsCert, context.options.tlsKey, context.options.warn);
    }

    void start();
    void stop();
    void acceptAll();
    // Null: there are too many to refuse this one with an answer.
    [[nodiscard]] std::unique_ptr<Connection> accept();
    void startServing(std::unique_ptr<Connection> connection);
    void serve(Connection* raw) noexcept;
    void forget(Connection& connection) noexcept;

    ServerContext context;
    Poco::Net::ServerSocket listener;
    const std::uint16_t port;
    std::unique_ptr<TlsContext> tls;  // used by the accepting thread
    std::thread acceptor;
    std::mutex stopMutex;  // one stop() at a time

    std::mutex mutex;  // guards what follows
    std::condition_variable threadEnded;
    std::unordered_set<Connection*> connections;  // owned by their threads
    std::size_t refusals = 0;                     // of them
    std::size_t threads = 0;
    std::optional<pthread_t> lastEnded;  // not joined yet; the next to end joins it
};

void Server::Impl::start() {
    raiseDescriptorLimit();
    const SignalsBlocked blocked;
    acceptor = std::thread([this] { acceptAll(); });
}

void Server::Impl::stop() {
    const std::lock_guard onlyOne(stopMutex);
    context.stopping = true;
    if (!acceptor.joinable()) return;
    ::shutdown(listener.impl()->sockfd(), SHUT_RDWR);
    acceptor.join();
    listener.close();

    std::unique_lock lock(mutex);
    for (Connection* connection : connections) connection->stopWhenIdle();
    const auto allEnded = [this] { return threads == 0; };
    if (!threadEnded.wait_for(lock, context.options.stopTimeout, allEnded)) {
        for (Connection* connection : connections) connection->cut();
        threadEnded.wait(lock, allEnded);
    }
    const auto last = std::exchange(lastEnded, std::nullopt);
    lock.unlock();
    if (last) ::pthread_join(*last, nullptr);
}

void Server::Impl::acceptAll() {
    for (bool warned = false; !context.stopping;) {
        try {
            if (auto connection = accept()) startServing(std::move(connection));
            warned = false;
        } catch (const std::exception& error) {
            if (context.stopping) return;
            // Out of descriptors, threads or memory: what ends meanwhile makes room.
            if (!std::exchange(warned, true))
                context.options.warn(std::string("connections cannot be accepted: ") + describe(error));
            std::this_thread::sleep_for(noRoomPause);
        }
    }
}

std::unique_ptr<Connection> Server::Impl::accept() {
    Poco::Net::SocketAddress peer;
    Poco::Net::StreamSocket socket = listener.acceptConnection(peer);
    socket.setNoDelay(true);
    bool refused = false;
    {
        const std::lock_guard lock(mutex);
        refused = connections.size() - refusals >= context.options.maxConnections;
        if (refused && refusals == maxRefusals) return nullptr;
    }
    const auto address = IpAddress::parse(peer.host().toString());
    return std::make_unique<Connection>(context, socket, address.value_or(IpAddress()),
                                        tls == nullptr ? nullptr : tls->current(), refused);
}

void Server::Impl::startServing(std::unique_ptr<Connection> connection) {
    Connection* const raw = connection.get();
    {
        const std::lock_guard lock(mutex);
        connections.insert(raw);
        refusals += raw->refused() ? 1 : 0;
        ++threads;
    }
    try {
        startSmallThread([this, raw] { serve(raw); });
    } catch (...) {
        forget(*raw);
        const std::lock_guard lock(mutex);
        --threads;
        throw;
    }
    static_cast<void>(connection.release());
}

void Server::Impl::serve(Connection* raw) noexcept {
    std::unique_ptr<Connection> connection(raw);
    connection->run();
    forget(*connection);
    connection.reset();

    std::unique_lock lock(mutex);
    const auto previous = std::exchange(lastEnded, ::pthread_self());
    --threads;
    threadEnded.notify_all();
    lock.unlock();
    if (previous) ::pthread_join(*previous, nullptr);
}

void Server::Impl::forget(Connection& connection) noexcept {
    const std::lock_guard lock(mutex);
    connections.erase(&connection);
    refusals -= connection.refused() ? 1 : 0;
}

Server::Server(const Router& router, ServerOptions options, std::function<void(const Exchange&)> onExchange)
    : impl_(std::make_unique<Impl>(router, std::move(options), std::move(onExchange))) {}

Server::~Server() { impl_->stop(); }

void Server::start() { impl_->start(); }

void Server::stop() { impl_->stop(); }

std::uint16_t Server::port() const { return impl_->port; }

std::size_t Server::connections() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->connections.size() - impl_->refusals;
}

}  // namespace chunkvault::http
