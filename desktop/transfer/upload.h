// One file on its way to the server, chunk by chunk. What is there already is not sent, whoever brought it and
// whenever.
//
//             start                                  all is there
//   (idle) -----------> opening --> moving ------------------------> committing --> done
//                          ^          |  ^                               |  ^
//                          |          |  | the server answers again      |  | resolve
//            the upload is |          v  |                               v  |
//            gone, or its  +------- waiting <----------------------- conflict
//            token is over      (offline, busy)
//
// pause leads from anywhere but done to idle, a failure to failed; start begins anew from both, and sends only what is
// missing.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <QTimer>
#include <deque>
#include <memory>
#include <vector>

#include "desktop/api/api_client.h"
#include "desktop/transfer/chunk_reader.h"

namespace chunkvault::desktop {

// What is done when a file of the name is there already.
enum class OnConflict { ask, version, keepBoth };

struct UploadTask {
    LocalFile file;
    QString name;
    QString folderId;
    QString key;  // of this upload, for ever: by it the server knows it again
    OnConflict onConflict = OnConflict::ask;
};

class Upload final : public QObject {
    Q_OBJECT

  public:
    enum class State { idle, opening, moving, waiting, committing, conflict, done, failed };
    static constexpr int flights = 4;         // chunks on the line at once
    static constexpr int mostInMemory = 8;    // chunks
    static constexpr int mostReopenings = 3;  // without a chunk that got through

    // api and pool outlive it. pool reads and hashes.
    Upload(ApiClient& api, QThreadPool& pool, UploadTask task, QObject* parent = nullptr);
    ~Upload() override;

    void start();
    void pause();
    // After conflict.
    void resolve(OnConflict onConflict);

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const UploadTask& task() const { return task_; }
    // What the server has of it, and what is on the line.
    [[nodiscard]] qint64 doneBytes() const { return doneBytes_; }
    // Of doneBytes, what went over the line in this run.
    [[nodiscard]] qint64 sentBytes() const { return sentBytes_; }
    [[nodiscard]] const QString& fileId() const { return fileId_; }
    // Why it waits or has failed, in words of the user.
    [[nodiscard]] const QString& why() const { return why_; }

  signals:
    void stateChanged();
    void progress();

  private:
    struct Reading;

    void open();
    void opened(const Answer& answer);
    void readFrom(qint64 chunkSize);
    void pump();
    void readNext();
    void took(const ChunkReader::Step& step);
    void ask();
    void send(FileChunk chunk);
    void commit();
    void committed(const Answer& answer);
    // True when it was dealt with: by waiting, or by opening it again.
    bool recover(const Problem& problem, bool ofTheUpload);
    void waitAndGoOn(const Problem& problem);
    void goOn();
    void fail(const QString& why);
    void enter(State state, const QString& why = {});
    void dropAll();
    [[nodiscard]] QString path(const QString& rest = {}) const;

    ApiClient& api_;
    QThreadPool& pool_;
    UploadTask task_;
    State state_ = State::idle;
    QString why_;

    std::unique_ptr<QObject> run_;  // the context of all calls; a new one with each start and each opening
    QString uploadId_, token_, fileId_;
    std::shared_ptr<Reading> reading_;
    bool isReading_ = false, isAsking_ = false, atEnd_ = false;
    std::deque<FileChunk> hashed_, toSend_;
    std::vector<FileChunk> asked_;
    int inFlight_ = 0;
    QString root_, sha256_;

    QTimer retry_;
    int failures_ = 0;    // of calls, since one succeeded
    int reopenings_ = 0;  // since a chunk got through
    int badDigests_ = 0;  // since a chunk got through
    qint64 doneBytes_ = 0, sentBytes_ = 0;
};

}  // namespace chunkvault::desktop
