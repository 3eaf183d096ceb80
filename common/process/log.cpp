#include "common/process/log.h"

#include <string>

#include "common/wire/json.h"
#include "common/wire/timestamp.h"

namespace chunkvault::process {

namespace {

const char* textOf(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warning: return "warning";
        case Level::error: break;
    }
    return "error";
}

}  // namespace

Level levelOf(std::string_view name) noexcept {
    if (name == "debug") return Level::debug;
    if (name == "warning") return Level::warning;
    return name == "error" ? Level::error : Level::info;
}

void Log::write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (level < minimum_) return;
    wire::Json line = {{"time", toRfc3339(systemNow())}, {"level", textOf(level)}, {"event", event}};
    for (const Field& field : fields)
        std::visit([&](const auto& value) { line[std::string(field.name)] = value; }, field.value);
    std::string text = line.dump(-1, ' ', false, wire::Json::error_handler_t::replace);
    text += '\n';
    const std::lock_guard lock(mutex_);
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
}

}  // namespace chunkvault::process
