// Which files a browser may show instead of saving them. What could run, or load other things, is never among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace chunkvault::server {

struct Preview {
    std::string_view kind;         // for pages: image, audio, video, text, pdf
    std::string_view contentType;  // to send the file with; all text is plain text
};

// By the name's extension; nullopt: to be saved only. size: bytes.
[[nodiscard]] std::optional<Preview> previewOf(std::string_view filename, std::int64_t size);

// The Content-Security-Policy of a preview. Nothing in it runs, and only pages of this server may frame it. A PDF is
// shown by the browser's own viewer, which no sandboxed document may load.
[[nodiscard]] std::string_view previewPolicy(std::string_view contentType);

}  // namespace chunkvault::server
