#include "worker/queue/redis_connection.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/Redis/Array.h>
#include <Poco/Redis/Error.h>
#include <Poco/Redis/RedisStream.h>

#include "common/error/error.h"
#include "common/http/percent.h"

namespace chunkvault::worker {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

[[noreturn]] void refuseUrl(const std::string& what) {
    throw Error(ErrorCode::invalidValue, "REDIS_URL " + what + ". It looks like redis://:password@host:6379/0.");
}

std::string decoded(std::string_view part) {
    auto text = http::percentDecode(part);
    if (!text) refuseUrl("has a user or password that is not well percent-encoded");
    return *std::move(text);
}

int numberOf(std::string_view text, int min, int max, const char* what) {
    int number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < min || number > max) refuseUrl(what);
    return number;
}

Poco::Timespan timespan(milliseconds time) { return Poco::Timespan(time.count() * Poco::Timespan::MILLISECONDS); }

// Every wait for bytes ends at one deadline, however often some arrive.
class DeadlineSocket final : public Poco::Net::StreamSocketImpl {
  public:
    using StreamSocketImpl::receiveBytes;

    void setDeadline(steady_clock::time_point deadline) { deadline_ = deadline; }

    int receiveBytes(void* buffer, int length, int flags) override {
        const auto left = std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now());
        pollfd waited{sockfd(), POLLIN, 0};
        if (left <= milliseconds(0) || ::poll(&waited, 1, static_cast<int>(left.count())) <= 0)
            throw Poco::TimeoutException();
        return StreamSocketImpl::receiveBytes(buffer, length, flags);
    }

  private:
    steady_clock::time_point deadline_;
};

RedisReply replyOf(const Poco::Redis::RedisType& read) {
    using namespace Poco::Redis;
    RedisReply reply;
    if (const auto* integer = dynamic_cast<const Type<Poco::Int64>*>(&read)) {
        reply.kind = RedisReply::Kind::integer;
        reply.integer = integer->value();
    } else if (const auto* bulk = dynamic_cast<const Type<BulkString>*>(&read)) {
        if (bulk->value().isNull()) return reply;
        reply.kind = RedisReply::Kind::text;
        reply.text = bulk->value().value();
    } else if (const auto* line = dynamic_cast<const Type<std::string>*>(&read)) {
        reply.kind = RedisReply::Kind::text;
        reply.text = line->value();
    } else if (const auto* error = dynamic_cast<const Type<Poco::Redis::Error>*>(&read)) {
        reply.kind = RedisReply::Kind::error;
        reply.text = error->value().getMessage();
    } else if (const auto* array = dynamic_cast<const Type<Array>*>(&read)) {
        if (array->value().isNull()) return reply;
        reply.kind = RedisReply::Kind::list;
        for (const RedisType::Ptr& item : array->value()) reply.items.push_back(replyOf(*item));
    }
    return reply;
}

}  // namespace

