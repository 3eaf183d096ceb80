#include "server/api/tus_headers.h"

#include <charconv>

#include "common/error/error.h"
#include "server/auth/base64.h"

namespace chunkvault::server {

namespace {

constexpr std::size_t maxMetadataBytes = 8 << 10, maxPathBytes = 4096;

[[noreturn]] void refuseMetadata() {
    throw Error(ErrorCode::badRequest,
                "Upload-Metadata must be keys with base64 values: \"filename cmVwb3J0LnBkZg==,folder_id MTc=\", each "
                "key once, at most 8 KiB.");
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

bool isKey(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text)
        if (c <= ' ' || c > '~' || c == ',') return false;
    return true;
}

}  // namespace

std::optional<std::int64_t> parseTusNumber(std::string_view text) {
    std::int64_t number = -1;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::map<std::string, std::string, std::less<>> parseTusMetadata(std::string_view header) {
    if (header.size() > maxMetadataBytes) refuseMetadata();
    std::map<std::string, std::string, std::less<>> metadata;
    if (trimmed(header).empty()) return metadata;
    for (bool more = true; more;) {
        const auto comma = header.find(',');
        more = comma != std::string_view::npos;
        const std::string_view pair = trimmed(header.substr(0, comma));
        if (more) header.remove_prefix(comma + 1);
        const auto space = pair.find(' ');
        const std::string_view key = pair.substr(0, space);
        const auto value =
            fromBase64(space == std::string_view::npos ? std::string_view() : trimmed(pair.substr(space + 1)));
        if (!isKey(key) || !value || !metadata.emplace(key, *value).second) refuseMetadata();
    }
    return metadata;
}

TusFile parseTusFile(std::string_view metadataHeader) {
    const auto metadata = parseTusMetadata(metadataHeader);
    const auto find = [&](std::string_view key) -> std::optional<std::string> {
        const auto found = metadata.find(key);
        return found == metadata.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
    };
    auto name = find("filename");
    if (!name) name = find("name");
    if (!name)
        throw Error(ErrorCode::invalidValue, "Name the file in Upload-Metadata: \"filename <the name in base64>\".");
    TusFile file{FileName::parse(*name),       {},          find("folder_id"), std::nullopt,
                 catalog::OnConflict::version, std::nullopt};
    if (auto path = find("relativePath")) {
        if (path->size() > maxPathBytes)
            throw Error(ErrorCode::invalidValue, "\"relativePath\" is longer than 4096 bytes.");
        const auto slash = path->rfind('/');
        const std::size_t begin = path->starts_with('/') ? 1 : 0;  // as some browsers say it
        if (slash != std::string::npos && slash > begin)
            file.folders = FileName::parsePath(std::string_view(*path).substr(begin, slash - begin));
    }
    if (const auto time = find("modified_at")) {
        file.modifiedAt = parseRfc3339(*time);
        if (!file.modifiedAt)
            throw Error(ErrorCode::invalidValue,
                        "\"modified_at\" must be a time such as 2026-01-31T12:00:00Z (RFC 3339).");
    }
    if (const auto policy = find("on_conflict")) {
        if (*policy != "version" && *policy != "keep_both")
            throw Error(ErrorCode::invalidValue, "\"on_conflict\" must be version or keep_both.");
        if (*policy == "keep_both") file.onConflict = catalog::OnConflict::keepBoth;
    }
    if (const auto hash = find("sha256")) {
        file.sha256 = Sha256Digest::fromHex(*hash);
        if (!file.sha256) throw Error(ErrorCode::invalidValue, "\"sha256\" must be 64 digits of lower case hex.");
    }
    return file;
}

}  // namespace chunkvault::server
