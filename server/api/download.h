// One content as the answer to a GET or HEAD, with ranges and conditions (RFC 9110 sections 13 and 14).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/api/call.h"

namespace chunkvault::server {

struct Download {
    catalog::ContentId content;
    std::int64_t size;
    std::string etag;  // with its quotes
    std::string filename;
    Timestamp modifiedAt;
};

// The current version. Throws invalidValue for a folder, notYetComplete while its first upload is under way.
[[nodiscard]] Download downloadOf(const catalog::Entry& entry);

// Which bytes the request asks for. Throws rangeNotSatisfiable, with Content-Range set.
struct Wanted {
    std::int64_t offset, length;
    bool partial;
};
[[nodiscard]] Wanted wantedBytes(Call& call, const Download& download);

// Sends 200, 206 or 304. The first byte leaves only after the first chunk was verified; a failure later cuts the
// connection.
void sendDownload(Services& services, Call& call, const Download& download, const Wanted& wanted);
[[nodiscard]] bool notModified(const Call& call, const Download& download);
void sendNotModified(Call& call, const Download& download);

}  // namespace chunkvault::server
