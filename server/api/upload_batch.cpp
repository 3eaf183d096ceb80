#include <algorithm>

#include "common/error/error.h"
#include "server/api/batch_header.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/api/intake_guard.h"
#include "server/storage/chunk_intake.h"

namespace chunkvault::server {

namespace {

// Chunks that are put together. More would hold more memory; fewer would share less of the folder syncs.
constexpr std::size_t waveBytes = 8 << 20;
// Of a header whose memory is not waited for.
constexpr std::size_t smallHeaderBytes = 16 << 10;
constexpr std::size_t fileBytes = 1 << 10;  // of one in the header, its place in the tree and its outcome

// The header line, and what was read beyond it.
class BatchBody {
  public:
    explicit BatchBody(Call& call) : call_(call), body_(*call.request.body) {}

    // Takes room for it.
    std::string headerLine() {
        std::string line;
        for (;;) {
            const std::size_t before = line.size();
            if (before >= smallHeaderBytes && !call_.room) call_.takeRoom(documentBytes(maxBatchHeaderBytes));
            const std::size_t step = before < smallHeaderBytes ? smallHeaderBytes - before : 64 << 10;
            if (body_.awaitData()) {
                line.resize(before + step);
                line.resize(before + body_.read({line.data() + before, step}));
            }
            if (line.size() == before)
                throw Error(ErrorCode::badRequest,
                            "The batch ends within its header. End the JSON header with a line feed.");
            if (const auto end = line.find('\n', before); end != std::string::npos) {
                beyond_ = line.substr(end + 1);
                line.resize(end);
                if (call_.room) call_.room->shrinkTo(documentBytes(line.size()));
                else call_.takeRoom(documentBytes(line.size()));
                return line;
            }
            if (line.size() > maxBatchHeaderBytes)
                throw Error(ErrorCode::payloadTooLarge,
                            "The batch's JSON header is longer than 2 MiB. Send fewer files at once.");
        }
    }

    // Waits until some of the bytes are there, or the end.
    void awaitData() {
        if (at_ < beyond_.size()) return;
        at_ = 0;
        beyond_.resize(64 << 10);
        beyond_.resize(body_.read(beyond_));
    }

    void read(std::span<char> bytes) {
        const std::size_t kept = std::min(bytes.size(), beyond_.size() - at_);
        std::copy_n(beyond_.data() + at_, kept, bytes.data());
        at_ += kept;
        if (body_.readFull(bytes.subspan(kept)) != bytes.size() - kept)
            throw Error(ErrorCode::badRequest,
                        "The batch has fewer bytes than its header says. Nothing of it was kept; send it again.");
    }

    void expectEnd() {
        char more = 0;
        if (at_ < beyond_.size() || body_.read({&more, 1}) != 0)
            throw Error(ErrorCode::badRequest,
                        "The batch has more bytes than its header says. Nothing of it was kept; send it again.");
    }

  private:
    Call& call_;
    http::BodyReader& body_;
    std::string beyond_;
    std::size_t at_ = 0;
};

class Batch {
  public:
    // Nothing is reserved: a file that is refused, or has been sent before, must not take the room of the next one.
    Batch(Services& services, catalog::UserId owner)
        : services_(services), account_(bufferAccount(owner)), guard_(services.catalog.uploads, owner) {}

    // Reads a file's bytes into chunks; whether they have its hash.
    bool readFile(BatchBody& body, const BatchFile& file, catalog::NewFile& made) {
        const std::int64_t chunkSize = services_.settings.chunkSize;
        Sha256Stream whole;
        made.size = file.size;
        made.firstChunk = nextIndex_;
        for (std::int64_t done = 0; done < file.size;) {
            const auto size = static_cast<std::size_t>(std::min(chunkSize, file.size - done));
            body.awaitData();
            ChunkBuffer buffer = nextBuffer(size);
            body.read({buffer.data(), size});
            const Chunk chunk = Chunk::hash(std::move(buffer), size);
            if (file.size <= chunkSize) made.sha256 = chunk.id();
            else whole.update(chunk.bytes());
            add(chunk);
            done += static_cast<std::int64_t>(size);
        }
        made.chunkCount = nextIndex_ - made.firstChunk;
        if (made.chunkCount != 1) made.sha256 = whole.finish();
        return made.sha256 == file.hash;
    }

