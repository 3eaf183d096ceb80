#include "common/process/config.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "common/error/error.h"

extern "C" char** environ;

namespace chunkvault::process {

namespace {

// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

// What a message can show of a value, in one line.
std::string printable(std::string_view value) {
    constexpr std::size_t most = 200;
    std::string shown(value.substr(0, most));
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return value.size() > most ? shown + "..." : shown;
}

// Short names are too near to everything.
bool isNearly(std::string_view name, std::string_view known) {
    return known.size() >= 8 && distance(name, known) <= (known.size() >= 12 ? 2u : 1u);
}

std::string readSecret(const std::string& variable, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    std::string text = std::move(content).str();
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
    if (text.empty())
        throw Error(ErrorCode::invalidValue,
                    variable + " names a file that cannot be read or is empty: " + printable(path));
    return text;
}

struct Number {
    std::int64_t value;
    std::string_view suffix;
};

std::optional<Number> numberWithSuffix(std::string_view text) {
    Number number{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number.value);
    if (failure != std::errc() || number.value < 0) return std::nullopt;
    number.suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    return number;
}

std::optional<std::int64_t> scaled(const Number& number, std::int64_t factor) {
    std::int64_t result = 0;
    if (__builtin_mul_overflow(number.value, factor, &result)) return std::nullopt;
    return result;
}

std::string bytesText(std::int64_t bytes) {
    for (const auto& [suffix, shift] : {std::pair{'T', 40}, {'G', 30}, {'M', 20}, {'K', 10}})
        if (bytes != 0 && bytes % (std::int64_t{1} << shift) == 0) return std::to_string(bytes >> shift) + suffix;
    return std::to_string(bytes);
}

std::string durationText(std::chrono::milliseconds time) {
    const auto ms = time.count();
    if (ms != 0 && ms % 86'400'000 == 0) return std::to_string(ms / 86'400'000) + "d";
    if (ms != 0 && ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
    if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
    return std::to_string(ms) + "ms";
}

std::optional<std::chrono::milliseconds> durationOf(std::string_view text, std::chrono::milliseconds min,
                                                    std::chrono::milliseconds max) {
    const auto number = numberWithSuffix(text);
    std::optional<std::int64_t> ms;
    if (number)
        for (const auto& [suffix, factor] : {std::pair<std::string_view, std::int64_t>{"ms", 1},
                                             {"s", 1000},
                                             {"min", 60'000},
                                             {"h", 3'600'000},
                                             {"d", 86'400'000}})
            if (number->suffix == suffix) ms = scaled(*number, factor);
    if (!ms || *ms < min.count() || *ms > max.count()) return std::nullopt;
    return std::chrono::milliseconds(*ms);
}

std::string durationsAllowed(std::chrono::milliseconds min, std::chrono::milliseconds max) {
    return "a time such as 500ms, 30s, 15min, 24h or 7d, from " + durationText(min) + " to " + durationText(max);
}

}  // namespace

Config::Config(std::span<const Setting> table, const Environment& environment) : table_(table) {
    for (const auto& [name, value] : environment) {
        if (value.empty()) continue;
        bool known = false;
        std::string nearest;
        for (const Setting& setting : table_) {
            if (name == setting.name) {
                known = true;
                values_[name] = value;
            } else if (setting.secret && name == std::string(setting.name) + "_FILE") {
                known = true;
                const auto direct = environment.find(std::string(setting.name));
                if (direct != environment.end() && !direct->second.empty())
                    throw Error(ErrorCode::invalidValue,
                                std::string(setting.name) + " and " + name + " are both set. Keep one of them.");
                values_[std::string(setting.name)] = readSecret(name, value);
            } else if (isNearly(name, setting.name)) {
                nearest = setting.name;
            } else if (setting.secret && isNearly(name, std::string(setting.name) + "_FILE")) {
                nearest = std::string(setting.name) + "_FILE";
            }
        }
        if (known) continue;
        if (!nearest.empty())
            throw Error(ErrorCode::invalidValue, name + " is not a setting. Did you mean " + nearest + "?");
        if (name.starts_with("CHUNKVAULT_"))
            throw Error(ErrorCode::invalidValue, name + " is not a setting. Unset it.");
    }
}

Config::Environment Config::environment() {
    Environment result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view pair = *entry;
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos) result.emplace(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return result;
}

const Setting& Config::setting(std::string_view name) const {
    const auto found = std::ranges::find(table_, name, &Setting::name);
    if (found == table_.end()) throw std::logic_error("not in the table of settings: " + std::string(name));
    return *found;
}

void Config::refuse(std::string_view name, const std::string& allowed) const {
    const std::string shown = setting(name).secret ? "" : " is \"" + printable(text(name)) + "\", but";
    throw Error(ErrorCode::invalidValue, std::string(name) + shown + " must be " + allowed + '.');
}

bool Config::given(std::string_view name) const {
    (void)setting(name);
    return values_.contains(name);
}

std::string Config::text(std::string_view name) const {
    const Setting& declared = setting(name);
    const auto found = values_.find(name);
    return found == values_.end() ? std::string(declared.fallback) : found->second;
}

std::int64_t Config::integer(std::string_view name, std::int64_t min, std::int64_t max) const {
    const std::string value = text(name);
    const auto number = numberWithSuffix(value);
    if (!number || !number->suffix.empty() || number->value < min || number->value > max)
        refuse(name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return number->value;
}

std::int64_t Config::bytes(std::string_view name, std::int64_t min, std::int64_t max) const {
    const std::string value = text(name);
    const auto number = numberWithSuffix(value);
    std::optional<std::int64_t> result;
    if (number) {
        constexpr std::string_view suffixes = "KMGT";
        if (number->suffix.empty()) {
            result = number->value;
        } else if (const auto power =
                       suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(number->suffix[0]))));
                   number->suffix.size() == 1 && power != std::string_view::npos) {
            result = scaled(*number, std::int64_t{1} << (10 * (power + 1)));
        }
    }
    if (!result || *result < min || *result > max)
        refuse(name, "a size such as 64K, 4M or 10G, from " + bytesText(min) + " to " + bytesText(max));
    return *result;
}

std::chrono::milliseconds Config::duration(std::string_view name, std::chrono::milliseconds min,
                                           std::chrono::milliseconds max) const {
    const auto time = durationOf(text(name), min, max);
    if (!time) refuse(name, durationsAllowed(min, max));
    return *time;
}

std::map<std::string, std::chrono::milliseconds, std::less<>> Config::durations(std::string_view name,
                                                                                std::span<const std::string> known,
                                                                                std::chrono::milliseconds min,
                                                                                std::chrono::milliseconds max) const {
    std::map<std::string, std::chrono::milliseconds, std::less<>> times;
    for (const std::string& item : list(name)) {
        const auto equals = item.find('=');
        const std::string key = item.substr(0, equals);
        const auto time = durationOf(equals == std::string::npos ? "" : item.substr(equals + 1), min, max);
        if (time && std::ranges::find(known, key) != known.end() && times.emplace(key, *time).second) continue;
        std::string names;
        for (const std::string& one : known) names += (names.empty() ? "" : ", ") + one;
        refuse(name, "pairs such as " + known.front() + "=1h, separated by commas, each name once, of these: " + names +
                         "; and each time " + durationsAllowed(min, max));
    }
    return times;
}

bool Config::boolean(std::string_view name) const {
    const std::string value = oneOf(name, {"true", "false", "yes", "no", "1", "0"});
    return value == "true" || value == "yes" || value == "1";
}

std::vector<std::string> Config::list(std::string_view name) const {
    const std::string value = text(name);
    std::vector<std::string> items;
    for (std::string_view rest = value; !rest.empty();) {
        std::string_view item = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(item.size() + 1, rest.size()));
        while (item.starts_with(' ')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
    }
    return items;
}

std::string Config::oneOf(std::string_view name, std::initializer_list<std::string_view> values) const {
    std::string value = text(name);
    if (std::find(values.begin(), values.end(), value) == values.end()) {
        std::string allowed;
        for (const std::string_view one : values) allowed += (allowed.empty() ? "" : ", ") + std::string(one);
        refuse(name, "one of: " + allowed);
    }
    return value;
}

std::string Config::markdownTable(std::span<const Setting> table) {
    std::string text = "| variable | default | meaning |\n|---|---|---|\n";
    for (const Setting& setting : table) {
        text += "| `" + std::string(setting.name) + "` | " +
                (setting.fallback.empty() ? "" : '`' + std::string(setting.fallback) + '`') + " | " +
                std::string(setting.description) +
                (setting.secret ? " (or the file `" + std::string(setting.name) + "_FILE`)" : "") + " |\n";
    }
    return text;
}

}  // namespace chunkvault::process
