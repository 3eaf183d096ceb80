#include "desktop/transfer/upload.h"

#include <QCryptographicHash>
#include <QFile>
#include <QJsonArray>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QTest>
#include <QUuid>

#include "tests/desktop/accounts.h"
#include "tests/desktop/real_server.h"
#include "tests/desktop/scripted_server.h"

namespace chunkvault::desktop {

using test::answerOf;
using test::Got;
using test::RealServer;
using test::Reply;
using test::ScriptedServer;
using State = Upload::State;

namespace {

constexpr qint64 chunkSize = 1000;
constexpr int patienceMs = 30'000;

QByteArray randomBytes(qsizetype size) {
    QByteArray bytes(size, Qt::Uninitialized);
    for (char& byte : bytes) byte = static_cast<char>(QRandomGenerator::global()->generate());
    return bytes;
}

// A server of uploads in memory, with a fault in front of it.
class Uploads {
  public:
    using Fault = std::function<std::optional<Reply>(const Got&)>;

    explicit Uploads(Fault fault = [](const Got&) { return std::nullopt; }) : before(std::move(fault)) {}

    [[nodiscard]] QUrl url() const { return server_.url(); }
    [[nodiscard]] QByteArray content() const {
        QByteArray all;
        for (const QByteArray& chunk : chunks) all += chunk;
        return all;
    }
    [[nodiscard]] qsizetype count(const QByteArray& method, const QByteArray& part) const {
        return std::count_if(server_.got().begin(), server_.got().end(),
                             [&](const Got& got) { return got.method == method && got.target.contains(part); });
    }

    Fault before;
    QMap<qint64, QByteArray> chunks;
    QByteArray committed;  // the root

  private:
    Reply serve(const Got& got) {
        if (const auto fault = before(got)) return *fault;
        if (got.target == "/uploads")
            return Reply::json({{QStringLiteral("upload_id"), QStringLiteral("u1")},
                                {QStringLiteral("upload_token"), QStringLiteral("t1")},
                                {QStringLiteral("chunk_size"), chunkSize},
                                {QStringLiteral("file_id"), QStringLiteral("f1")},
                                {QStringLiteral("status"),
                                 committed.isEmpty() ? QStringLiteral("open") : QStringLiteral("committed")}},
                               201);
        if (got.token != "t1") return Reply::problem(401, "unauthorized", "Another token.");
        if (got.target.endsWith("/have")) {
            QJsonArray missing;
            for (const QJsonValue& chunk : got.json()[QLatin1String("chunks")].toArray())
                if (!chunks.contains(chunk[QLatin1String("index")].toInteger()))
                    missing.append(chunk[QLatin1String("index")]);
            return Reply::json({{QStringLiteral("missing"), missing}});
        }
        if (got.method == "PUT") {
            chunks[got.target.mid(got.target.lastIndexOf('/') + 1).toLongLong()] = got.body;
            return {.status = 204, .body = ""};
        }
        committed = got.json()[QLatin1String("root")].toString().toLatin1();
        return Reply::json({{QStringLiteral("file_id"), QStringLiteral("f1")}});
    }

    ScriptedServer server_{[this](const Got& got) { return serve(got); }};
};

}  // namespace

class UploadTest : public QObject {
    Q_OBJECT

  private:
    QTemporaryDir folder_;
    QThreadPool pool_;

    UploadTask taskOf(const QByteArray& bytes, const QString& name = QStringLiteral("file.bin")) {
        QFile file(folder_.filePath(QUuid::createUuid().toString(QUuid::WithoutBraces)));
        if (!file.open(QIODevice::WriteOnly)) qFatal("no temporary file");
        file.write(bytes);
        file.close();
        return {.file = *LocalFile::at(file.fileName()), .name = name, .folderId = {}, .key = file.fileName()};
    }

  private slots:
    void sendsEveryByteOnce_data() {
        QTest::addColumn<qsizetype>("size");
        for (const qsizetype size : {0, 1, 999, 1000, 1001, 25'500}) QTest::addRow("%lld", qint64(size)) << size;
    }
    void sendsEveryByteOnce() {
        QFETCH(qsizetype, size);
        const QByteArray bytes = randomBytes(size);
        Uploads server;
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(bytes));
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
        QCOMPARE(server.content(), bytes);
        QCOMPARE(server.count("PUT", "/chunks/"), (size + chunkSize - 1) / chunkSize);
        QCOMPARE(upload.doneBytes(), qint64(size));
        QVERIFY(!server.committed.isEmpty());
    }

    void sendsOnlyWhatIsMissing() {
        const QByteArray bytes = randomBytes(10 * chunkSize);
        Uploads server;
        for (const qint64 index : {0, 3, 4, 9}) server.chunks[index] = bytes.mid(index * chunkSize, chunkSize);
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(bytes));
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
        QCOMPARE(server.content(), bytes);
        QCOMPARE(server.count("PUT", "/chunks/"), 6);
        QCOMPARE(upload.sentBytes(), 6 * chunkSize);
    }

