// Every handler, by the file it is in. routes.cpp maps requests to them.
#pragma once

namespace chunkvault::http {
class SignedCall;
}

namespace chunkvault::server {

struct Call;
struct Services;

// auth.cpp: signing in and out, and what an account can do about itself
void registerUser(Services&, Call&);
void login(Services&, Call&);
void refresh(Services&, Call&);
void logout(Services&, Call&);
void changePassword(Services&, Call&);
void listSessions(Services&, Call&);
void revokeSession(Services&, Call&);
void listApiTokens(Services&, Call&);
void createApiToken(Services&, Call&);
void revokeApiToken(Services&, Call&);
void me(Services&, Call&);

// admin.cpp
void listUsers(Services&, Call&);
void createUser(Services&, Call&);
void getUser(Services&, Call&);
void changeUser(Services&, Call&);
void deleteUser(Services&, Call&);
void resetPassword(Services&, Call&);
void runSweep(Services&, Call&);

// nodes.cpp: what an operator does about storage nodes, jobs and collection
void storageOverview(Services&, Call&);
void listNodes(Services&, Call&);
void getNode(Services&, Call&);
void drainNode(Services&, Call&);
void keepNode(Services&, Call&);
void removeNode(Services&, Call&);
void mayStopNode(Services&, Call&);
void mayRemoveNode(Services&, Call&);
void filesAtRisk(Services&, Call&);
void listJobs(Services&, Call&);
void retryJobs(Services&, Call&);
void listSweeps(Services&, Call&);
void getCollection(Services&, Call&);
void allowCollection(Services&, Call&);

// internal.cpp: between the programs of a cluster
void nodeReport(Services&, http::SignedCall&);

// files.cpp: the tree
void listFiles(Services&, Call&);
void makeFolder(Services&, Call&);
void getFile(Services&, Call&);
void changeFile(Services&, Call&);
void trashFile(Services&, Call&);
void copyFile(Services&, Call&);
void restoreFile(Services&, Call&);
void moveFiles(Services&, Call&);
void trashFiles(Services&, Call&);
void restoreFiles(Services&, Call&);
void purgeFiles(Services&, Call&);
void listTrash(Services&, Call&);
void purgeFile(Services&, Call&);
void emptyTrash(Services&, Call&);
void listVersions(Services&, Call&);
void restoreVersion(Services&, Call&);
void deleteVersion(Services&, Call&);

// downloads.cpp
void downloadFile(Services&, Call&);
void downloadVersion(Services&, Call&);
void zipFolder(Services&, Call&);

// uploads.cpp: resumable
void createUpload(Services&, Call&);
void listUploads(Services&, Call&);
void getUpload(Services&, Call&);
void declareChunks(Services&, Call&);
void putChunk(Services&, Call&);
void commitUpload(Services&, Call&);
void endUpload(Services&, Call&);

// upload_form.cpp: multipart in one request
void uploadForm(Services&, Call&);

// upload_batch.cpp: many small files in one request
void uploadBatch(Services&, Call&);

// shares.cpp: the owner's side
void createShare(Services&, Call&);
void listShares(Services&, Call&);
void getShare(Services&, Call&);
void changeShare(Services&, Call&);
void revokeShare(Services&, Call&);

// requests.cpp: upload requests, the owner's side
void createRequest(Services&, Call&);
void listRequests(Services&, Call&);
void getRequest(Services&, Call&);
void changeRequest(Services&, Call&);
void revokeRequest(Services&, Call&);

// requested.cpp: the guest's side
void describeRequest(Services&, Call&);
void unlockRequest(Services&, Call&);
void createRequestedUpload(Services&, Call&);

// tus.cpp
void tusOptions(Services&, Call&);
void tusCreate(Services&, Call&);
void tusHead(Services&, Call&);
void tusPatch(Services&, Call&);
void tusEnd(Services&, Call&);
void tusOverride(Services&, Call&);
void tusReceipt(Services&, Call&);

// shared.cpp: the guest's side
void openShare(Services&, Call&);
void unlockShare(Services&, Call&);
void describeShare(Services&, Call&);
void listSharedFolder(Services&, Call&);
void downloadShared(Services&, Call&);
void zipShared(Services&, Call&);
void previewShare(Services&, Call&);
void previewShared(Services&, Call&);
void viewShare(Services&, Call&);
void viewShared(Services&, Call&);
void shareQrCode(Services&, Call&);

// web_pages.cpp: what browsers show
void sharePage(Services&, Call&);
void requestPage(Services&, Call&);
void webAsset(Services&, Call&);

// service.cpp: about the server itself
void about(Services&, Call&);
void health(Services&, Call&);
void healthLive(Services&, Call&);
void healthReady(Services&, Call&);
void metrics(Services&, Call&);
void openApi(Services&, Call&);

}  // namespace chunkvault::server
