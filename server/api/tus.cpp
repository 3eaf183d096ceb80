#include "server/api/tus.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <exception>
#include <future>

#include "common/error/error.h"
#include "server/api/download.h"
#include "server/api/encode.h"
#include "server/api/file_types.h"
#include "server/api/handlers.h"
#include "server/api/tus_headers.h"
#include "server/auth/base64.h"
#include "server/storage/chunk_intake.h"

namespace chunkvault::server {

using catalog::Upload;
using wire::Json;

namespace {

constexpr std::size_t maxUnderWay = 3;  // chunks of one request that are being put
constexpr std::chrono::seconds signOfLife{3};

[[noreturn]] void refuseUnknown() { throw Error(ErrorCode::notFound, "There is no upload at this address."); }

// What a guest may know of it.
Error asGuestsSeeIt(const Error& error) {
    if (error.code() == ErrorCode::quotaExceeded)
        return Error(ErrorCode::quotaExceeded, "There is no room for this file. Tell the owner of the link.",
                     error.what());
    return error;
}

std::string addressToken(const Services& services, const Upload& upload) {
    return upload.request ? requestUploadToken(services.keys, upload.id, *upload.request)
                          : uploadToken(services.keys, upload.id, upload.ownerPasswordChangedAt);
}

// A path: who runs the server behind another name or port has clients that know it.
std::string addressOf(const Services& services, const Upload& upload) {
    const std::string& url = services.settings.publicUrl;
    const auto host = url.find("://");
    const auto path = url.find('/', host == std::string::npos ? 0 : host + 3);
    return (path == std::string::npos ? "" : url.substr(path)) + "/tus/" + wireId(upload.id) + '.' +
           addressToken(services, upload);
}

// The upload that the address names, which is its key at the same time.
Upload uploadOf(Services& services, const Call& call) {
    const std::string_view address = call.request.param("upload");
    const auto dot = std::min(address.find('.'), address.size());
    Upload upload = services.catalog.uploads.get(static_cast<catalog::UploadId>(parseId(address.substr(0, dot))));
    const bool known = upload.received && upload.ownerState == catalog::UserState::active && dot < address.size() &&
                       equalInConstantTime(address.substr(dot + 1), addressToken(services, upload));
    if (!known) refuseUnknown();
    return upload;
}

// The same, while bytes may come: not ended, and the guest's link is still good.
Upload openUploadOf(Services& services, const Call& call) {
    Upload upload = uploadOf(services, call);
    const bool over = upload.state == catalog::UploadState::ended || upload.expiresAt <= services.clock();
    if (upload.state != catalog::UploadState::committed && over)
        throw Error(ErrorCode::uploadExpired, "This upload has ended. Begin it again.");
    if (upload.request && upload.state == catalog::UploadState::open)
        catalog::Shares::checkTime(services.catalog.shares.resolve(*upload.request, catalog::ShareKind::upload).share,
                                   services.clock());
    return upload;
}

// Bytes of one request on their way to the stores, in order: while some chunks are put, the next one is read.
class Reception {
  public:
    // Throws as Uploads::beginWriting.
    Reception(Services& services, http::BodyReader& body, const Upload& upload, std::int64_t offset)
        : services_(services),
          uploads_(services.catalog.uploads),
          body_(body),
          upload_(upload),
          file_(parseTusFile(upload.metadata)),
          account_(bufferAccount(upload.owner)),
          writing_(uploads_.beginWriting(upload.id, offset)),
          position_(offset) {
        body.hurryWhile([this] { return reading_ && services_.buffers.wanted(account_); });
    }
    ~Reception() {
        underWay_.clear();  // waits
        previous_ = {};
        try {
            uploads_.endWriting(writing_);
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the right to write ends by itself
        }
    }
    Reception(const Reception&) = delete;
    Reception& operator=(const Reception&) = delete;

    // Until the body ends. When it breaks off, what has arrived is kept.
    void receive() {
        bool more = false;
        try {
            while (position_ < upload_.size && body_.awaitData()) nextChunk();
            more = body_.awaitData();
        } catch (const Error&) {
            settle();
            throw;
        }
        if (more)
            throw Error(ErrorCode::payloadTooLarge, "The upload was announced with " + std::to_string(upload_.size) +
                                                        " bytes, and more are coming.");
        settle();
        if (position_ == upload_.size) finish();
    }

