// An HTTP server in the test's own thread that answers as the test says: also not at all, and in the middle of it.
#pragma once

#include <QByteArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QPointer>
#include <QTcpServer>
#include <QTcpSocket>
#include <QUrl>
#include <functional>
#include <memory>
#include <vector>

namespace chunkvault::desktop::test {

struct Got {
    QByteArray method;
    QByteArray target;  // path and query
    QByteArray token;   // of Authorization: Bearer
    QByteArray body;
    [[nodiscard]] QJsonObject json() const { return QJsonDocument::fromJson(body).object(); }
};

struct Reply {
    int status = 200;
    QByteArray body = "{}";
    QByteArray headers = {};  // each ended by CR LF
    qsizetype cutAfter = -1;  // bytes of the body; -1: whole
    bool silent = false;      // no answer, and the connection stays

    static Reply json(const QJsonObject& object, int status = 200) {
        return {.status = status, .body = QJsonDocument(object).toJson(QJsonDocument::Compact)};
    }
    static Reply problem(int status, const QByteArray& type, const QByteArray& detail) {
        return json({{QStringLiteral("type"), QString::fromLatin1("urn:chunkvault:error:" + type)},
                     {QStringLiteral("detail"), QString::fromUtf8(detail)},
                     {QStringLiteral("request_id"), QStringLiteral("r1")}},
                    status);
    }
};

class ScriptedServer {
  public:
    using Script = std::function<Reply(const Got&)>;

    explicit ScriptedServer(Script script) : script_(std::move(script)) {
        server_.listen(QHostAddress::LocalHost);
        QObject::connect(&server_, &QTcpServer::newConnection, [this] {
            while (QTcpSocket* socket = server_.nextPendingConnection()) {
                auto arrived = std::make_shared<QByteArray>();
                QObject::connect(socket, &QTcpSocket::readyRead, socket, [this, socket, arrived] {
                    arrived->append(socket->readAll());
                    while (serveOne(*socket, *arrived)) {
                    }
                });
                QObject::connect(socket, &QTcpSocket::disconnected, socket, &QObject::deleteLater);
            }
        });
    }

    [[nodiscard]] QUrl url() const { return QUrl(QStringLiteral("http://127.0.0.1:%1").arg(server_.serverPort())); }
    void setScript(Script script) { script_ = std::move(script); }
    [[nodiscard]] const std::vector<Got>& got() const { return got_; }
    void close() { server_.close(); }

  private:
    bool serveOne(QTcpSocket& socket, QByteArray& arrived) {
        const qsizetype end = arrived.indexOf("\r\n\r\n");
        if (end < 0) return false;
        Got got;
        qsizetype length = 0;
        const QList<QByteArray> lines = arrived.left(end).split('\n');
        const QList<QByteArray> first = lines[0].trimmed().split(' ');
        got.method = first[0];
        got.target = first[1];
        for (const QByteArray& line : lines) {
            const QByteArray name = line.left(line.indexOf(':')).toLower();
            const QByteArray value = line.mid(line.indexOf(':') + 1).trimmed();
            if (name == "content-length") length = value.toLongLong();
            if (name == "authorization" && value.startsWith("Bearer ")) got.token = value.mid(7);
        }
        if (arrived.size() < end + 4 + length) return false;
        got.body = arrived.mid(end + 4, length);
        arrived.remove(0, end + 4 + length);
        got_.push_back(got);
        const Reply reply = script_(got);
        if (reply.silent) return true;
        socket.write("HTTP/1.1 " + QByteArray::number(reply.status) + " x\r\nContent-Type: application/json\r\n" +
                     reply.headers + "Content-Length: " + QByteArray::number(reply.body.size()) + "\r\n\r\n" +
                     reply.body.left(reply.cutAfter < 0 ? reply.body.size() : reply.cutAfter));
        if (reply.cutAfter >= 0) socket.disconnectFromHost();
        return true;
    }

    Script script_;
    std::vector<Got> got_;
    QTcpServer server_;
};

}  // namespace chunkvault::desktop::test
