#include "desktop/api/api_client.h"

#include <QCryptographicHash>
#include <QHostAddress>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QNetworkRequest>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslError>
#include <utility>

namespace chunkvault::desktop {

namespace {

constexpr auto typePrefix = "urn:chunkvault:error:";
constexpr auto fingerprintProperty = "chunkvault_fingerprint";
constexpr qint64 mostAnswerBytes = 64 << 20;  // the largest page there is has some 2 MB

bool isThisMachine(const QString& host) {
    return host == QLatin1String("localhost") || QHostAddress(host).isLoopback();
}

Problem offline(QNetworkReply::NetworkError error, const QUrl& server) {
    const QString host = server.host();
    switch (error) {
        case QNetworkReply::HostNotFoundError:
            return {Problem::Kind::offline, ApiClient::tr("There is no server called %1, or no network.").arg(host)};
        case QNetworkReply::ConnectionRefusedError:
            return {Problem::Kind::offline,
                    ApiClient::tr("Nothing answers at %1. Is the server running, and the port right?")
                        .arg(server.authority())};
        case QNetworkReply::OperationCanceledError:
        case QNetworkReply::TimeoutError:
            return {Problem::Kind::offline, ApiClient::tr("%1 does not answer in time.").arg(host)};
        default: return {Problem::Kind::offline, ApiClient::tr("The connection to %1 broke.").arg(host)};
    }
}

}  // namespace

QString fingerprintOf(const QByteArray& der) {
    return QString::fromLatin1(QCryptographicHash::hash(der, QCryptographicHash::Sha256).toHex(':').toUpper());
}

QUrl serverFrom(const QString& typed) {
    const QString text = typed.trimmed();
    if (text.isEmpty()) return {};
    QUrl url(text.contains(QLatin1String("://")) ? text : QStringLiteral("https://") + text, QUrl::StrictMode);
    if (!text.contains(QLatin1String("://")) && isThisMachine(url.host())) url.setScheme(QStringLiteral("http"));
    const bool known = url.scheme() == QLatin1String("http") || url.scheme() == QLatin1String("https");
    if (!url.isValid() || url.host().isEmpty() || !known) return {};
    if (url.hasQuery() || url.hasFragment() || !url.userInfo().isEmpty()) return {};
    QString path = url.path();
    while (path.endsWith(QLatin1Char('/'))) path.chop(1);
    url.setPath(path);
    return url;
}

ApiClient::ApiClient(QUrl server, QObject* parent) : QObject(parent), server_(std::move(server)), network_(this) {
    network_.setRedirectPolicy(QNetworkRequest::ManualRedirectPolicy);
    connect(&network_, &QNetworkAccessManager::encrypted, this, &ApiClient::checkCertificate);
    connect(&network_, &QNetworkAccessManager::sslErrors, this, [this](QNetworkReply* reply, const auto&) {
        checkCertificate(reply);
        if (!pinned_.isEmpty() && reply->property(fingerprintProperty).toString() == pinned_) reply->ignoreSslErrors();
    });
}

bool ApiClient::isInTheClear() const {
    return server_.scheme() == QLatin1String("http") && !isThisMachine(server_.host());
}

void ApiClient::setCredentials(Credentials credentials) { credentials_ = std::move(credentials); }

void ApiClient::setPinnedCertificate(QString fingerprint) {
    pinned_ = std::move(fingerprint);
    network_.clearConnectionCache();
}

// Before anything is sent: for each new connection, and for one whose certificate nobody vouches for.
void ApiClient::checkCertificate(QNetworkReply* reply) {
    const QString found = fingerprintOf(reply->sslConfiguration().peerCertificate().toDer());
    reply->setProperty(fingerprintProperty, found);
    if (!pinned_.isEmpty() && found != pinned_) reply->abort();
}

QUrl ApiClient::urlOf(const Request& request) const {
    QUrl url = server_;
    url.setPath(server_.path() + request.path, QUrl::StrictMode);
    url.setQuery(request.query);
    return url;
}

void ApiClient::call(const Request& request, QObject* context, Done done) {
    send({request, context, std::move(done), {}});
}

void ApiClient::send(Pending pending) {
    if (pending.context == nullptr) return;
    const bool own = pending.request.authorised && pending.request.token.isEmpty();
    if (own && refreshing_) {
        waiting_.push_back(std::move(pending));
        return;
    }
    QNetworkRequest http(urlOf(pending.request));
    http.setTransferTimeout(pending.request.timeoutMs);
    http.setRawHeader("Accept", "application/json");
    if (pending.request.authorised) {
        pending.sentWith = own ? credentials_.accessToken : pending.request.token;
        http.setRawHeader("Authorization", "Bearer " + pending.sentWith.toLatin1());
    }
    QByteArray body;
    if (pending.request.method == "PUT") {
        body = pending.request.chunk;
        http.setRawHeader("Content-Digest", "sha-256=:" + pending.request.digest.toBase64() + ":");
        http.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/octet-stream"));
    }
    if (pending.request.method == "POST" || pending.request.method == "PATCH") {
        body = QJsonDocument(pending.request.body).toJson(QJsonDocument::Compact);
        http.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
    }
    QNetworkReply* reply = network_.sendCustomRequest(http, pending.request.method, body);
    connect(reply, &QNetworkReply::downloadProgress, reply, [reply](qint64 received, qint64) {
        if (received > mostAnswerBytes) reply->abort();
    });
    connect(pending.context, &QObject::destroyed, reply, &QNetworkReply::abort);
    if (pending.request.sent)
        connect(reply, &QNetworkReply::uploadProgress, pending.context,
                [sent = pending.request.sent](qint64 bytes, qint64) { sent(bytes); });
    connect(reply, &QNetworkReply::finished, this, [this, reply, own, pending = std::move(pending)]() mutable {
        reply->deleteLater();
        const Answer answer = answerOf(reply);
        if (answer.status == 401 && own && pending.context != nullptr && !credentials_.refreshToken.isEmpty()) {
            if (pending.sentWith == credentials_.accessToken) refreshFor(std::move(pending));
            else send(std::move(pending));
            return;
        }
        finish(pending, answer);
    });
}

void ApiClient::finish(const Pending& pending, const Answer& answer) {
    if (pending.context != nullptr) pending.done(answer);
}

void ApiClient::refreshFor(Pending pending) {
    waiting_.push_back(std::move(pending));
    if (refreshing_) return;
    refreshing_ = true;
    const Request refresh{.method = "POST",
                          .path = QStringLiteral("/auth/refresh"),
                          .body = {{QStringLiteral("refresh_token"), credentials_.refreshToken}},
                          .authorised = false};
    call(refresh, this, [this](const Answer& answer) {
        refreshing_ = false;
        std::vector<Pending> waiting = std::exchange(waiting_, {});
        if (answer.good()) {
            credentials_ = {answer.body[QLatin1String("access_token")].toString(),
                            answer.body[QLatin1String("refresh_token")].toString()};
            emit credentialsChanged();
            for (Pending& each : waiting) send(std::move(each));
            return;
        }
        Answer failed = answer;
        if (answer.status == 401) {
            failed.problem->kind = Problem::Kind::signedOut;
            failed.problem->text = tr("Your session has ended. Sign in again.");
            credentials_ = {};
        }
        for (const Pending& each : waiting) finish(each, failed);
        if (answer.status == 401) emit signedOut(*failed.problem);
    });
}

Answer ApiClient::answerOf(QNetworkReply* reply) const {
    Answer answer;
    // Errors of the connection and of a proxy; those beyond are the statuses of answers that came whole.
    const bool whole = reply->error() == QNetworkReply::NoError || reply->error() > QNetworkReply::UnknownProxyError;
    if (whole) answer.status = reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt();
    const QByteArray bytes = whole ? reply->readAll() : QByteArray();
    QJsonParseError parsed;
    answer.body = QJsonDocument::fromJson(bytes, &parsed).object();
    if (answer.status >= 200 && answer.status < 300 && (bytes.isEmpty() || parsed.error == QJsonParseError::NoError))
        return answer;
    answer.problem = problemOf(reply, answer.status, answer.body);
    return answer;
}

Problem ApiClient::problemOf(QNetworkReply* reply, int status, const QJsonObject& body) const {
    using Kind = Problem::Kind;
    const QString fingerprint = reply->property(fingerprintProperty).toString();
    if (status == 0 && !fingerprint.isEmpty()) {
        if (!pinned_.isEmpty() && fingerprint != pinned_)
            return {
                .kind = Kind::certificateChanged,
                .text = tr("The certificate of %1 is not the one that you accepted. Either it was renewed, or somebody "
                           "else answers in its place. Nothing was sent.")
                            .arg(server_.host()),
                .fingerprint = fingerprint};
        if (reply->error() == QNetworkReply::SslHandshakeFailedError)
            return {
                .kind = Kind::certificateUnknown,
                .text = tr("Nobody that this computer trusts vouches for the certificate of %1.").arg(server_.host()),
                .fingerprint = fingerprint};
    }
    if (status == 0) return offline(reply->error(), server_);

    const QString type = body[QLatin1String("type")].toString();
    const bool ours = type.startsWith(QLatin1String(typePrefix));
    Problem problem{.kind = Kind::refused, .text = body[QLatin1String("detail")].toString(), .status = status};
    if (ours) problem.type = type.mid(static_cast<qsizetype>(qstrlen(typePrefix)));
    problem.requestId = body[QLatin1String("request_id")].toString();
    problem.retryAfterS = reply->rawHeader("Retry-After").toInt();
    if (status == 429 || status == 503) {
        problem.kind = Kind::busy;
        if (!ours) problem.text = tr("The server is busy.");
    } else if (status >= 500 && problem.type != QLatin1String("quota_exceeded")) {
        problem.kind = Kind::broken;
        if (!ours) problem.text = tr("The server failed (%1).").arg(status);
    } else if (!ours) {
        problem.kind = Kind::notChunkVault;
        problem.text = tr("What answers at %1 is not a ChunkVault server.").arg(server_.toString());
    }
    return problem;
}

}  // namespace chunkvault::desktop