    [[nodiscard]] std::int64_t offset() const { return committed_ ? upload_.size : writing_.offset; }

  private:
    void nextChunk() {
        const std::int64_t index = position_ / upload_.chunkSize, begin = index * upload_.chunkSize;
        const auto had = static_cast<std::size_t>(position_ - begin);
        const auto whole = static_cast<std::size_t>(std::min(upload_.chunkSize, upload_.size - begin));
        const std::size_t coming = std::min<std::uint64_t>(body_.length().value_or(whole), whole - had);
        ChunkBuffer buffer = had > 0 ? bufferWithTail(had, had + coming) : nextBuffer(coming);
        std::size_t filled = had;
        std::exception_ptr broken;
        try {
            fill(buffer, filled, had + coming);
        } catch (const Error&) {
            broken = std::current_exception();
        }
        if (filled > had) put(index, Chunk::hash(std::move(buffer), filled));
        if (broken) std::rethrow_exception(broken);
    }

    // Whoever holds a buffer must not wait for another, so what is under way ends first when memory is short.
    ChunkBuffer nextBuffer(std::size_t size) {
        if (underWay_.size() == maxUnderWay) awaitFirst();
        if (auto buffer = services_.buffers.tryAcquireFor(account_, size)) return std::move(*buffer);
        settle();
        return services_.buffers.acquireFor(account_, size);
    }

    void awaitFirst() {
        const auto first = std::move(underWay_.front());
        underWay_.pop_front();
        first.get();
    }

    void settle() {
        while (!underWay_.empty()) awaitFirst();
    }

    // The bytes after the last whole chunk, of a request before this one.
    ChunkBuffer bufferWithTail(std::size_t tailSize, std::size_t size) {
        if (!writing_.tail || writing_.tail->length != static_cast<std::int64_t>(tailSize))
            throw Error(ErrorCode::internal, "An internal error occurred.", "the tail of a tus upload is not there");
        const std::size_t sizes[] = {size, tailSize};
        auto buffers = services_.buffers.acquireAllFor(account_, sizes);
        const Chunk tail = services_.intake.get(services_.catalog.chunks, writing_.tail->row, writing_.tail->id,
                                                tailSize, services_.buffers, std::move(buffers[1]));
        std::memcpy(buffers[0].data(), tail.bytes().data(), tailSize);
        return std::move(buffers[0]);
    }

    void fill(ChunkBuffer& buffer, std::size_t& filled, std::size_t size) {
        reading_ = true;
        while (filled < size) {
            const std::size_t count = body_.read({buffer.data() + filled, size - filled});
            if (count == 0) break;
            filled += count;
            const auto now = std::chrono::steady_clock::now();
            if (now - lastSign_ < signOfLife) continue;
            uploads_.keepWriting(writing_);
            lastSign_ = now;
        }
        reading_ = false;
    }

    // Puts it, and lets it count as soon as all before it do; the last bytes of the file are left to finish().
    void put(std::int64_t index, Chunk chunk) {
        reading_ = false;
        const auto size = static_cast<std::int64_t>(chunk.size());
        position_ = index * upload_.chunkSize + size;
        if (size == upload_.size) whole_ = {chunk.id(), true};
        const catalog::PinnedChunk pinned = uploads_.pinNext(writing_, index, chunk.id(), size);
        auto work = [this, pinned, end = position_, chunk = std::optional(std::move(chunk)),
                     before = previous_]() mutable {
            auto stored = services_.intake.putAll({&pinned, 1}, {&*chunk, 1});
            chunk.reset();  // its memory may be wanted while the client is slow
            if (before.valid()) before.get();
            before = {};
            if (end == upload_.size) last_ = std::move(stored);
            else uploads_.received(writing_, stored, end);
        };
        previous_ = std::async(std::launch::async, std::move(work)).share();
        underWay_.push_back(previous_);
    }