    // Each fault happens once; then the upload goes on to its end, and sends no chunk again that got through.
    void goesOnAfterAFault_data() {
        QTest::addColumn<QByteArray>("method");
        QTest::addColumn<QByteArray>("part");
        QTest::addColumn<int>("kind");
        const char* const calls[][2] = {
            {"POST", "/uploads"}, {"POST", "/have"}, {"PUT", "/chunks/2"}, {"POST", "/commit"}};
        const char* const kinds[] = {"cut", "busy", "limited", "failed", "token over", "expired"};
        for (const auto& call : calls)
            for (int kind = 0; kind < 6; ++kind)
                if (kind < 4 || QByteArray(call[1]) != "/uploads")
                    QTest::addRow("%s %s", kinds[kind], call[1]) << QByteArray(call[0]) << QByteArray(call[1]) << kind;
    }
    void goesOnAfterAFault() {
        QFETCH(QByteArray, method);
        QFETCH(QByteArray, part);
        QFETCH(int, kind);
        const QByteArray bytes = randomBytes(5 * chunkSize);
        int faults = 0;
        Uploads server([&](const Got& got) -> std::optional<Reply> {
            if (faults > 0 || got.method != method || !got.target.endsWith(part)) return std::nullopt;
            ++faults;
            switch (kind) {
                case 0: return Reply{.body = "{}", .cutAfter = 1};
                case 1: return Reply::problem(503, "unavailable", "Soon.");
                case 2: return Reply::problem(429, "too_many_requests", "Slower.");
                case 3: return Reply::problem(500, "internal", "Oh.");
                case 4: return Reply::problem(401, "unauthorized", "Over.");
                default: return Reply::problem(410, "upload_expired", "Gone.");
            }
        });
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(bytes));
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
        QCOMPARE(faults, 1);
        QCOMPARE(server.content(), bytes);
        QVERIFY(server.count("PUT", "/chunks/") <= 5 + 1 + (kind >= 4 ? Upload::flights : 0));
        QCOMPARE(upload.doneBytes(), 5 * chunkSize);
    }

