#include "server/api/preview.h"

#include <algorithm>
#include <array>

#include "server/api/encode.h"

namespace chunkvault::server {

namespace {

constexpr std::string_view pdf = "application/pdf", plainText = "text/plain; charset=utf-8";
constexpr std::int64_t maxTextBytes = 1 << 20;  // a browser lays out all of it

// Not svg and not html: they are programs.
constexpr std::array<std::string_view, 7> images{
    "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp", "image/vnd.microsoft.icon"};
constexpr std::array<std::string_view, 6> sounds{"audio/aac",  "audio/flac", "audio/mp4",
                                                 "audio/mpeg", "audio/ogg",  "audio/wav"};
constexpr std::array<std::string_view, 2> videos{"video/mp4", "video/webm"};
constexpr std::array<std::string_view, 7> texts{"application/json", "application/xml", "text/css",  "text/csv",
                                                "text/javascript",  "text/markdown",   "text/plain"};

template <std::size_t Size>
bool holds(const std::array<std::string_view, Size>& types, std::string_view type) {
    return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

std::optional<Preview> previewOf(std::string_view filename, std::int64_t size) {
    const std::string_view type = mimeType(filename);
    if (size == 0) return std::nullopt;
    if (holds(images, type)) return Preview{"image", type};
    if (holds(sounds, type)) return Preview{"audio", type};
    if (holds(videos, type)) return Preview{"video", type};
    if (holds(texts, type) && size <= maxTextBytes) return Preview{"text", plainText};
    if (type == pdf) return Preview{"pdf", type};
    return std::nullopt;
}

std::string_view previewPolicy(std::string_view contentType) {
    return contentType == pdf ? "default-src 'none'; frame-ancestors 'none'"
                              : "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'self'; sandbox";
}

}  // namespace chunkvault::server
