// What the catalog speaks in: ids and rows. Ids are distinct types, so that one cannot be passed for another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/chunk/chunk_id.h"
#include "common/chunk/chunk_store.h"
#include "common/error/error.h"
#include "common/wire/timestamp.h"

namespace chunkvault::catalog {

// Assigned by the database, never used again. On the wire they are opaque strings.
enum class UserId : std::int64_t {};
enum class SessionId : std::int64_t {};
enum class ApiTokenId : std::int64_t {};
enum class FileId : std::int64_t {};  // files and folders
enum class ContentId : std::int64_t {};
enum class ChunkRow : std::int64_t {};
enum class StoreRow : std::int64_t {};
enum class UploadId : std::int64_t {};
enum class ShareId : std::int64_t {};

template <typename IdType>
[[nodiscard]] constexpr std::int64_t valueOf(IdType id) noexcept {
    return static_cast<std::int64_t>(id);
}

enum class Role { user, admin };
enum class UserState { active, disabled, deleting };

// A state of what a user owns. seq is raised by every change; stamp is random with each, so that a database that was
// put back to an earlier state and went on from there comes to other revisions than those that were seen before.
struct Revision {
    std::int64_t seq;
    std::int64_t stamp;

    friend bool operator==(const Revision&, const Revision&) = default;
};

struct User {
    UserId id;
    std::string username;
    std::string email;
    Role role;
    UserState state;
    bool mustChangePassword;
    std::optional<std::int64_t> quota;  // bytes; nullopt: DEFAULT_QUOTA; 0: unlimited
    std::int64_t used;                  // bytes of all versions and trash
    std::int64_t reserved;              // bytes of open uploads
    Revision revision;                  // of what the user owns
    FileId root;                        // the root folder
    Timestamp createdAt;
    Timestamp passwordChangedAt;
    std::optional<Timestamp> lastLoginAt;
};

struct LoginSession {
    SessionId id;
    std::string address;    // of the last use
    std::string userAgent;  // of the login
    Timestamp createdAt;
    Timestamp lastUsedAt;
    Timestamp expiresAt;
};

struct ApiToken {
    ApiTokenId id;
    std::string name;
    bool readOnly;
    Timestamp createdAt;
    std::optional<Timestamp> expiresAt;
    std::optional<Timestamp> lastUsedAt;
};

enum class Kind { file, folder };

enum class EntryState {
    reserved,  // an open upload's file, in no list yet
    live,
    trashed,  // itself put into the trash
    purging,  // deleted for good; a sweep takes its rows away
};

// A file or folder with its current version.
struct Entry {
    FileId id;
    UserId owner;
    Kind kind;
    EntryState state;
    std::optional<FileId> folder;  // nullopt: the root folder itself
    std::string name;
    std::int64_t version = 0;  // 0 for folders and reserved files; the content fields are empty then
    std::int64_t size = 0;     // bytes
    std::optional<ContentId> content;
    Sha256Digest root;
    std::optional<Sha256Digest> sha256;
    bool sha256Verified = false;
    std::int64_t chunkCount = 0;
    Timestamp createdAt = 0;
    Timestamp modifiedAt = 0;  // the client's
    Timestamp updatedAt = 0;   // the server's
    std::optional<Timestamp> trashedAt;
    std::string path;  // filled by search and trash only: "/a/b/name", where it is or was
};

struct Version {
    std::int64_t number;  // 1, 2, ...; the current one is the highest
    ContentId content;
    std::int64_t size;
    Sha256Digest root;
    std::optional<Sha256Digest> sha256;
    bool sha256Verified;
    std::int64_t chunkCount;
    Timestamp modifiedAt;
    Timestamp createdAt;
};

// What changed of what a user has.
enum class ChangeKind {
    everything,  // too much to be told: all lists
    account,     // use of the quota, state
    trash,       // the trash's list
    folder,      // many entries in one folder: its list
    created,     // these to purged: one entry
    uploaded,    // its first version
    version,     // a new current version
    changed,     // times, versions, a hash that was verified
    renamed,
    moved,
    trashed,
    restored,
    purged,
    shareCreated,
    shareChanged,
    shareRevoked,  // or forgotten
    shareDownloaded,
    fileArrived,  // through an upload request
};

struct ChangeItem {
    ChangeKind kind;
    Timestamp at;
    std::optional<FileId> entry;   // of entries and shares
    std::optional<FileId> folder;  // of an entry when it changed; of ChangeKind::folder
    std::optional<ShareId> share;
    std::int64_t count;        // of downloads
    std::optional<Entry> now;  // the entry as it is now; nullopt when it is gone
};

enum class OnConflict { version, keepBoth, fail };

// One chunk of a content, with the stores that hold it. They need not be live: a copy on one that is down may come
// back.
struct ContentChunk {
    std::int64_t index;
    std::int64_t offset;  // bytes from the start of the content
    std::int64_t length;
    ChunkRow row;
    ChunkId id;
    Generation generation;
    std::vector<StoreRow> stores;    // a good copy
    std::vector<StoreRow> doubtful;  // one that was found bad: to be tried when no other is left
};

enum class StoreState { joining, up, suspect, down, draining, drained, removed };

struct Store {
    StoreRow row;  // of this disk: another one in the same node has another row
    std::string nodeId;
    std::string uuid;  // made when the store was formatted
    std::string zone;
    std::string endpoint;  // empty: a folder of this process
    StoreState state;
    std::int64_t capacityBytes;
    std::int64_t freeBytes;
    Timestamp lastSeenAt;   // of its last report without a problem
    std::int64_t replicas;  // good copies it is said to hold; 0 when they were not counted
    Timestamp stateSince;
    std::string problem;  // of its last report; empty: none
    bool drain;           // an operator wants it empty
    std::optional<Timestamp> drainStartedAt;
    std::int64_t drainReplicas;                   // good copies on it when the drain began
    std::optional<Timestamp> wrongAnswerAt = {};  // last, see Nodes::wrongAnswer
};
// Whether it gave a wrong answer within the last day.
[[nodiscard]] inline bool isFaulty(const Store& store, Timestamp now) {
    return store.wrongAnswerAt && now - *store.wrongAnswerAt < dayUs;
}

enum class UploadState { open, committed, ended };

struct Upload {
    UploadId id;
    UserId owner;
    UploadState state;
    std::string key;  // the client's
    FileId folder;
    std::string name;
    std::int64_t size;
    std::int64_t chunkSize;    // of every chunk but the last
    FileId file;               // reserved; after commit the file that has the content
    std::int64_t version = 0;  // after commit
    OnConflict onConflict;
    Timestamp modifiedAt;
    Timestamp createdAt;
    Timestamp expiresAt;
    std::int64_t chunksStored = 0;
    std::int64_t bytesStored = 0;
    std::optional<std::int64_t> received;  // tus: bytes from the start that are durable; nullopt: not by tus
    std::string metadata;                  // tus: as the client sent it
    std::optional<ShareId> request;        // a guest's, by this upload request
    // Of the owner, for checking the upload's token.
    UserState ownerState;
    Timestamp ownerPasswordChangedAt;
};

enum class ShareKind {
    download,
    upload,  // a request for files, which guests bring into a folder
};

// What an upload request takes. nullopt: any number.
struct RequestLimits {
    std::optional<std::int64_t> maxBytes;      // of all files together
    std::optional<std::int64_t> maxFileBytes;  // of one
    std::optional<std::int64_t> maxFiles;
    std::string types;  // comma-separated: ".jpg", "image/*", "application/pdf"; empty: any
};

struct Share {
    ShareId id;
    UserId owner;
    FileId file;  // of an upload request the folder
    ShareKind kind;
    std::string salt;
    std::optional<std::string> passwordHash;
    std::optional<Timestamp> expiresAt;
    std::optional<std::int64_t> maxDownloads;
    std::int64_t downloads;
    Timestamp createdAt;
    std::optional<Timestamp> lastUsedAt;
    std::optional<Timestamp> revokedAt;
    // Of upload requests only.
    std::string title;  // what the owner asks for
    RequestLimits limits;
    std::int64_t arrivedFiles = 0, arrivedBytes = 0;
    std::int64_t openFiles = 0, openBytes = 0;  // of uploads under way, which count as well
};

// What a sweep did about the next rows of their kind, in the order of their ids.
template <typename IdType>
struct SweptWindow {
    IdType last{};              // where the next window begins
    std::int64_t examined = 0;  // rows in the window; 0: the sweep is at its end
    std::int64_t changed = 0;
};

// A page of a list; next holds what the next page starts after, nullopt on the last.
struct PageKey {
    Kind kind;
    std::string name;     // name_key of the last entry
    std::int64_t number;  // its size or time, when sorted by that
    FileId id;
};

struct Page {
    std::vector<Entry> items;
    std::optional<PageKey> next;
};

}  // namespace chunkvault::catalog
