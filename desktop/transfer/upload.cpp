#include "desktop/transfer/upload.h"

#include <QFutureWatcher>
#include <QJsonArray>
#include <QRandomGenerator>
#include <QSet>
#include <QtConcurrent/QtConcurrentRun>
#include <algorithm>
#include <utility>

namespace chunkvault::desktop {

namespace {

constexpr int chunkTimeoutMs = 60'000;  // without a byte moving
constexpr int firstPauseMs = 1'000, longestPauseMs = 60'000;
constexpr int mostBadDigests = 3;

QString nameOf(OnConflict onConflict) {
    switch (onConflict) {
        case OnConflict::version: return QStringLiteral("version");
        case OnConflict::keepBoth: return QStringLiteral("keep_both");
        case OnConflict::ask: break;
    }
    return QStringLiteral("fail");
}

}  // namespace

// Shared with the pool: it may outlive the upload for the time of one chunk.
struct Upload::Reading {
    Reading(const LocalFile& file, qint64 chunkSize) : reader(file, chunkSize) {}
    ChunkReader reader;
};

Upload::Upload(ApiClient& api, QThreadPool& pool, UploadTask task, QObject* parent)
    : QObject(parent), api_(api), pool_(pool), task_(std::move(task)) {
    retry_.setSingleShot(true);
    connect(&retry_, &QTimer::timeout, this, &Upload::goOn);
}

Upload::~Upload() = default;

QString Upload::path(const QString& rest) const { return QStringLiteral("/uploads/%1%2").arg(uploadId_, rest); }

void Upload::start() {
    if (state_ != State::idle && state_ != State::failed) return;
    failures_ = reopenings_ = badDigests_ = 0;
    sentBytes_ = 0;
    if (LocalFile::at(task_.file.path) != task_.file) {
        fail(LocalFile::at(task_.file.path) ? tr("It was changed since it was chosen.")
                                            : tr("It is not there any more, or cannot be read."));
        return;
    }
    open();
}

void Upload::pause() {
    if (state_ == State::done) return;
    dropAll();
    enter(State::idle);
}

void Upload::dropAll() {
    retry_.stop();
    run_ = std::make_unique<QObject>();
    reading_.reset();
    isReading_ = isAsking_ = atEnd_ = false;
    hashed_.clear();
    toSend_.clear();
    asked_.clear();
    inFlight_ = 0;
    doneBytes_ = 0;
}

void Upload::open() {
    dropAll();
    uploadId_.clear();
    enter(State::opening);
    const Request request{.method = "POST",
                          .path = QStringLiteral("/uploads"),
                          .body = {{QStringLiteral("key"), task_.key},
                                   {QStringLiteral("name"), task_.name},
                                   {QStringLiteral("folder_id"), task_.folderId},
                                   {QStringLiteral("size"), task_.file.sizeBytes},
                                   {QStringLiteral("modified_at"), task_.file.modifiedAt.toString(Qt::ISODateWithMs)},
                                   {QStringLiteral("on_conflict"), nameOf(task_.onConflict)}}};
    api_.call(request, run_.get(), [this](const Answer& answer) { opened(answer); });
}

void Upload::opened(const Answer& answer) {
    if (!answer.good()) {
        if (!recover(*answer.problem, false)) fail(answer.problem->text);
        return;
    }
    failures_ = 0;
    uploadId_ = answer.body[QLatin1String("upload_id")].toString();
    token_ = answer.body[QLatin1String("upload_token")].toString();
    fileId_ = answer.body[QLatin1String("file_id")].toString();
    if (answer.body[QLatin1String("status")].toString() == QLatin1String("committed")) {
        doneBytes_ = task_.file.sizeBytes;
        enter(State::done);
        return;
    }
    reading_ = std::make_shared<Reading>(task_.file, answer.body[QLatin1String("chunk_size")].toInteger());
    enter(State::moving);
    pump();
}

void Upload::pump() {
    if (state_ != State::moving) return;
    const auto inMemory = static_cast<int>(hashed_.size() + asked_.size() + toSend_.size()) + inFlight_;
    if (!isReading_ && !atEnd_ && inMemory < mostInMemory) readNext();
    if (!isAsking_ && !hashed_.empty()) ask();
    while (inFlight_ < flights && !toSend_.empty()) {
        FileChunk chunk = std::move(toSend_.front());
        toSend_.pop_front();
        send(std::move(chunk));
    }
    if (atEnd_ && inMemory == 0) commit();
}

void Upload::readNext() {
    isReading_ = true;
    using Watcher = QFutureWatcher<ChunkReader::Step>;
    auto* watcher = new Watcher(this);
    connect(watcher, &Watcher::finished, watcher, &QObject::deleteLater);
    connect(watcher, &Watcher::finished, run_.get(), [this, watcher] {
        isReading_ = false;
        took(watcher->result());
    });
    watcher->setFuture(QtConcurrent::run(&pool_, [reading = reading_] { return reading->reader.next(); }));
}

void Upload::took(const ChunkReader::Step& step) {
    if (!step.failure.isEmpty()) {
        fail(step.failure);
        return;
    }
    if (step.chunk) {
        hashed_.push_back(*step.chunk);
    } else {
        atEnd_ = true;
        root_ = reading_->reader.root();
        sha256_ = reading_->reader.sha256();
    }
    pump();
}

void Upload::ask() {
    isAsking_ = true;
    asked_.assign(std::make_move_iterator(hashed_.begin()), std::make_move_iterator(hashed_.end()));
    hashed_.clear();
    QJsonArray chunks;
    for (const FileChunk& chunk : asked_)
        chunks.append(QJsonObject{{QStringLiteral("index"), chunk.index},
                                  {QStringLiteral("length"), chunk.bytes.size()},
                                  {QStringLiteral("hash"), QString::fromLatin1(chunk.hash.toHex())}});
    const Request request{.method = "POST",
                          .path = path(QStringLiteral("/have")),
                          .body = {{QStringLiteral("chunks"), chunks}},
                          .token = token_};
    api_.call(request, run_.get(), [this](const Answer& answer) {
        isAsking_ = false;
        std::vector<FileChunk> asked = std::exchange(asked_, {});
        if (!answer.good()) {
            hashed_.insert(hashed_.begin(), std::make_move_iterator(asked.begin()),
                           std::make_move_iterator(asked.end()));
            if (!recover(*answer.problem, true)) fail(answer.problem->text);
            return;
        }
        failures_ = 0;
        QSet<qint64> missing;
        for (const QJsonValue& index : answer.body[QLatin1String("missing")].toArray())
            missing.insert(index.toInteger());
        for (FileChunk& chunk : asked) {
            if (missing.contains(chunk.index)) toSend_.push_back(std::move(chunk));
            else doneBytes_ += chunk.bytes.size();
        }
        emit progress();
        pump();
    });
}

void Upload::send(FileChunk chunk) {
    ++inFlight_;
    auto onTheLine = std::make_shared<qint64>(0);
    const auto told = [this, onTheLine, size = chunk.bytes.size()](qint64 sent) {
        const qint64 now = std::min<qint64>(sent, size);
        doneBytes_ += now - *onTheLine;
        *onTheLine = now;
        emit progress();
    };
    const Request request{.method = "PUT",
                          .path = path(QStringLiteral("/chunks/%1").arg(chunk.index)),
                          .chunk = chunk.bytes,
                          .digest = chunk.hash,
                          .timeoutMs = chunkTimeoutMs,
                          .token = token_,
                          .sent = told};
    api_.call(request, run_.get(), [this, onTheLine, chunk = std::move(chunk)](const Answer& answer) mutable {
        --inFlight_;
        doneBytes_ -= *onTheLine;
        if (answer.good()) {
            failures_ = reopenings_ = badDigests_ = 0;
            doneBytes_ += chunk.bytes.size();
            sentBytes_ += chunk.bytes.size();
            emit progress();
            pump();
            return;
        }
        toSend_.push_front(std::move(chunk));
        // 422: the bytes that came are not those that were sent.
        if (answer.status == 422 && ++badDigests_ < mostBadDigests) pump();
        else if (!recover(*answer.problem, true)) fail(answer.problem->text);
    });
}

void Upload::commit() {
    enter(State::committing);
    Request request{.method = "POST",
                    .path = path(QStringLiteral("/commit")),
                    .body = {{QStringLiteral("root"), root_},
                             {QStringLiteral("sha256"), sha256_},
                             {QStringLiteral("on_conflict"), nameOf(task_.onConflict)}},
                    .token = token_};
    api_.call(request, run_.get(), [this](const Answer& answer) { committed(answer); });
}

void Upload::committed(const Answer& answer) {
    if (answer.good()) {
        fileId_ = answer.body[QLatin1String("file_id")].toString();
        enter(State::done);
    } else if (answer.problem->type == QLatin1String("name_taken")) {
        enter(State::conflict, answer.problem->text);
    } else if (!recover(*answer.problem, true)) {
        fail(answer.problem->text);
    }
}

void Upload::resolve(OnConflict onConflict) {
    if (state_ != State::conflict) return;
    task_.onConflict = onConflict;
    commit();
}

bool Upload::recover(const Problem& problem, bool ofTheUpload) {
    if (problem.passes()) {
        waitAndGoOn(problem);
        return true;
    }
    const bool gone = problem.status == 401 || problem.status == 404 || problem.status == 409 || problem.status == 410;
    if (!ofTheUpload || !gone || reopenings_ >= mostReopenings) return false;
    ++reopenings_;
    open();
    return true;
}

void Upload::waitAndGoOn(const Problem& problem) {
    const int pause = std::min(longestPauseMs, firstPauseMs << std::min(failures_, 10));
    ++failures_;
    if (!retry_.isActive())
        retry_.start(std::max(1000 * problem.retryAfterS, pause + QRandomGenerator::global()->bounded(pause / 4 + 1)));
    enter(State::waiting, problem.text);
}

void Upload::goOn() {
    if (uploadId_.isEmpty()) {
        open();
        return;
    }
    enter(State::moving);
    pump();
}

void Upload::fail(const QString& why) {
    dropAll();
    enter(State::failed, why);
}

void Upload::enter(State state, const QString& why) {
    if (state_ == state && why_ == why) return;
    state_ = state;
    why_ = why;
    emit stateChanged();
}

}  // namespace chunkvault::desktop