RedisAddress RedisAddress::parse(std::string_view url) {
    if (url.starts_with("rediss://")) refuseUrl("asks for TLS (rediss://), which is not supported");
    constexpr std::string_view scheme = "redis://";
    if (!url.starts_with(scheme)) refuseUrl("does not begin with redis://");
    url.remove_prefix(scheme.size());
    if (url.find_first_of("?#") != std::string_view::npos) refuseUrl("has parameters, and there are none");
    RedisAddress address;
    if (const std::size_t slash = url.rfind('/'); slash != std::string_view::npos && slash + 1 > url.rfind('@') + 1) {
        const std::string_view database = url.substr(slash + 1);
        if (!database.empty())
            address.database = numberOf(database, 0, 1'000'000, "has a database that is not a number");
        url = url.substr(0, slash);
    }
    if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
        const std::string_view login = url.substr(0, at);
        const std::size_t colon = login.find(':');
        if (colon == std::string_view::npos) refuseUrl("has a user without a password");
        address.user = decoded(login.substr(0, colon));
        address.password = decoded(login.substr(colon + 1));
        if (address.password.empty() && !address.user.empty()) refuseUrl("has a user without a password");
        url.remove_prefix(at + 1);
    }
    std::string_view port;
    if (url.starts_with('[')) {
        const std::size_t end = url.find(']');
        if (end == std::string_view::npos) refuseUrl("has an IPv6 address without its closing bracket");
        address.host = url.substr(1, end - 1);
        port = url.substr(end + 1);
    } else {
        const std::size_t colon = std::min(url.find(':'), url.size());
        address.host = url.substr(0, colon);
        port = url.substr(colon);
    }
    constexpr const char* badPort = "has a port that is not a number from 1 to 65535";
    if (!port.empty()) {
        if (port.front() != ':') refuseUrl(badPort);
        address.port = static_cast<std::uint16_t>(numberOf(port.substr(1), 1, 65535, badPort));
    }
    if (address.host.empty() || address.host.find_first_of("/ \t\r\n") != std::string::npos) refuseUrl("has no host");
    return address;
}

std::string RedisAddress::text() const {
    const bool ipv6 = host.find(':') != std::string::npos;
    return "redis://" + (ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port) + '/' + std::to_string(database);
}

class RedisConnection::Link {
  public:
    Link(const RedisAddress& address, milliseconds timeout)
        : impl_(new DeadlineSocket), socket_(impl_), input_(connected(address, timeout)) {
        // Without this an answer that is cut short would be filled up with spaces and taken for a whole one.
        input_.exceptions(std::ios::badbit | std::ios::failbit | std::ios::eofbit);
    }

    RedisReply exchange(const std::vector<std::string>& command, milliseconds time) {
        impl_->setDeadline(steady_clock::now() + time);
        const std::string bytes = Poco::Redis::Array().add(command).toString();
        socket_.setSendTimeout(timespan(time));
        for (std::size_t sent = 0; sent < bytes.size();) {
            const int count = socket_.sendBytes(bytes.data() + sent, static_cast<int>(bytes.size() - sent));
            if (count <= 0) throw Poco::TimeoutException();
            sent += static_cast<std::size_t>(count);
        }
        auto reply = Poco::Redis::RedisType::createRedisType(static_cast<char>(input_.get()));
        if (reply.isNull()) throw Poco::DataFormatException("this is no answer of Redis");
        reply->read(input_);
        return replyOf(*reply);
    }

  private:
    Poco::Net::StreamSocket& connected(const RedisAddress& address, milliseconds timeout) {
        socket_.connect(Poco::Net::SocketAddress(address.host, address.port), timespan(timeout));
        socket_.setNoDelay(true);
        return socket_;
    }

    DeadlineSocket* impl_;  // owned by socket_
    Poco::Net::StreamSocket socket_;
    Poco::Redis::RedisInputStream input_;
};

RedisConnection::RedisConnection(RedisAddress address, RedisTimes times)
    : address_(std::move(address)), times_(times) {}

RedisConnection::~RedisConnection() = default;

void RedisConnection::close() noexcept { link_.reset(); }

Error RedisConnection::trouble(const std::string& what) const {
    std::string shown = what;
    // A Redis that does not know AUTH repeats what came with it.
    if (const std::string& secret = address_.password; !secret.empty())
        for (std::size_t at = 0; (at = shown.find(secret, at)) != std::string::npos; at += 3)
            shown.replace(at, secret.size(), "...");
    return Error(ErrorCode::unavailable, "A part of the server does not answer. Try again soon.",
                 address_.text() + ": " + shown);
}

RedisReply RedisConnection::exchange(const std::vector<std::string>& command, milliseconds time) {
    try {
        return link_->exchange(command, time);
    } catch (const Poco::TimeoutException&) {
        close();
        throw trouble("no answer within " + std::to_string(time.count()) + " ms");
    } catch (const Poco::Exception& error) {
        close();
        throw trouble(error.displayText());
    } catch (const std::ios_base::failure&) {
        close();
        throw trouble("the connection was closed");
    } catch (...) {
        close();
        throw;
    }
}

