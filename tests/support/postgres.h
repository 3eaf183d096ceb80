// A PostgreSQL database of a test's own, on the server that tests/run.py starts for executables with the label
// postgres.
#pragma once

#include <string>

namespace chunkvault::test {

// Makes an empty database with a random name; drops it at the end, whoever is still connected. Make one for each test
// suite, or for each test that needs an empty one (some 30 ms).
// Throws std::runtime_error when CHUNKVAULT_TEST_POSTGRES is not set or the server refuses.
class FreshDatabase {
  public:
    FreshDatabase();
    ~FreshDatabase();
    FreshDatabase(const FreshDatabase&) = delete;
    FreshDatabase& operator=(const FreshDatabase&) = delete;

    // postgresql://user@host:port/name
    [[nodiscard]] const std::string& url() const { return url_; }

  private:
    std::string name_;
    std::string url_;
};

// The server's URL, up to its database "postgres". Throws like FreshDatabase.
[[nodiscard]] std::string postgresUrl();

// One statement on a connection of its own. Throws std::runtime_error with the server's message.
void executeSql(const std::string& url, const std::string& sql);

}  // namespace chunkvault::test
