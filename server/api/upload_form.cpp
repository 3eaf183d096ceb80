#include <algorithm>
#include <future>
#include <set>

#include "common/error/error.h"
#include "common/http/multipart.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/intake_guard.h"
#include "server/storage/chunk_intake.h"

namespace chunkvault::server {

namespace {

// The bytes of the one file on their way to the stores: while a chunk is put, the next one is read.
class FormFile {
  public:
    FormFile(Services& services, catalog::UserId owner)
        : services_(services), account_(bufferAccount(owner)), guard_(services.catalog.uploads, owner) {}

    void readFrom(http::MultipartReader& parts, std::optional<std::uint64_t> bodyLength) {
        // A file is shorter than the body that it comes in, so a small one does not take the memory of a whole chunk.
        const auto chunkSize = static_cast<std::size_t>(services_.settings.chunkSize);
        const std::size_t wanted = std::clamp<std::uint64_t>(bodyLength.value_or(chunkSize), 1, chunkSize);
        for (bool ended = false; !ended && parts.awaitData();) {
            ChunkBuffer buffer = nextBuffer(wanted);
            reading_ = true;
            const std::size_t size = parts.readFull({buffer.data(), wanted});
            reading_ = false;
            ended = size < wanted;
            add(Chunk::hash(std::move(buffer), size), ended);
        }
    }

    // Whether others wait for the memory that waits for the client's bytes.
    [[nodiscard]] bool holdsWhatIsWanted() const { return reading_ && services_.buffers.wanted(account_); }

    // file says where to and how; what the bytes say is filled in here.
    catalog::CommittedFile commit(catalog::NewFile file) {
        file.size = size_;
        file.firstChunk = 0;
        file.chunkCount = count_;
        file.sha256 = count_ == 1 ? firstId_ : whole_.finish();
        std::vector<catalog::StoredChunk> last;
        if (underWay_.valid()) last = underWay_.get();
        catalog::FileOutcome outcome = std::move(guard_.commit(last, {&file, 1}).front());
        if (outcome.error) throw Error(*outcome.error);
        return std::move(*outcome.file);
    }

  private:
    // Whoever holds a buffer must not wait for another, so what is under way ends first when memory is short.
    ChunkBuffer nextBuffer(std::size_t size) {
        if (auto buffer = services_.buffers.tryAcquireFor(account_, size)) return std::move(*buffer);
        recordUnderWay();
        hashFirst();
        return services_.buffers.acquireFor(account_, size);
    }

    void add(const Chunk& chunk, bool last) {
        // The hash of a file of one chunk is that chunk's; only a second one makes hashing the whole necessary.
        if (count_ == 0) {
            first_ = chunk;
            firstId_ = chunk.id();
        } else {
            hashFirst();
            whole_.update(chunk.bytes());
        }
        recordUnderWay();
        // What a file of one chunk needs is known at its commit, which follows at once.
        const auto reserve = count_ == 0 && last ? catalog::Reserve::nothing : catalog::Reserve::bytes;
        const catalog::DeclaredChunk declared{count_, static_cast<std::int64_t>(chunk.size()), chunk.id()};
        // Beside the last one there is nothing left to read.
        underWay_ = std::async(last ? std::launch::deferred : std::launch::async,
                               [this, chunk, pinned = guard_.pin({&declared, 1}, reserve)] {
                                   return services_.intake.putAll(pinned, {&chunk, 1});
                               });
        ++count_;
        size_ += declared.length;
    }

    void hashFirst() {
        if (!first_) return;
        whole_.update(first_->bytes());
        first_.reset();
    }

    void recordUnderWay() {
        if (underWay_.valid()) guard_.recordStored(underWay_.get());
    }

    Services& services_;
    const BufferAccount account_;
    bool reading_ = false;
    IntakeGuard guard_;
    Sha256Stream whole_;
    std::optional<Chunk> first_;  // not in whole_ yet
    ChunkId firstId_;
    std::int64_t count_ = 0, size_ = 0;
    std::future<std::vector<catalog::StoredChunk>> underWay_;  // last: ends before what it uses
};

// Reads a small field of the form.
std::string fieldText(http::MultipartReader& parts, const std::string& name) {
    std::string text(4096 + 1, '\0');
    text.resize(parts.readFull(text));
    if (text.size() > 4096)
        throw Error(ErrorCode::invalidValue, "The form's field \"" + name + "\" is longer than 4096 bytes.");
    return text;
}

}  // namespace

void uploadForm(Services& services, Call& call) {
    http::MultipartReader parts(*call.request.body, call.request.header("Content-Type").value_or(""));
    FormFile content(services, call.owner());
    call.request.body->hurryWhile([&] { return content.holdsWhatIsWanted(); });
    std::set<std::string> seen;
    std::optional<FileName> name;
    catalog::FileId folder = call.user().root;
    Timestamp modifiedAt = services.clock();
    catalog::OnConflict policy = catalog::OnConflict::version;
    while (parts.next()) {
        const std::string field = parts.name();
        if (field != "file" && !seen.insert(field).second)
            throw Error(ErrorCode::invalidValue, "The form has \"" + field + "\" twice. Send it once.");
        if (field == "file") {
            if (name)
                throw Error(ErrorCode::invalidValue,
                            "The form has more than one \"file\". Send one a request, or use POST /files/batch.");
            if (!parts.filename())
                throw Error(ErrorCode::invalidValue,
                            "The part \"file\" has no file name. Send it as a file (curl -F file=@NAME).");
            name = FileName::parse(*parts.filename());
            content.readFrom(parts, call.request.body->length());
        } else if (field == "folder_id") {
            folder = static_cast<catalog::FileId>(parseId(fieldText(parts, field)));
        } else if (field == "modified_at") {
            const auto time = parseRfc3339(fieldText(parts, field));
            if (!time)
                throw Error(ErrorCode::invalidValue,
                            "\"modified_at\" must be a time such as 2026-01-31T12:00:00Z (RFC 3339).");
            modifiedAt = *time;
        } else if (field == "on_conflict") {
            policy = parseOnConflict(fieldText(parts, field));
        } else {
            throw Error(ErrorCode::invalidValue,
                        "The form's fields are file, folder_id, modified_at and on_conflict; it has another one. Leave "
                        "it out.");
        }
    }
    if (!name) throw Error(ErrorCode::invalidValue, "The form has no \"file\". Send the bytes as the part \"file\".");
    call.sendJson(201, committedJson(content.commit({.folder = folder,
                                                     .folders = {},
                                                     .name = *name,
                                                     .size = 0,
                                                     .firstChunk = 0,
                                                     .chunkCount = 0,
                                                     .sha256 = {},
                                                     .modifiedAt = modifiedAt,
                                                     .onConflict = policy})));
}

}  // namespace chunkvault::server
