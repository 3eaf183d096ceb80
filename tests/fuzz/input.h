// Cuts a fuzzer's input into what a target needs, and says when what must hold does not.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace chunkvault::fuzz {

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

    // Zero where the input is too short.
    template <typename Number>
    Number take() {
        Number number{};
        const std::size_t count = rest_.size() < sizeof number ? rest_.size() : sizeof number;
        std::memcpy(&number, rest_.data(), count);
        rest_.remove_prefix(count);
        return number;
    }
    [[nodiscard]] std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

inline void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace chunkvault::fuzz
