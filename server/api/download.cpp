#include "server/api/download.h"

#include <chrono>
#include <ctime>

#include "common/error/error.h"
#include "common/http/content_disposition.h"
#include "common/http/range.h"
#include "server/api/encode.h"
#include "server/api/preview.h"

namespace chunkvault::server {

namespace {

void setCommonHeaders(Call& call, const Download& download) {
    auto& response = call.response;
    response.setHeader("ETag", download.etag);
    response.setHeader("Last-Modified", httpDate(download.modifiedAt));
    response.setHeader("Cache-Control", "private, no-cache");
    response.setHeader("Accept-Ranges", "bytes");
    setClosedHeaders(call);
    if (!download.shownAs.empty()) response.setHeader("Content-Security-Policy", previewPolicy(download.shownAs));
}

}  // namespace

std::string httpDate(Timestamp time) {
    const std::time_t seconds = time / secondUs;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text, length};
}

void setClosedHeaders(Call& call) {
    call.response.setHeader("X-Content-Type-Options", "nosniff");
    call.response.setHeader("Content-Security-Policy", "default-src 'none'; sandbox");
    call.response.setHeader("Referrer-Policy", "no-referrer");
}

Download downloadOf(const catalog::Entry& entry) {
    if (entry.kind == catalog::Kind::folder)
        throw Error(ErrorCode::invalidValue,
                    "This is a folder. Take it as a ZIP, or list it and download its files one by one.");
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

OutgoingBytes::OutgoingBytes(Services& services, Call& call, const Download& download, const Wanted& wanted)
    : services_(services),
      call_(call),
      wanted_(wanted),
      reader_(services.content, download.content, wanted.offset, wanted.length) {
    if (call.request.method != http::Method::head) slice_ = reader_.next();
}

void OutgoingBytes::send(const Download& download) {
    setCommonHeaders(call_, download);
    const bool shown = !download.shownAs.empty();
    call_.response.setHeader("Content-Disposition", http::contentDisposition(shown ? http::Disposition::inlined
                                                                                   : http::Disposition::attachment,
                                                                             download.filename));
    if (wanted_.partial)
        call_.response.setHeader("Content-Range", "bytes " + std::to_string(wanted_.offset) + '-' +
                                                      std::to_string(wanted_.offset + wanted_.length - 1) + '/' +
                                                      std::to_string(download.size));
    sendBody(call_.response.begin(wanted_.partial ? 206 : 200, shown ? download.shownAs : mimeType(download.filename),
                                  static_cast<std::uint64_t>(wanted_.length)));
}

void OutgoingBytes::sendBody(http::BodyWriter& writer) {
    using Clock = std::chrono::steady_clock;
    std::int64_t at = wanted_.offset;
    for (auto begin = Clock::now(); slice_; begin = Clock::now()) {
        std::span<const char> rest = slice_->bytes();
        while (!rest.empty()) {
            const std::size_t taken = writer.writeSome(rest, maxClientWait);
            rest = rest.subspan(taken);
            at += static_cast<std::int64_t>(taken);
            if (!rest.empty() && services_.buffers.wanted()) break;
        }
        const bool givenBack = !rest.empty();
        slice_.reset();  // its memory may be needed for the next one
        if (givenBack) {
            reader_.goBackTo(at);
            writer.awaitWritable();
        }
        slice_ = reader_.next(Clock::now() - begin);
    }
}

void sendDownload(Services& services, Call& call, const Download& download, const Wanted& wanted) {
    OutgoingBytes(services, call, download, wanted).send(download);
}

}  // namespace chunkvault::server
