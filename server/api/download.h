// One content as the answer to a GET or HEAD, with ranges and conditions (RFC 9110 sections 13 and 14).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/call.h"
#include "server/storage/file_content.h"

namespace chunkvault::server {

// IMF-fixdate (RFC 9110 section 5.6.7).
[[nodiscard]] std::string httpDate(Timestamp time);

struct Download {
    catalog::ContentId content;
    std::int64_t size;
    std::string etag;  // with its quotes
    std::string filename;
    Timestamp modifiedAt;
    std::string_view shownAs = {};  // the media type of a preview, to be shown by the browser; empty: to be saved
};

// A chunk whose client was waited for that long is given back when others wait for memory: it can be read again.
inline constexpr std::chrono::milliseconds maxClientWait{250};

// The headers of bytes that are others': not to be guessed about, not to run, not to tell where they came from.
void setClosedHeaders(Call& call);

// The current version. Throws invalidValue for a folder, notYetComplete while its first upload is under way.
[[nodiscard]] Download downloadOf(const catalog::Entry& entry);

// Which bytes the request asks for. Throws rangeNotSatisfiable, with Content-Range set.
struct Wanted {
    std::int64_t offset, length;
    bool partial;
};
[[nodiscard]] Wanted wantedBytes(Call& call, const Download& download);

// The bytes of a download on their way. A client that takes nothing for a while keeps no memory that others wait for.
class OutgoingBytes {
  public:
    // Reads and verifies the first chunk, except for HEAD. Throws Error when that cannot be had: nothing is sent yet.
    OutgoingBytes(Services& services, Call& call, const Download& download, const Wanted& wanted);
    // 200 or 206; once. A failure after the first chunk cuts the connection.
    void send(const Download& download);

  private:
    void sendBody(http::BodyWriter& writer);

    Services& services_;
    Call& call_;
    const Wanted wanted_;
    FileContent::Reader reader_;
    std::optional<FileContent::Slice> slice_;
};

// Sends 200 or 206.
void sendDownload(Services& services, Call& call, const Download& download, const Wanted& wanted);
[[nodiscard]] bool notModified(const Call& call, const Download& download);
void sendNotModified(Call& call, const Download& download);

}  // namespace chunkvault::server