    void skipFile(BatchBody& body, std::int64_t size) {
        std::string bytes(64 << 10, '\0');
        for (; size > 0; size -= static_cast<std::int64_t>(bytes.size())) {
            if (size < static_cast<std::int64_t>(bytes.size())) bytes.resize(static_cast<std::size_t>(size));
            body.read(bytes);
        }
    }

    // Whether others wait for the memory of the files that have been read, while the client's next bytes are waited
    // for.
    [[nodiscard]] bool holdsWhatIsWanted() const { return services_.buffers.wanted(account_); }

    std::vector<catalog::FileOutcome> commit(std::span<const catalog::NewFile> files) {
        flush();
        return guard_.commit(unrecorded_, files);
    }

  private:
    ChunkBuffer nextBuffer(std::size_t size) {
        if (bytes_ + size > waveBytes) flush();
        if (auto buffer = services_.buffers.tryAcquireFor(account_, size)) return std::move(*buffer);
        flush();
        return services_.buffers.acquireFor(account_, size);
    }

    void add(const Chunk& chunk) {
        declared_.push_back({nextIndex_++, static_cast<std::int64_t>(chunk.size()), chunk.id()});
        chunks_.push_back(chunk);
        bytes_ += chunk.size();
    }

    void flush() {
        if (chunks_.empty()) return;
        guard_.recordStored(unrecorded_);
        unrecorded_ = services_.intake.putAll(guard_.pin(declared_, catalog::Reserve::nothing), chunks_);
        declared_.clear();
        chunks_.clear();
        bytes_ = 0;
    }

    Services& services_;
    const BufferAccount account_;
    IntakeGuard guard_;
    std::int64_t nextIndex_ = 0;
    std::vector<catalog::DeclaredChunk> declared_;  // of the wave that is being read
    std::vector<Chunk> chunks_;
    std::size_t bytes_ = 0;
    std::vector<catalog::StoredChunk> unrecorded_;  // of the last wave; the commit takes them along
};

}  // namespace

void uploadBatch(Services& services, Call& call) {
    BatchBody body(call);
    Batch batch(services, call.owner());
    call.request.body->hurryWhile([&] { return batch.holdsWhatIsWanted() || (call.room && call.roomWanted()); });
    const BatchHeader header = parseBatchHeader(body.headerLine());
    call.room->shrinkTo(header.files.size() * fileBytes + 2 * header.names * sizeof(FileName));
    const catalog::FileId folder = folderOrRoot(call, header.folderId);
    std::vector<std::optional<Error>> refused;
    std::vector<catalog::NewFile> files;
    for (const BatchFile& file : header.files) {
        if (file.refused) {
            batch.skipFile(body, file.size);
            refused.push_back(file.refused);
            continue;
        }
        catalog::NewFile made{.folder = folder,
                              .folders = {file.path.begin(), file.path.end() - 1},
                              .name = file.path.back(),
                              .size = file.size,
                              .firstChunk = 0,
                              .chunkCount = 0,
                              .sha256 = {},
                              .modifiedAt = file.modifiedAt.value_or(services.clock()),
                              .onConflict = file.onConflict};
        if (batch.readFile(body, file, made)) {
            files.push_back(std::move(made));
            refused.emplace_back(std::nullopt);
        } else {
            refused.emplace_back(Error(ErrorCode::checksumMismatch,
                                       "The bytes that arrived do not have the announced hash. Send the file again."));
        }
    }
    body.expectEnd();

    const auto outcomes = batch.commit(files);
    wire::Json items = wire::Json::array();
    std::size_t next = 0;
    for (const std::optional<Error>& error : refused) {
        const std::optional<Error>& failure = error ? error : outcomes[next].error;
        wire::Json item = failure ? wire::Json{{"ok", false}, {"error", errorJson(*failure)}}
                                  : wire::Json{{"ok", true}, {"file", committedJson(*outcomes[next].file)}};
        if (!error) ++next;
        items.push_back(std::move(item));
    }
    call.sendJson(200, {{"items", std::move(items)}});
}

}  // namespace chunkvault::server
