// Configuration from environment variables, by a table of what is known. Immutable; thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chunkvault::process {

struct Setting {
    std::string_view name;
    std::string_view fallback;
    std::string_view description;  // for the README's table
    bool secret = false;           // may be given as the file NAME_FILE; never shown in messages
};

// Every getter throws Error invalidValue with one line that names the variable and what is allowed. An empty variable
// is the same as none. Names must be in the table.
class Config {
  public:
    using Environment = std::map<std::string, std::string>;

    // Throws for a name that is nearly one of the table or begins with CHUNKVAULT_ without being one, and for secrets
    // given twice or in a file that cannot be read.
    Config(std::span<const Setting> table, const Environment& environment);

    [[nodiscard]] static Environment environment();

    [[nodiscard]] bool given(std::string_view name) const;
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t min, std::int64_t max) const;
    // "4M", "1024", "10G": bytes, the suffixes K, M, G, T are powers of 1024.
    [[nodiscard]] std::int64_t bytes(std::string_view name, std::int64_t min, std::int64_t max) const;
    // "500ms", "30s", "15min", "24h", "7d".
    [[nodiscard]] std::chrono::milliseconds duration(std::string_view name, std::chrono::milliseconds min,
                                                     std::chrono::milliseconds max) const;
    // "scrub=1h,trash=10min": times by names, of which only some are known.
    [[nodiscard]] std::map<std::string, std::chrono::milliseconds, std::less<>> durations(
        std::string_view name, std::span<const std::string> known, std::chrono::milliseconds min,
        std::chrono::milliseconds max) const;
    [[nodiscard]] bool boolean(std::string_view name) const;                   // true, false, yes, no, 1, 0
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;  // separated by commas; trimmed
    [[nodiscard]] std::string oneOf(std::string_view name, std::initializer_list<std::string_view> values) const;

    [[nodiscard]] static std::string markdownTable(std::span<const Setting> table);

  private:
    [[nodiscard]] const Setting& setting(std::string_view name) const;
    [[noreturn]] void refuse(std::string_view name, const std::string& allowed) const;

    std::span<const Setting> table_;
    std::map<std::string, std::string, std::less<>> values_;  // the ones that were given
};

}  // namespace chunkvault::process
