#include "server/api/file_types.h"

#include <algorithm>
#include <cctype>

#include "common/error/error.h"
#include "server/api/encode.h"

namespace chunkvault::server {

namespace {

constexpr std::size_t maxTypes = 50, maxTypeBytes = 100;

std::string lowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

bool isWord(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string_view("-+._").find(c) != std::string_view::npos;
    });
}

bool isType(std::string_view type) {
    if (type.size() > maxTypeBytes) return false;
    if (type.starts_with('.')) return isWord(type.substr(1));
    const auto slash = type.find('/');
    return slash != std::string_view::npos && isWord(type.substr(0, slash)) &&
           (type.substr(slash + 1) == "*" || isWord(type.substr(slash + 1)));
}

}  // namespace

std::string joinTypes(const std::vector<std::string>& types) {
    if (types.size() > maxTypes)
        throw Error(ErrorCode::invalidValue, "\"types\" may have at most " + std::to_string(maxTypes) + " elements.");
    std::string joined;
    for (const std::string& type : types) {
        if (!isType(type))
            throw Error(ErrorCode::invalidValue,
                        "\"types\" must hold endings such as \".jpg\" or media types such as \"image/*\" and "
                        "\"application/pdf\".");
        joined += (joined.empty() ? "" : ",") + lowerCase(type);
    }
    return joined;
}

std::vector<std::string> splitTypes(std::string_view joined) {
    std::vector<std::string> types;
    while (!joined.empty()) {
        const auto comma = std::min(joined.find(','), joined.size());
        types.emplace_back(joined.substr(0, comma));
        joined.remove_prefix(std::min(comma + 1, joined.size()));
    }
    return types;
}

bool isOfTypes(std::string_view filename, std::string_view joined) {
    if (joined.empty()) return true;
    const std::string name = lowerCase(filename);
    const std::string_view media = mimeType(name);
    const auto types = splitTypes(joined);
    return std::any_of(types.begin(), types.end(), [&](const std::string& type) {
        if (type.starts_with('.')) return name.size() > type.size() && name.ends_with(type);
        if (type.ends_with("/*")) return media.starts_with(std::string_view(type).substr(0, type.size() - 1));
        return media == type;
    });
}

}  // namespace chunkvault::server
