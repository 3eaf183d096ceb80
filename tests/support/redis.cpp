#include "tests/support/redis.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

namespace chunkvault::test {

worker::RedisAddress redisAddress() {
    const char* url = std::getenv("CHUNKVAULT_TEST_REDIS");
    if (url == nullptr) throw std::runtime_error("CHUNKVAULT_TEST_REDIS is not set; tests/run.py starts a Redis");
    return worker::RedisAddress::parse(url);
}

std::string freshPrefix() {
    static std::atomic<int> number = 0;
    return "test:{" + std::to_string(::getpid()) + '-' + std::to_string(++number) + '}';
}

worker::RedisAddress nobodysAddress() {
    const Poco::Net::ServerSocket taken(Poco::Net::SocketAddress("127.0.0.1", 0));
    return {.host = "127.0.0.1", .port = taken.address().port()};
}

}  // namespace chunkvault::test
