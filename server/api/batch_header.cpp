#include "server/api/batch_header.h"

#include "common/wire/json.h"
#include "server/api/call.h"

namespace chunkvault::server {

BatchHeader parseBatchHeader(std::string_view text) {
    const wire::Json document = wire::parseJson(text);
    wire::ObjectReader body(document);
    BatchHeader header;
    header.folderId = body.maybeString("folder_id", 32);
    std::int64_t total = 0;
    for (const wire::Json& element : body.array("files", 1, maxBatchFiles)) {
        wire::ObjectReader reader(element, "files[" + std::to_string(header.files.size()) + ']');
        BatchFile file;
        const std::string path = reader.string("path", 16 << 10);
        file.size = reader.integer("size", 0, maxBatchBytes);
        file.hash = reader.digest("hash");
        file.modifiedAt = reader.maybeTime("modified_at");
        file.onConflict = onConflict(reader, catalog::OnConflict::version, true);
        reader.finish();
        try {
            file.path = FileName::parsePath(path);
            header.names += file.path.size();
        } catch (const Error& error) {
            file.refused = error;
        }
        if (header.names > maxBatchNames)
            throw Error(ErrorCode::payloadTooLarge, "The paths of a batch may have " + std::to_string(maxBatchNames) +
                                                        " names together. Send fewer files at once.");
        total += file.size;
        header.files.push_back(std::move(file));
    }
    body.finish();
    if (total > maxBatchBytes)
        throw Error(ErrorCode::payloadTooLarge, "The files of a batch may have 32 MiB together. Send fewer at once.");
    return header;
}

}  // namespace chunkvault::server
