#include "server/api/routes.h"

#include "common/wire/node_report.h"
#include "server/api/batch_header.h"
#include "server/api/guard.h"
#include "server/api/handlers.h"

namespace chunkvault::server {

namespace {

using http::Method;
using enum Guard;

constexpr std::uint64_t anySize = UINT64_MAX;
constexpr std::uint64_t ofStrangers = 8 << 10;  // what anybody may send
constexpr std::uint64_t largestChunk = 100 << 20;
constexpr std::uint64_t batchBytes = static_cast<std::uint64_t>(maxBatchBytes) + maxBatchHeaderBytes;

// clang-format off
constexpr ApiRoute table[] = {
    // About the server
    {Method::get,  "/",              open, about,       "Name, version and what clients must know",        "", 200, "About"},
    {Method::get,  "/health",        open, health,      "The state of the server and its parts",           "", 200, "Health"},
    {Method::get,  "/health/live",   open, healthLive,  "Whether the process answers",                     "", 200, "Live"},
    {Method::get,  "/health/ready",  open, healthReady, "Whether requests can be served",                  "", 200, "Ready"},
    {Method::get,  "/metrics",       open, metrics,     "Prometheus metrics",                              "", 200, "text"},
    {Method::get,  "/openapi.json",  open, openApi,     "This description",                                "", 200, "OpenApi"},

    // Accounts
    {Method::post, "/auth/register", open,           registerUser,   "Make an account",                    "Register", 201, "Registered", ofStrangers},
    {Method::post, "/auth/login",    open,           login,          "Sign in; new_password changes the password on the way", "Login", 200, "Tokens", ofStrangers},
    {Method::post, "/auth/refresh",  open,           refresh,        "Exchange a refresh token for new tokens", "Refresh", 200, "Tokens", ofStrangers},
    {Method::post, "/auth/logout",   passwordChange, logout,         "End this session",                   "", 204, ""},
    {Method::post, "/auth/password", passwordChange, changePassword, "Change the password; ends all other sessions", "ChangePassword", 204, ""},
    {Method::get,  "/auth/sessions", session,        listSessions,   "The account's sessions",             "", 200, "SessionList"},
    {Method::del,  "/auth/sessions/{id}", session,   revokeSession,  "End a session",                      "", 204, ""},
    {Method::get,  "/auth/tokens",   session,        listApiTokens,  "The account's API tokens",           "", 200, "ApiTokenList"},
    {Method::post, "/auth/tokens",   session,        createApiToken, "Make an API token; it is shown once", "NewApiToken", 201, "MadeApiToken"},
    {Method::del,  "/auth/tokens/{id}", session,     revokeApiToken, "Revoke an API token",                "", 204, ""},
    {Method::get,  "/me",            user,           me,             "The account, its use and its quota", "", 200, "User"},

    // Administration
    {Method::get,   "/admin/users",               admin, listUsers,       "Users by name; q filters",       "", 200, "UserList"},
    {Method::post,  "/admin/users",               adminSession, createUser,    "Make a user",              "NewUser", 201, "User"},
    {Method::get,   "/admin/users/{id}",          admin, getUser,         "One user",                       "", 200, "User"},
    {Method::patch, "/admin/users/{id}",          adminSession, changeUser,    "Enable, disable, set role and quota", "UserChange", 200, "User"},
    {Method::del,   "/admin/users/{id}",          adminSession, deleteUser,    "Delete a user with all files", "", 204, ""},
    {Method::post,  "/admin/users/{id}/password", adminSession, resetPassword, "Set a user's password; ends all sessions and API tokens", "ResetPassword", 204, ""},
    {Method::get,   "/admin/storage",             admin, storageOverview, "Stores, copies and what is at risk", "", 200, "Storage"},
    {Method::get,   "/admin/storage/at-risk",     admin, filesAtRisk,     "Files with a chunk that has one readable copy or none", "", 200, "AtRiskList"},
    {Method::get,   "/admin/nodes",               admin, listNodes,       "Storage nodes and their states", "", 200, "NodeList"},
    {Method::get,   "/admin/nodes/{id}",          admin, getNode,         "One storage node",               "", 200, "Node"},
    {Method::del,   "/admin/nodes/{id}",          admin, removeNode,      "Take a node away; force=true also with what only it has", "", 204, ""},
    {Method::post,  "/admin/nodes/{id}/drain",    admin, drainNode,       "Copy everything on a node elsewhere", "", 200, "Node"},
    {Method::post,  "/admin/nodes/{id}/keep",     admin, keepNode,        "End a drain",                    "", 200, "Node"},
    {Method::get,   "/admin/nodes/{id}/may-stop", admin, mayStopNode,     "May it be stopped for maintenance now?", "", 200, "Advice"},
    {Method::get,   "/admin/nodes/{id}/may-remove", admin, mayRemoveNode, "May it be removed?",             "", 200, "Advice"},
    {Method::get,   "/admin/jobs",                admin, listJobs,        "Jobs that wait, and those given up", "", 200, "Jobs"},
    {Method::post,  "/admin/jobs/retry",          admin, retryJobs,       "Try jobs again that were given up", "RetryJobs", 200, "Posted"},
    {Method::get,   "/admin/sweeps",              admin, listSweeps,      "The last run of each sweep",     "", 200, "SweepRunList"},
    {Method::post,  "/admin/sweeps/{name}",       admin, runSweep,        "Run one sweep now",              "", 200, "SweepReport"},
    {Method::get,   "/admin/collection",          admin, getCollection,   "Whether unreferenced chunks may be deleted", "", 200, "Collection"},
    {Method::post,  "/admin/collection/allow",    admin, allowCollection, "Let collection go on: the database is the right one", "", 204, ""},

    // Files and folders
    {Method::get,   "/files",               user, listFiles,    "List a folder, or search by name with q",   "", 200, "EntryList"},
    {Method::post,  "/files/upload",        user, uploadForm,   "Upload one file as multipart/form-data",     "Form", 201, "Committed", anySize, true},
    {Method::post,  "/files/batch",         user, uploadBatch,  "Upload many small files: a line of JSON, then their bytes", "Batch", 200, "BatchResult", batchBytes, true},
    {Method::post,  "/files/move",          user, moveFiles,    "Move several",                               "MoveMany", 200, "BulkResult"},
    {Method::post,  "/files/trash",         user, trashFiles,   "Put several into the trash",                 "Many", 200, "BulkResult"},
    {Method::post,  "/files/restore",       user, restoreFiles, "Take several out of the trash",              "RestoreMany", 200, "BulkResult"},
    {Method::post,  "/files/purge",         user, purgeFiles,   "Delete several in the trash for good",       "Many", 200, "BulkResult"},
    {Method::get,   "/files/{id}",          user, getFile,      "One file or folder, with its safety",        "", 200, "EntryInfo"},
    {Method::patch, "/files/{id}",          user, changeFile,   "Rename, move, set its time",                 "EntryChange", 200, "Entry"},
    {Method::del,   "/files/{id}",          user, trashFile,    "Put into the trash",                         "", 204, ""},
    {Method::post,  "/files/{id}/copy",     user, copyFile,     "Copy; no bytes move",                        "Copy", 201, "Entry"},
    {Method::post,  "/files/{id}/restore",  user, restoreFile,  "Take out of the trash",                      "Restore", 200, "Entry"},
    {Method::get,   "/files/{id}/download", user, downloadFile, "The bytes of the current version",           "", 200, "file", 0, true},
    {Method::get,   "/files/{id}/zip",      user, zipFolder,    "A folder with all below as one ZIP",         "", 200, "zip", 0, true},
    {Method::get,   "/files/{id}/versions", user, listVersions, "Versions, newest first",                     "", 200, "VersionList"},
    {Method::del,   "/files/{id}/versions/{version}",          user, deleteVersion,   "Delete an old version",         "", 204, ""},
    {Method::get,   "/files/{id}/versions/{version}/download", user, downloadVersion, "The bytes of a version",        "", 200, "file", 0, true},
    {Method::post,  "/files/{id}/versions/{version}/restore",  user, restoreVersion,  "Make an old version the newest", "", 200, "Entry"},
    {Method::post,  "/folders",             user, makeFolder,   "Make a folder and the ones on the way",      "NewFolder", 201, "Entry", 128 << 10},
    {Method::get,   "/trash",               user, listTrash,    "The trash, newest first",                    "", 200, "EntryList"},
    {Method::del,   "/trash",               user, emptyTrash,   "Empty the trash",                            "", 200, "Purged"},
    {Method::del,   "/trash/{id}",          user, purgeFile,    "Delete for good",                            "", 204, ""},
    {Method::get,   "/changes",             user, listChanges,  "What changed after a cursor; wait for it",   "", 200, "ChangeList"},

    // Resumable uploads
    {Method::post, "/uploads",                    user,   createUpload,  "Begin an upload, or find it again by its key", "NewUpload", 201, "UploadStarted"},
    {Method::get,  "/uploads",                    user,   listUploads,   "Open uploads",                                 "", 200, "UploadList"},
    {Method::get,  "/uploads/{id}",               upload, getUpload,     "How far an upload is",                         "", 200, "Upload"},
    {Method::post, "/uploads/{id}/have",          upload, declareChunks, "Which of these chunks have to be sent",        "Have", 200, "Missing", 1 << 20},
    {Method::put,  "/uploads/{id}/chunks/{index}", upload, putChunk,     "One chunk; its SHA-256 in Content-Digest (RFC 9530)", "binary", 204, "", largestChunk, true},
    {Method::post, "/uploads/{id}/commit",        upload, commitUpload,  "Make the file of the chunks",                  "Commit", 200, "Committed"},
    {Method::del,  "/uploads/{id}",               upload, endUpload,     "Give up an upload",                            "", 204, ""},

    // Uploads by tus 1.0 (https://tus.io): bytes in order, any client
    {Method::options, "/tus",       open, tusOptions, "What of tus is spoken",                        "", 204, ""},
    {Method::post,  "/tus",         user, tusCreate,  "Begin an upload; Location is its own address", "tus", 201, "", anySize, true},
    {Method::options, "/tus/{upload}", open, tusOptions, "What of tus is spoken",                     "", 204, ""},
    {Method::head,  "/tus/{upload}", open, tusHead,   "How many bytes are there",                     "", 200, ""},
    {Method::patch, "/tus/{upload}", open, tusPatch,  "More bytes, from Upload-Offset on",            "tus", 204, "", anySize, true},
    {Method::del,   "/tus/{upload}", open, tusEnd,    "Give up an upload",                            "", 204, ""},
    {Method::post,  "/tus/{upload}", open, tusOverride, "PATCH, DELETE or HEAD by X-HTTP-Method-Override", "tus", 204, "", anySize, true},
    {Method::get,   "/tus/{upload}", open, tusReceipt, "What has become of an upload, with its hashes", "", 200, "Receipt"},

    // Share links: the owner's side
    {Method::post,  "/files/{id}/share", user, createShare, "Make a link to a file or folder",      "NewShare", 201, "Share"},
    {Method::get,   "/shares",           user, listShares,  "Links, newest first; file_id filters", "", 200, "ShareList"},
    {Method::get,   "/shares/{id}",      user, getShare,    "One link",                             "", 200, "Share"},
    {Method::patch, "/shares/{id}",      user, changeShare, "Change expiry, limit or password",     "ShareChange", 200, "Share"},
    {Method::del,   "/shares/{id}",      user, revokeShare, "Revoke a link",                        "", 204, ""},

    // Upload requests: links by which guests bring files. The owner's side
    {Method::post,  "/files/{id}/request", user, createRequest, "Ask for files into a folder",                "NewRequest", 201, "Request"},
    {Method::get,   "/requests",           user, listRequests,  "Upload requests, newest first; folder_id filters", "", 200, "RequestList"},
    {Method::get,   "/requests/{id}",      user, getRequest,    "One upload request",                         "", 200, "Request"},
    {Method::patch, "/requests/{id}",      user, changeRequest, "Change title, expiry, limits or password",   "RequestChange", 200, "Request"},
    {Method::del,   "/requests/{id}",      user, revokeRequest, "Revoke an upload request; what is on its way by it ends", "", 204, ""},

    // Upload requests: the guest's side
    {Method::get,     "/request/{token}/info",   open, describeRequest, "What is asked for, and how much is left of its limits", "", 200, "RequestInfo"},
    {Method::post,    "/request/{token}/unlock", open, unlockRequest,   "Give the password; sets a cookie",  "Unlock", 204, "", ofStrangers},
    {Method::options, "/request/{token}/files",  open, tusOptions,      "What of tus is spoken",             "", 204, ""},
    {Method::post,    "/request/{token}/files",  open, createRequestedUpload, "Begin an upload by tus; Location is its own address", "tus", 201, "", anySize, true},

    // Share links: the guest's side
    {Method::get,  "/share/{token}",        open, openShare,        "The shared bytes",                   "", 200, "file", 0, true},
    {Method::get,  "/share/{token}/info",   open, describeShare,    "What the link leads to",             "", 200, "SharedInfo"},
    {Method::post, "/share/{token}/unlock", open, unlockShare,      "Give the password; sets a cookie",   "Unlock", 204, "", ofStrangers},
    {Method::get,  "/share/{token}/files",  open, listSharedFolder, "List a shared folder",               "", 200, "SharedList"},
    {Method::get,  "/share/{token}/files/{id}/download", open, downloadShared, "Bytes of a file in a shared folder", "", 200, "file", 0, true},

    {Method::get,  "/share/{token}/zip",    open, zipShared,        "A shared folder as one ZIP",         "", 200, "zip", 0, true},
    {Method::get,  "/share/{token}/preview", open, previewShare,    "The shared file to be shown; only kinds that cannot run, and not of links with a limit", "", 200, "file", 0, true},
    {Method::get,  "/share/{token}/files/{id}/preview", open, previewShared, "The same of a file in a shared folder", "", 200, "file", 0, true},
    {Method::get,  "/share/{token}/view",   open, viewShare,        "A frame that shows the preview of an image, sound or film", "", 200, "html"},
    {Method::get,  "/share/{token}/files/{id}/view", open, viewShared, "The same of a file in a shared folder", "", 200, "html"},
    {Method::get,  "/share/{token}/qr",     open, shareQrCode,      "The link as a QR code",              "", 200, "svg"},

    // For browsers
    {Method::get,  "/s/{token}",     open, sharePage, "The page of a share link",                "", 200, "html"},
    {Method::get,  "/r/{token}",     open, requestPage, "The page of an upload request",        "", 200, "html"},
    {Method::get,  "/assets/{name}", open, webAsset,  "A script, style or picture of the pages", "", 200, "file"},
};
// clang-format on

}  // namespace

std::span<const ApiRoute> apiRoutes() { return table; }

std::vector<http::Route> makeRoutes(Services& services) {
    std::vector<http::Route> routes;
    for (const ApiRoute& route : table)
        routes.push_back({route.method, std::string(route.pattern),
                          [&services, &route](http::Request& request, http::Response& response) {
                              Call call{request, response, services.documents, route.maxBodyBytes, {}, {}, {}};
                              authorise(services, route.guard, call);
                              route.handler(services, call);
                          },
                          route.maxBodyBytes, route.transfer});
    if (services.cluster != nullptr)
        routes.push_back({Method::post, std::string(wire::nodeReportPath),
                          services.cluster->door.guard([&](http::SignedCall& call) { nodeReport(services, call); }),
                          wire::maxNodeReportBytes});
    return routes;
}

std::string_view guardName(Guard guard) {
    switch (guard) {
        case open: return "open";
        case user: return "user";
        case session: return "session";
        case passwordChange: return "password_change";
        case admin: return "admin";
        case adminSession: return "admin_session";
        case upload: break;
    }
    return "upload";
}

}  // namespace chunkvault::server
