#include "tests/support/postgres.h"

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>

#include <libpq-fe.h>

namespace chunkvault::test {

std::string postgresUrl() {
    const char* url = std::getenv("CHUNKVAULT_TEST_POSTGRES");
    if (url == nullptr || *url == '\0')
        throw std::runtime_error(
            "CHUNKVAULT_TEST_POSTGRES is not set: run this by ./dev test, and give the executable the label postgres");
    return url;
}

void executeSql(const std::string& url, const std::string& sql) {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(url.c_str()), PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()), PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        throw std::runtime_error(PQresultErrorMessage(result.get()));
}

FreshDatabase::FreshDatabase() {
    std::random_device random;
    name_ = "test_" + std::to_string((std::uint64_t{random()} << 32) | random());
    const std::string server = postgresUrl();
    // template0, because nobody can be connected to it, which would make CREATE DATABASE fail.
    executeSql(server, "CREATE DATABASE " + name_ + " TEMPLATE template0");
    url_ = server.substr(0, server.rfind('/') + 1) + name_;
}

FreshDatabase::~FreshDatabase() {
    try {
        executeSql(postgresUrl(), "DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception& error) {
        std::cerr << "cannot drop " << name_ << ": " << error.what() << '\n';
    }
}

}  // namespace chunkvault::test
