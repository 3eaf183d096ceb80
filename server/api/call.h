// What every handler gets: the parts of the server, and the request with who is asking. Handlers parse, call once,
// encode.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/chunk/chunk_buffers.h"
#include "common/http/cluster_door.h"
#include "common/http/message.h"
#include "common/wire/json.h"
#include "database/catalog/catalog.h"
#include "server/auth/password.h"
#include "server/auth/tokens.h"
#include "worker/queue/job_queue.h"

namespace chunkvault::server {

class Cache;
class ChangeWaiters;
class ChunkIntake;
class CopyPace;
class FileContent;
class ZipMemory;

// What the handlers need of the configuration.
struct ApiSettings {
    std::string publicUrl;  // without a slash at the end
    bool registrationOpen = true;
    std::int64_t chunkSize = 4 << 20;
    std::int64_t defaultQuota = 0;
    int writeQuorum = 2;
    int replicationFactor = 3;
    std::chrono::milliseconds nodeBeat{2000};  // how often storage nodes report
    catalog::NodeTimes nodeTimes;
    std::string notice;                 // what the operator should know about the safety of this setup; may be empty
    int loginsPerAddress = 100;         // in five minutes
    int loginsPerAccount = 10;          // in five minutes, failed ones
    int registrationsPerAddress = 20;   // in an hour
    int sharePasswordsPerAddress = 20;  // in five minutes, per link as well
    int sessionDays = 30;
};

struct StoreHealth {
    std::string state;    // "ok", "full", "faulty", "unusable" or a node's state: for anybody
    std::string problem;  // what is wrong, for administrators: it names folders
};

// What an API server needs to talk with the storage nodes of its cluster. Thread-safe.
struct ClusterParts {
    http::ClusterDoor& door;
    // Asks the node at url, which says that it is nodeId with this store. Throws Error conflict when it cannot be
    // reached there or is another.
    std::function<void(const std::string& nodeId, const std::string& url, const std::string& storeId)> requireReachable;
    std::function<void()> onOutdatedReport;  // counts one that was sent before
};

// Wired in main. All parts outlive the HTTP server and are thread-safe.
struct Services {
    catalog::Catalog& catalog;
    const Keys& keys;
    const AccessTokens& accessTokens;
    Passwords& passwords;
    ChunkBuffers& buffers;
    ChunkBuffers& documents;  // the memory of JSON that comes and of lists that go
    ChunkIntake& intake;
    FileContent& content;
    Cache& cache;
    ChangeWaiters& changeWaiters;
    CopyPace& copyPace;
    ZipMemory& zipMemory;
    worker::JobQueue& queue;
    const ApiSettings& settings;
    const Clock& clock;
    // Runs one sweep of the workers now: what it did, or nullopt when there is none of this name.
    std::function<std::optional<wire::Json>(std::string_view name)> runSweep;
    std::function<std::map<std::string, StoreHealth>()> storeHealth;  // by node id, asked without waiting
    std::function<bool()> chunksAtRisk;        // whether the last look found chunks that repair cannot help
    std::function<std::string()> metricsText;  // Prometheus text format
    std::function<std::string()> redisState;   // "ok", "unreachable" or "not used"
    const ClusterParts* cluster;               // null: this is a server of its own
};

struct Call {
    http::Request& request;
    http::Response& response;
    ChunkBuffers& documents;
    std::uint64_t maxBodyBytes;             // of the route
    std::optional<catalog::Access> access;  // set unless the route is open or an upload's token was used
    std::optional<catalog::Upload> upload;  // set on the routes of one upload
    std::optional<ChunkBuffer> room;        // in documents, until the call ends

    // Who is asking; only where the guard made sure of it.
    [[nodiscard]] const catalog::User& user() const { return access->user; }
    [[nodiscard]] catalog::UserId owner() const { return access->user.id; }

    // Waits for room in documents, without what the call had of it before. Throws Error unavailable when there is none
    // for long.
    void takeRoom(std::size_t bytes);
    // For a list of so many files or the like: rows, JSON and text; the text alone, where that is made already.
    void takeRoomForItems(int count);
    void takeRoomForText(int count);
    // Whether others wait for what this call has of documents.
    [[nodiscard]] bool roomWanted() const { return documents.wanted(roomAccount()); }

    // The body as JSON, which takes room; throws unsupportedMediaType when it is announced as something else.
    [[nodiscard]] wire::Json json();
    void sendJson(int status, const wire::Json& document);
    // A client that takes a long text too slowly while others wait for its room is cut off.
    void sendText(int status, std::string_view contentType, std::string_view text);
    void sendNothing() { response.sendEmpty(204); }

  private:
    [[nodiscard]] BufferAccount roomAccount() const;
};

// What JSON of so many bytes takes until its request is done: text, values, and what is made of them.
[[nodiscard]] constexpr std::size_t documentBytes(std::size_t textBytes) {
    return 3 * textBytes + std::min<std::size_t>(16 * textBytes, 4 << 20);
}

// Ids on the wire. Anything that is no id of ours is Error notFound, as an id of nothing would be.
[[nodiscard]] std::int64_t parseId(std::string_view text);
template <typename IdType>
[[nodiscard]] IdType idParam(const Call& call, std::string_view name) {
    return static_cast<IdType>(parseId(call.request.param(name)));
}
template <typename IdType>
[[nodiscard]] std::string wireId(IdType id) {
    return std::to_string(catalog::valueOf(id));
}
// A key of Services::cache for what depends on the owner's files at this revision and on details, and on nothing else.
// Only the last detail may be any text.
[[nodiscard]] std::string cacheKey(std::string_view topic, catalog::UserId owner, const catalog::Revision& revision,
                                   std::initializer_list<std::string_view> details);
[[nodiscard]] std::string textOf(const catalog::Revision& revision);
// A folder by the request's field or query value; the root when absent.
[[nodiscard]] catalog::FileId folderOrRoot(const Call& call, const std::optional<std::string>& text);

// Whose share of the chunk buffers an upload of this owner takes.
[[nodiscard]] constexpr BufferAccount bufferAccount(catalog::UserId owner) {
    return static_cast<BufferAccount>(catalog::valueOf(owner));
}

// ?limit=, from 1 to max; fallback when absent.
[[nodiscard]] int limitOf(const Call& call, int fallback, int max);
[[nodiscard]] std::vector<catalog::FileId> idList(wire::ObjectReader& body, std::string_view field);
[[nodiscard]] catalog::OnConflict onConflict(wire::ObjectReader& body, catalog::OnConflict absent, bool versionAllowed);
[[nodiscard]] catalog::OnConflict parseOnConflict(std::string_view text, bool versionAllowed = true);

}  // namespace chunkvault::server
