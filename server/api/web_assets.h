// The files of webui/, which are part of the program: nothing is read from a disk, and no name of a request becomes a
// path. Immutable; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace chunkvault::server {

struct WebAsset {
    std::string_view name;
    std::string_view contentType;
    std::string_view text;
    std::string etag;  // of the text, with its quotes
    std::string gzip;  // the text, for browsers that take it so
    std::string gzipEtag;
};

// nullptr when there is none of this name.
[[nodiscard]] const WebAsset* findWebAsset(std::string_view name);

}  // namespace chunkvault::server