    void finish() {
        if (upload_.size == 0) whole_ = {Sha256Digest::of(std::string_view()), true};
        if (!whole_.verified) whole_.sha256 = file_.sha256;
        const auto committed = uploads_.finish(writing_, last_, file_.folders, whole_);
        committed_ = true;
        if (!whole_.verified && committed.entry.content && !committed.entry.sha256Verified)
            services_.queue.post({worker::JobKind::verifyContent, catalog::valueOf(*committed.entry.content)});
    }

    Services& services_;
    catalog::Uploads& uploads_;
    http::BodyReader& body_;
    const Upload& upload_;
    const TusFile file_;
    const BufferAccount account_;
    bool reading_ = false, committed_ = false;
    std::chrono::steady_clock::time_point lastSign_ = std::chrono::steady_clock::now();
    catalog::Writing writing_;
    std::int64_t position_;  // of the next byte to read
    catalog::WholeHash whole_;
    std::vector<catalog::StoredChunk> last_;
    // Last: they end before what they use. One that fails fails those behind it, as what follows a gap is worth
    // nothing.
    std::shared_future<void> previous_;
    std::deque<std::shared_future<void>> underWay_;
};

// Gives the offset that is durable.
std::int64_t receive(Services& services, Call& call, const Upload& upload, std::int64_t offset) {
    const auto length = call.request.body->length();
    if (length && *length > static_cast<std::uint64_t>(upload.size - offset))
        throw Error(ErrorCode::payloadTooLarge,
                    "The upload was announced with " + std::to_string(upload.size) + " bytes, and more are coming.");
    try {
        Reception reception(services, *call.request.body, upload, offset);
        reception.receive();
        return reception.offset();
    } catch (const Error& error) {
        throw upload.request ? asGuestsSeeIt(error) : error;
    }
}

bool bringsBytes(const Call& call) {
    return call.request.header("Content-Type").value_or("") == "application/offset+octet-stream";
}

void setOffset(const Services& services, Call& call, const Upload& upload, std::int64_t offset) {
    call.response.setHeader("Upload-Offset", std::to_string(offset));
    if (offset < upload.size) {
        const Upload now = services.catalog.uploads.get(upload.id);
        call.response.setHeader("Upload-Expires", httpDate(now.expiresAt));
    }
}

}  // namespace

void requireTus(Call& call) {
    call.response.setHeader("Tus-Resumable", tusVersion);
    if (call.request.header("Tus-Resumable").value_or("") == tusVersion) return;
    call.response.setHeader("Tus-Version", tusVersion);
    throw Error(ErrorCode::preconditionFailed,
                "This is an address for tus 1.0.0. Send Tus-Resumable: 1.0.0 with every request.");
}

void tusOptions(Services&, Call& call) {
    call.response.setHeader("Tus-Resumable", tusVersion);
    call.response.setHeader("Tus-Version", tusVersion);
    call.response.setHeader("Tus-Extension", tusExtensions);
    call.sendNothing();
}

void createTusUpload(Services& services, Call& call, const TusTarget& target) {
    const bool deferred = call.request.header("Upload-Defer-Length").has_value();
    const auto size = parseTusNumber(call.request.header("Upload-Length").value_or(""));
    if (!size)
        throw Error(ErrorCode::badRequest, deferred ? "A length to be told later is not possible here. Send "
                                                      "Upload-Length with the bytes of the file."
                                                    : "Send Upload-Length with the bytes of the file.");
    const std::string metadata(call.request.header("Upload-Metadata").value_or(""));
    TusFile file = parseTusFile(metadata);
    if (!isOfTypes(file.name.text(), target.types))
        throw Error(ErrorCode::unsupportedMediaType,
                    "Files of this type are not asked for: only " + target.types + '.');
    catalog::NewUpload wanted{.key = "tus:" + toBase64Url(randomBytes(16)),
                              .folder = target.folder,
                              .name = file.name,
                              .size = *size,
                              .modifiedAt = file.modifiedAt,
                              .onConflict = target.request ? catalog::OnConflict::keepBoth : file.onConflict,
                              .inOrder = true,
                              .metadata = metadata,
                              .request = target.request};
    if (file.folderId && !target.request) wanted.folder = static_cast<catalog::FileId>(parseId(*file.folderId));
    const Upload upload = [&] {
        try {
            return services.catalog.uploads.create(target.owner, wanted);
        } catch (const Error& error) {
            throw target.request ? asGuestsSeeIt(error) : error;
        }
    }();

    std::int64_t offset = 0;
    if (bringsBytes(call) || upload.size == 0) {
        try {
            offset = receive(services, call, upload, 0);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::payloadTooLarge) {
                services.catalog.uploads.end(upload.id);
                throw;
            }
            // The upload is there, and its client goes on where it stands, or learns then why it cannot.
            offset = services.catalog.uploads.get(upload.id).received.value_or(0);
            if (upload.size == 0) throw;
        }
    }
    call.response.setHeader("Location", addressOf(services, upload));
    setOffset(services, call, upload, offset);
    call.response.sendEmpty(201);
}

