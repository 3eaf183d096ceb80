#include <charconv>

#include "common/error/error.h"
#include "server/api/call.h"
#include "server/api/content_digest.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"
#include "server/storage/chunk_intake.h"

namespace chunkvault::server {

using wire::Json;
using wire::ObjectReader;

namespace {

std::int64_t indexParam(const Call& call) {
    const std::string_view text = call.request.param("index");
    std::int64_t index = -1;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (failure != std::errc() || end != text.data() + text.size() || index < 0)
        throw Error(ErrorCode::invalidValue, "The chunk's index in the address must be a whole number from 0 on.");
    return index;
}

}  // namespace

void createUpload(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const std::string key = body.string("key", 200);
    const auto folder = folderOrRoot(call, body.maybeString("folder_id", 32));
    const FileName name = FileName::parse(body.string("name"));
    const std::int64_t size = body.integer("size", 0, INT64_MAX);
    const auto modifiedAt = body.maybeTime("modified_at");
    const auto conflict = onConflict(body, catalog::OnConflict::version, true);
    body.finish();
    if (key.empty())
        throw Error(ErrorCode::invalidValue, "\"key\" must not be empty: it is how the upload is found again.");

    bool created = false;
    const auto upload =
        services.catalog.uploads.create(call.owner(), {key, folder, name, size, modifiedAt, conflict}, &created);
    call.response.setHeader("Cache-Control", "no-store");
    call.sendJson(created ? 201 : 200,
                  {{"upload_id", wireId(upload.id)},
                   {"upload_token", uploadToken(services.keys, upload.id, upload.ownerPasswordChangedAt)},
                   {"chunk_size", upload.chunkSize},
                   {"file_id", wireId(upload.file)},
                   {"status", upload.state == catalog::UploadState::committed ? "committed" : "open"},
                   {"expires_at", toRfc3339(upload.expiresAt)}});
}

void listUploads(Services& services, Call& call) {
    constexpr int most = 1000;
    call.takeRoomForItems(most);
    Json items = Json::array();
    for (const catalog::Upload& upload : services.catalog.uploads.list(call.owner(), most))
        items.push_back(toJson(upload));
    call.sendJson(200, {{"items", std::move(items)}, {"next_cursor", nullptr}});
}

void getUpload(Services& services, Call& call) {
    call.sendJson(200, toJson(services.catalog.uploads.get(call.upload->id, true)));
}

void declareChunks(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    std::vector<catalog::DeclaredChunk> chunks;
    for (const Json& element : body.array("chunks", 1, 1000)) {
        ObjectReader chunk(element, "chunks[" + std::to_string(chunks.size()) + ']');
        const std::int64_t index = chunk.integer("index", 0, INT64_MAX);
        const std::int64_t length = chunk.integer("length", 1, call.upload->chunkSize);
        chunks.push_back({index, length, chunk.digest("hash")});
        chunk.finish();
    }
    body.finish();
    call.sendJson(200, {{"missing", services.catalog.uploads.have(call.upload->id, chunks)}});
}

void putChunk(Services& services, Call& call) {
    const std::int64_t index = indexParam(call);
    const ChunkId announced = contentDigest(call.request);
    const auto length = call.request.body->length();
    if (!length) throw Error(ErrorCode::lengthRequired, "Send the chunk with a Content-Length.");
    if (*length == 0) throw Error(ErrorCode::invalidValue, "A chunk has at least one byte. An empty file has none.");
    if (*length > static_cast<std::uint64_t>(call.upload->chunkSize))
        throw Error(ErrorCode::payloadTooLarge,
                    "A chunk of this upload has at most " + std::to_string(call.upload->chunkSize) + " bytes.");
    const auto size = static_cast<std::size_t>(*length);
    http::BodyReader& body = *call.request.body;
    const BufferAccount account = bufferAccount(call.upload->owner);
    (void)body.awaitData();
    ChunkBuffer buffer = services.buffers.acquireFor(account, size);
    body.hurryWhile([&] { return services.buffers.wanted(account); });
    (void)body.readFull({buffer.data(), size});
    const auto chunk = Chunk::verify(announced, std::move(buffer), size);
    if (!chunk)
        throw Error(ErrorCode::checksumMismatch,
                    "The bytes that arrived do not have the announced SHA-256. Send the chunk again.");
    services.intake.store(call.upload->id, index, *chunk);
    call.sendNothing();
}

void commitUpload(Services& services, Call& call) {
    const Json document = call.json();
    ObjectReader body(document);
    const Sha256Digest root = body.digest("root");
    const auto claimed = body.maybeDigest("sha256");
    std::optional<catalog::OnConflict> conflict;
    if (body.has("on_conflict")) conflict = onConflict(body, catalog::OnConflict::version, true);
    body.finish();
    const auto committed = services.catalog.uploads.commit(call.upload->id, root, claimed, conflict);
    call.sendJson(200, committedJson(committed));
}

void endUpload(Services& services, Call& call) {
    services.catalog.uploads.end(call.upload->id);
    call.sendNothing();
}

}  // namespace chunkvault::server