void RedisConnection::connect() {
    try {
        link_ = std::make_unique<Link>(address_, times_.connect);
    } catch (const Poco::TimeoutException&) {
        throw trouble("no connection within " + std::to_string(times_.connect.count()) + " ms");
    } catch (const Poco::Exception& error) {
        throw trouble("no connection: " + error.displayText());
    }
    std::vector<std::vector<std::string>> greetings;
    if (!address_.password.empty()) {
        std::vector<std::string> login{"AUTH"};
        if (!address_.user.empty()) login.push_back(address_.user);
        login.push_back(address_.password);
        greetings.push_back(std::move(login));
    }
    if (address_.database != 0) greetings.push_back({"SELECT", std::to_string(address_.database)});
    for (const auto& greeting : greetings) {
        const RedisReply reply = exchange(greeting, times_.answer);
        if (reply.kind != RedisReply::Kind::error) continue;
        close();
        throw trouble(greeting.front() + " was refused: " + reply.text);
    }
}

RedisReply RedisConnection::ask(const std::vector<std::string>& command, milliseconds blocking) {
    if (!link_) connect();
    return exchange(command, times_.answer + blocking);
}

RedisReply RedisConnection::call(const std::vector<std::string>& command, milliseconds blocking) {
    RedisReply reply = ask(command, blocking);
    if (reply.kind == RedisReply::Kind::error) throw trouble(command.front() + " was refused: " + reply.text);
    return reply;
}

RedisPool::RedisPool(RedisAddress address, const RedisPoolLimits& limits)
    : address_(std::move(address)), limits_(limits) {
    free_.reserve(limits_.connections);
}

RedisReply RedisPool::call(const std::vector<std::string>& command) {
    Connection connection = acquire();
    const auto begin = steady_clock::now();
    bool stale = connection->connected();
    while (true) {
        try {
            RedisReply reply = connection->call(command);
            giveBack(std::move(connection), false);
            return reply;
        } catch (const Error&) {
            // Redis was restarted while the connection lay idle. A Redis that is silent is not asked twice.
            if (stale && !connection->connected() && steady_clock::now() - begin < limits_.times.answer) {
                stale = false;
                continue;
            }
            giveBack(std::move(connection), true);
            throw;
        } catch (...) {
            giveBack(std::move(connection), true);
            throw;
        }
    }
}

RedisPool::Connection RedisPool::acquire() {
    const auto unavailable = [&](const char* what) {
        return Error(ErrorCode::unavailable, "A part of the server does not answer. Try again soon.",
                     address_.text() + ": " + what);
    };
    std::unique_lock lock(mutex_);
    const auto now = steady_clock::now();
    if (failing_) {
        if (now < restUntil_) throw unavailable("left alone after a failure");
        restUntil_ = now + limits_.rest;  // this call alone finds out whether Redis is back
    }
    const auto isFree = [&] { return !free_.empty() || made_ < limits_.connections; };
    if (!freed_.wait_until(lock, now + limits_.times.answer, isFree)) throw unavailable("all connections are in use");
    if (free_.empty()) {
        auto made = std::make_unique<RedisConnection>(address_, limits_.times);
        ++made_;
        return made;
    }
    Connection connection = std::move(free_.back());
    free_.pop_back();
    return connection;
}

void RedisPool::giveBack(Connection connection, bool failed) noexcept {
    {
        const std::lock_guard lock(mutex_);
        failing_ = failed;
        if (failed) restUntil_ = steady_clock::now() + limits_.rest;
        free_.push_back(std::move(connection));  // there is room for all
    }
    freed_.notify_one();
}

}  // namespace chunkvault::worker
