#include "server/api/download.h"

#include <ctime>

#include "common/error/error.h"
#include "common/http/content_disposition.h"
#include "common/http/range.h"
#include "server/api/encode.h"
#include "server/storage/file_content.h"

namespace chunkvault::server {

namespace {

// IMF-fixdate (RFC 9110 section 5.6.7).
std::string httpDate(Timestamp time) {
    const std::time_t seconds = time / secondUs;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text, length};
}

void setCommonHeaders(Call& call, const Download& download) {
    auto& response = call.response;
    response.setHeader("ETag", download.etag);
    response.setHeader("Last-Modified", httpDate(download.modifiedAt));
    response.setHeader("Cache-Control", "private, no-cache");
    response.setHeader("Accept-Ranges", "bytes");
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Content-Security-Policy", "default-src 'none'; sandbox");
    response.setHeader("Referrer-Policy", "no-referrer");
}

}  // namespace

Download downloadOf(const catalog::Entry& entry) {
    if (entry.kind == catalog::Kind::folder)
        throw Error(ErrorCode::invalidValue, "This is a folder. List it and download its files one by one.");
    if (!entry.content)
        throw Error(ErrorCode::notYetComplete, "The file is still being uploaded. Try again in a moment.")
            .retryAfter(5);
    return {*entry.content, entry.size, '"' + entry.root.toHex() + '"', entry.name, entry.modifiedAt};
}

Wanted wantedBytes(Call& call, const Download& download) {
    const http::Request& request = call.request;
    const Wanted whole{0, download.size, false};
    const auto range = request.header("Range");
    if (!range || request.method != http::Method::get) return whole;
    if (const auto condition = request.header("If-Range");
        condition && !http::ifRangeMatches(*condition, download.etag))
        return whole;
    const auto parsed = http::parseRange(*range, static_cast<std::uint64_t>(download.size));
    switch (parsed.outcome) {
        case http::RangeOutcome::ignore: return whole;
        case http::RangeOutcome::unsatisfiable:
            call.response.setHeader("Content-Range", "bytes */" + std::to_string(download.size));
            throw Error(ErrorCode::rangeNotSatisfiable,
                        "The range begins beyond the end. The file has " + std::to_string(download.size) + " bytes.");
        case http::RangeOutcome::satisfiable: break;
    }
    return {static_cast<std::int64_t>(parsed.offset), static_cast<std::int64_t>(parsed.length), true};
}

bool notModified(const Call& call, const Download& download) {
    const auto condition = call.request.header("If-None-Match");
    return condition && http::ifNoneMatchMatches(*condition, download.etag);
}

void sendNotModified(Call& call, const Download& download) {
    setCommonHeaders(call, download);
    call.response.sendEmpty(304);
}

void sendDownload(Services& services, Call& call, const Download& download, const Wanted& wanted) {
    FileContent::Reader reader(services.content, download.content, wanted.offset, wanted.length);
    const bool bodiless = call.request.method == http::Method::head;
    std::optional<FileContent::Slice> slice;
    if (!bodiless) slice = reader.next();

    setCommonHeaders(call, download);
    call.response.setHeader("Content-Disposition",
                            http::contentDisposition(http::Disposition::attachment, download.filename));
    if (wanted.partial)
        call.response.setHeader("Content-Range", "bytes " + std::to_string(wanted.offset) + '-' +
                                                     std::to_string(wanted.offset + wanted.length - 1) + '/' +
                                                     std::to_string(download.size));
    auto& writer = call.response.begin(wanted.partial ? 206 : 200, mimeType(download.filename),
                                       static_cast<std::uint64_t>(wanted.length));
    while (slice) {
        writer.write(slice->bytes());
        slice.reset();  // its memory may be needed for the next one
        slice = reader.next();
    }
}

}  // namespace chunkvault::server