    void failsInWordsWhenNothingHelps_data() {
        QTest::addColumn<QByteArray>("part");
        QTest::addColumn<int>("status");
        QTest::addColumn<QByteArray>("type");
        QTest::newRow("no room for the account") << QByteArray("/uploads") << 507 << QByteArray("quota_exceeded");
        QTest::newRow("a name that cannot be") << QByteArray("/uploads") << 422 << QByteArray("invalid_value");
        QTest::newRow("a folder that is gone") << QByteArray("/uploads") << 404 << QByteArray("not_found");
        QTest::newRow("bytes that never arrive right")
            << QByteArray("/chunks/1") << 422 << QByteArray("checksum_mismatch");
        QTest::newRow("a token that is never good") << QByteArray("/chunks/1") << 401 << QByteArray("unauthorized");
        QTest::newRow("no room at the end") << QByteArray("/commit") << 507 << QByteArray("quota_exceeded");
    }
    void failsInWordsWhenNothingHelps() {
        QFETCH(QByteArray, part);
        QFETCH(int, status);
        QFETCH(QByteArray, type);
        Uploads server([&](const Got& got) -> std::optional<Reply> {
            if (!got.target.endsWith(part)) return std::nullopt;
            return Reply::problem(status, type, "This is why.");
        });
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(randomBytes(3 * chunkSize)));
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::failed, patienceMs);
        QCOMPARE(upload.why(), QStringLiteral("This is why."));
        server.before = [](const Got&) { return std::nullopt; };
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
    }

    void asksWhatToDoWhenTheNameIsTaken() {
        QStringList wishes;
        Uploads server([&](const Got& got) -> std::optional<Reply> {
            if (!got.target.endsWith("/commit")) return std::nullopt;
            wishes.append(got.json()[QLatin1String("on_conflict")].toString());
            if (wishes.size() == 1) return Reply::problem(409, "name_taken", "There is one.");
            return std::nullopt;
        });
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(randomBytes(chunkSize)));
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::conflict, patienceMs);
        upload.resolve(OnConflict::keepBoth);
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
        QCOMPARE(wishes, (QStringList{QStringLiteral("fail"), QStringLiteral("keep_both")}));
        QCOMPARE(server.count("PUT", "/chunks/"), 1);
    }

    void failsClearlyWhenTheFileIsChanged_data() {
        QTest::addColumn<int>("how");
        QTest::newRow("before it began") << 0;
        QTest::newRow("shorter while it is read") << 1;
        QTest::newRow("longer while it is read") << 2;
        QTest::newRow("gone") << 3;
    }
    void failsClearlyWhenTheFileIsChanged() {
        QFETCH(int, how);
        const UploadTask task = taskOf(randomBytes(40 * chunkSize));
        const auto change = [&] {
            QFile file(task.file.path);
            if (how == 3) return file.remove();
            return how == 1 ? file.resize(5) : file.open(QIODevice::Append) && file.write("more") == 4;
        };
        Uploads server([&](const Got& got) -> std::optional<Reply> {
            if (got.target.endsWith("/chunks/0") && (how == 1 || how == 2)) change();
            return std::nullopt;
        });
        ApiClient api(server.url());
        if (how == 0 || how == 3) QVERIFY(change());
        Upload upload(api, pool_, task);
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::failed, patienceMs);
        QVERIFY(!upload.why().isEmpty());
        QVERIFY(server.committed.isEmpty());
    }

    void goesOnWhereItWasPaused() {
        const QByteArray bytes = randomBytes(30 * chunkSize);
        Upload* running = nullptr;
        Uploads server([&](const Got& got) -> std::optional<Reply> {
            if (got.target.endsWith("/chunks/7")) QTimer::singleShot(0, running, [&] { running->pause(); });
            return std::nullopt;
        });
        ApiClient api(server.url());
        Upload upload(api, pool_, taskOf(bytes));
        running = &upload;
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::idle, patienceMs);
        server.before = [](const Got&) { return std::nullopt; };
        const qsizetype before = server.count("PUT", "/chunks/");
        QVERIFY(before < 30);
        upload.start();
        QTRY_COMPARE_WITH_TIMEOUT(upload.state(), State::done, patienceMs);
        QCOMPARE(server.content(), bytes);
        QVERIFY(server.count("PUT", "/chunks/") <= 30 + Upload::flights);
    }

    void survivesTheRealServersEndAndItsOwn() {
        RealServer server({{QStringLiteral("CHUNK_SIZE"), QStringLiteral("64K")}});
        QVERIFY(server.start());
        Account account;
        const auto api = test::newAccount(server.url(), QStringLiteral("alice"), &account);
        QVERIFY(api);
        const QByteArray bytes = randomBytes(8 << 20);
        UploadTask task = taskOf(bytes);
        task.folderId = account.rootFolder;
        qint64 sent = 0;
        {
            Upload first(*api, pool_, task);
            first.start();
            QTRY_VERIFY_WITH_TIMEOUT(first.sentBytes() > (2 << 20), patienceMs);
            server.kill();
            QTRY_COMPARE_WITH_TIMEOUT(first.state(), State::waiting, patienceMs);
            QVERIFY(server.start());
            QTRY_VERIFY_WITH_TIMEOUT(first.sentBytes() > (4 << 20), patienceMs);
            sent = first.sentBytes();
        }
        Upload second(*api, pool_, task);
        second.start();
        QTRY_COMPARE_WITH_TIMEOUT(second.state(), State::done, patienceMs);
        sent += second.sentBytes();
        QVERIFY2(sent <= bytes.size() + 2 * (Upload::flights * 65'536), qPrintable(QString::number(sent)));
        const Answer info = answerOf(*api, {.method = "GET", .path = QStringLiteral("/files/") + second.fileId()});
        QCOMPARE(info.body[QLatin1String("sha256")].toString().toLatin1(),
                 QCryptographicHash::hash(bytes, QCryptographicHash::Sha256).toHex());
        Upload again(*api, pool_, task);
        again.start();
        QTRY_COMPARE_WITH_TIMEOUT(again.state(), State::done, patienceMs);
        QCOMPARE(again.sentBytes(), 0);
    }
};

}  // namespace chunkvault::desktop

QTEST_GUILESS_MAIN(chunkvault::desktop::UploadTest)
#include "upload_test.moc"
