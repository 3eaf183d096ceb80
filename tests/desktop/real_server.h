// The real server as a process of a test's own, with its data in a temporary folder.
#pragma once

#include <QElapsedTimer>
#include <QFile>
#include <QNetworkAccessManager>
#include <QNetworkReply>
#include <QProcess>
#include <QSignalSpy>
#include <QTcpServer>
#include <QTemporaryDir>
#include <QTest>
#include <QUrl>

namespace chunkvault::desktop::test {

class RealServer {
  public:
    explicit RealServer(const QList<std::pair<QString, QString>>& settings = {}) {
        QTcpServer probe;
        probe.listen(QHostAddress::LocalHost);
        port_ = probe.serverPort();
        environment_.insert(QStringLiteral("PATH"), qEnvironmentVariable("PATH"));
        for (const char* options : {"ASAN_OPTIONS", "UBSAN_OPTIONS"})
            environment_.insert(QLatin1String(options), qEnvironmentVariable(options));
        environment_.insert(QStringLiteral("DATA_DIR"), folder_.filePath(QStringLiteral("data")));
        environment_.insert(QStringLiteral("PORT"), QString::number(port_));
        environment_.insert(QStringLiteral("BCRYPT_COST"), QStringLiteral("4"));
        environment_.insert(QStringLiteral("STOP_TIMEOUT"), QStringLiteral("1s"));
        for (const auto& [name, value] : settings) environment_.insert(name, value);
        tls_ = environment_.contains(QStringLiteral("TLS_CERT"));
    }
    ~RealServer() { stop(); }

    // Returns when it can be used; false when it could not.
    [[nodiscard]] bool start() {
        process_.setProcessEnvironment(environment_);
        process_.setStandardOutputFile(folder_.filePath(QStringLiteral("log")), QIODevice::Append);
        process_.setProcessChannelMode(QProcess::MergedChannels);
        const QString folder = qEnvironmentVariable("CHUNKVAULT_BIN", QCoreApplication::applicationDirPath());
        process_.start(folder + QStringLiteral("/chunkvault-server"), {});
        QNetworkAccessManager network;
        QObject::connect(&network, &QNetworkAccessManager::sslErrors,
                         [](QNetworkReply* reply, const auto&) { reply->ignoreSslErrors(); });
        QElapsedTimer waited;
        waited.start();
        while (waited.elapsed() < startMs && process_.state() != QProcess::NotRunning) {
            QUrl ready = url();
            ready.setPath(QStringLiteral("/health/ready"));
            QNetworkReply* reply = network.get(QNetworkRequest(ready));
            QSignalSpy finished(reply, &QNetworkReply::finished);
            finished.wait(1'000);
            const bool good = reply->error() == QNetworkReply::NoError;
            reply->deleteLater();
            if (good) return true;
            QTest::qWait(20);
        }
        return false;
    }
    void stop() {
        if (process_.state() == QProcess::NotRunning) return;
        process_.terminate();
        if (!process_.waitForFinished(stopMs)) process_.kill();
        process_.waitForFinished();
    }
    void kill() {
        process_.kill();
        process_.waitForFinished();
    }

    [[nodiscard]] QUrl url() const {
        return QUrl(QStringLiteral("%1://127.0.0.1:%2").arg(QLatin1String(tls_ ? "https" : "http")).arg(port_));
    }
    [[nodiscard]] QString log() const {
        QFile file(folder_.filePath(QStringLiteral("log")));
        return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
    }

  private:
    static constexpr int startMs = 60'000, stopMs = 60'000;

    QTemporaryDir folder_;
    QProcessEnvironment environment_;
    QProcess process_;
    quint16 port_ = 0;
    bool tls_ = false;
};

}  // namespace chunkvault::desktop::test
