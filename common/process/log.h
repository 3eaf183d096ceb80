// One JSON line an event. Secrets are never given to it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <mutex>
#include <string_view>
#include <type_traits>
#include <variant>

namespace chunkvault::process {

enum class Level { debug, info, warning, error };

// By its name, as in LOG_LEVEL; info for anything else.
[[nodiscard]] Level levelOf(std::string_view name) noexcept;

struct Field {
    Field(std::string_view fieldName, std::string_view text) : name(fieldName), value(text) {}
    Field(std::string_view fieldName, const char* text) : name(fieldName), value(std::string_view(text)) {}
    Field(std::string_view fieldName, double number) : name(fieldName), value(number) {}
    Field(std::string_view fieldName, bool truth) : name(fieldName), value(truth) {}
    template <typename T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Field(std::string_view fieldName, T number)
        : name(fieldName), value(static_cast<std::int64_t>(number)) {}

    std::string_view name;
    std::variant<std::string_view, std::int64_t, double, bool> value;
};

// Thread-safe.
class Log {
  public:
    // out is not owned.
    Log(std::FILE* out, Level minimum) : out_(out), minimum_(minimum) {}

    // {"time": RFC 3339, "level", "event", fields...}. Invalid UTF-8 is replaced by U+FFFD.
    void write(Level level, std::string_view event, std::initializer_list<Field> fields);

  private:
    std::FILE* out_;
    Level minimum_;
    std::mutex mutex_;
};

}  // namespace chunkvault::process
