// Calls of one server's REST API for one account.
#pragma once

#include <QJsonObject>
#include <QNetworkAccessManager>
#include <QObject>
#include <QPointer>
#include <QUrl>
#include <QUrlQuery>
#include <functional>
#include <optional>
#include <vector>

#include "desktop/api/problem.h"

class QNetworkReply;

namespace chunkvault::desktop {

// What proves to the server who calls. Never written to a log or a settings file.
struct Credentials {
    QString accessToken;   // of a session, or an API token
    QString refreshToken;  // empty for an API token
    [[nodiscard]] bool isEmpty() const { return accessToken.isEmpty() && refreshToken.isEmpty(); }
    bool operator==(const Credentials&) const = default;
};

struct Answer {
    int status = 0;  // HTTP; 0: none came
    QJsonObject body;
    std::optional<Problem> problem;  // set when status is not 2xx
    [[nodiscard]] bool good() const { return !problem; }
};

struct Request {
    QByteArray method;  // GET, POST, PATCH, PUT, DELETE
    QString path;       // "/files"
    QUrlQuery query = {};
    QJsonObject body = {};                  // sent when the method is POST or PATCH
    QByteArray chunk = {};                  // sent when the method is PUT, with
    QByteArray digest = {};                 // its SHA-256, 32 bytes
    int timeoutMs = 30'000;                 // without a byte moving
    bool authorised = true;                 // by the account's credentials, or by
    QString token = {};                     // this one, which is not refreshed
    std::function<void(qint64)> sent = {};  // told how many bytes of the chunk have left
};

// For one thread: the one that made it. A call that is refused because the access token has run out is made again after
// one refresh, whoever else waits for it; when the session cannot be refreshed, everybody gets signedOut.
class ApiClient final : public QObject {
    Q_OBJECT

  public:
    using Done = std::function<void(const Answer&)>;

    // server: with scheme and host, and a path when it lies below one.
    explicit ApiClient(QUrl server, QObject* parent = nullptr);

    [[nodiscard]] const QUrl& server() const { return server_; }
    // Whether what is sent can be read on the way: http, and not to this machine itself.
    [[nodiscard]] bool isInTheClear() const;

    [[nodiscard]] const Credentials& credentials() const { return credentials_; }
    void setCredentials(Credentials credentials);

    // The one certificate that is accepted from now on, whoever vouches for it: its SHA-256 as in Problem. Empty: those
    // that the system trusts.
    void setPinnedCertificate(QString fingerprint);
    [[nodiscard]] const QString& pinnedCertificate() const { return pinned_; }

    // Calls done once, later, on this thread. When context or this is destroyed before, the call is given up.
    void call(const Request& request, QObject* context, Done done);

  signals:
    // A refresh gave others: keep them.
    void credentialsChanged();
    // The session cannot be refreshed: it was revoked, or the account disabled.
    void signedOut(const Problem& problem);

  private:
    struct Pending {
        Request request;
        QPointer<QObject> context;
        Done done;
        QString sentWith;  // the access token
    };

    void send(Pending pending);
    void finish(const Pending& pending, const Answer& answer);
    void refreshFor(Pending pending);
    void checkCertificate(QNetworkReply* reply);
    [[nodiscard]] QUrl urlOf(const Request& request) const;
    [[nodiscard]] Answer answerOf(QNetworkReply* reply) const;
    [[nodiscard]] Problem problemOf(QNetworkReply* reply, int status, const QJsonObject& body) const;

    const QUrl server_;
    QNetworkAccessManager network_;
    Credentials credentials_;
    QString pinned_;
    bool refreshing_ = false;
    std::vector<Pending> waiting_;  // for the refresh
};

// "AB:CD:..." of the SHA-256 of a certificate in DER.
[[nodiscard]] QString fingerprintOf(const QByteArray& der);

// What people type as the address of a server: "vault.example.org", "127.0.0.1:8000". https is assumed, save for this
// machine. Invalid when it is none.
[[nodiscard]] QUrl serverFrom(const QString& typed);

}  // namespace chunkvault::desktop