void tusCreate(Services& services, Call& call) {
    requireTus(call);
    createTusUpload(services, call, {call.owner(), call.user().root});
}

void tusHead(Services& services, Call& call) {
    requireTus(call);
    const Upload upload = openUploadOf(services, call);
    call.response.setHeader("Cache-Control", "no-store");
    call.response.setHeader("Upload-Length", std::to_string(upload.size));
    if (!upload.metadata.empty()) call.response.setHeader("Upload-Metadata", upload.metadata);
    setOffset(services, call, upload, *upload.received);
    call.response.sendEmpty(200);
}

void tusPatch(Services& services, Call& call) {
    requireTus(call);
    if (!bringsBytes(call))
        throw Error(ErrorCode::unsupportedMediaType, "Send Content-Type: application/offset+octet-stream.");
    const Upload upload = openUploadOf(services, call);
    const auto offset = parseTusNumber(call.request.header("Upload-Offset").value_or(""));
    if (!offset)
        throw Error(ErrorCode::badRequest, "Send Upload-Offset with the number of bytes that are there already.");
    if (*offset > upload.size)
        throw Error(ErrorCode::conflict, "The upload has " + std::to_string(*upload.received) +
                                             " bytes; go on from there. HEAD says so as Upload-Offset.");
    const bool nothingLeft =
        upload.state == catalog::UploadState::committed && *offset == upload.size && call.request.body->length() == 0;
    const std::int64_t reached = nothingLeft ? upload.size : receive(services, call, upload, *offset);
    setOffset(services, call, upload, reached);
    call.sendNothing();
}

void tusEnd(Services& services, Call& call) {
    requireTus(call);
    const Upload upload = openUploadOf(services, call);
    if (upload.state == catalog::UploadState::committed)
        throw Error(ErrorCode::conflict, "The upload is complete: it is a file now, and stays one.");
    services.catalog.uploads.end(upload.id);
    call.sendNothing();
}

// For who is behind a proxy that knows GET and POST only.
void tusOverride(Services& services, Call& call) {
    const std::string_view method = call.request.header("X-HTTP-Method-Override").value_or("");
    if (method == "PATCH") return tusPatch(services, call);
    if (method == "DELETE") return tusEnd(services, call);
    if (method == "HEAD") return tusHead(services, call);
    throw Error(ErrorCode::methodNotAllowed,
                "POST is possible here only with X-HTTP-Method-Override: PATCH, DELETE or HEAD.");
}

void tusReceipt(Services& services, Call& call) {
    const Upload upload = uploadOf(services, call);
    Json receipt = {{"status", upload.state == catalog::UploadState::committed ? "completed"
                               : upload.state == catalog::UploadState::open    ? "uploading"
                                                                               : "ended"},
                    {"filename", upload.name},
                    {"size", upload.size},
                    {"offset", *upload.received},
                    {"chunk_size", upload.chunkSize},
                    {"root", nullptr},
                    {"sha256", nullptr},
                    {"sha256_verified", false}};
    if (upload.state == catalog::UploadState::committed) {
        try {
            const auto version = services.catalog.tree.version(upload.owner, upload.file, upload.version);
            receipt["root"] = version.root.toHex();
            if (version.sha256) receipt["sha256"] = version.sha256->toHex();
            receipt["sha256_verified"] = version.sha256Verified;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::notFound) throw;  // its owner has taken it away since
        }
    }
    call.response.setHeader("Cache-Control", "no-store");
    call.response.setHeader("Referrer-Policy", "no-referrer");
    call.sendJson(200, receipt);
}

}  // namespace chunkvault::server
