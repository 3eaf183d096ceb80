// A request's body that arrives in pieces of a test's choice.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/http/message.h"

namespace chunkvault::http::test {

class FakeBody : public BodyReader {
  public:
    // The first read gives at most first bytes, each later one at most most.
    explicit FakeBody(std::string bytes, std::size_t first = SIZE_MAX, std::size_t most = SIZE_MAX)
        : bytes_(std::move(bytes)), next_(first), most_(most) {}

    [[nodiscard]] std::optional<std::uint64_t> length() const override { return bytes_.size(); }

    std::size_t read(std::span<char> buffer) override {
        const std::size_t count = std::min({std::max<std::size_t>(next_, 1), buffer.size(), bytes_.size() - done_});
        std::memcpy(buffer.data(), bytes_.data() + done_, count);
        done_ += count;
        next_ = most_;
        return count;
    }

    [[nodiscard]] bool awaitData() override { return !readToTheEnd(); }
    void hurryWhile(std::function<bool()>) override {}

    [[nodiscard]] bool readToTheEnd() const { return done_ == bytes_.size(); }

  private:
    std::string bytes_;
    std::size_t done_ = 0;
    std::size_t next_, most_;
};

}  // namespace chunkvault::http::test
