#include "desktop/api/sign_in.h"

namespace chunkvault::desktop {

namespace {

constexpr auto productName = "ChunkVault";

Problem notChunkVault(const QUrl& server) {
    return {Problem::Kind::notChunkVault,
            SignIn::tr("What answers at %1 is not a ChunkVault server.").arg(server.toString())};
}

}  // namespace

Account Account::from(const QJsonObject& me) {
    return {.id = me[QLatin1String("user_id")].toString(),
            .name = me[QLatin1String("username")].toString(),
            .email = me[QLatin1String("email")].toString(),
            .isAdmin = me[QLatin1String("role")].toString() == QLatin1String("admin"),
            .rootFolder = me[QLatin1String("root_folder_id")].toString(),
            .usedBytes = me[QLatin1String("used")].toInteger(),
            .quotaBytes = me[QLatin1String("quota")].toInteger(-1)};
}

SignIn::SignIn(QObject* parent) : QObject(parent) {}

void SignIn::look(const QString& address, const QString& pinned) {
    const QUrl server = serverFrom(address);
    if (server.isEmpty()) {
        emit failed({Problem::Kind::refused,
                     tr("\"%1\" is not the address of a server. Write it as https://vault.example.org.").arg(address)});
        return;
    }
    client_ = std::make_unique<ApiClient>(server);
    client_->setPinnedCertificate(pinned);
    lookAgain();
}

void SignIn::acceptCertificate() {
    client_->setPinnedCertificate(unknownFingerprint_);
    lookAgain();
}

void SignIn::lookAgain() {
    client_->call(
        {.method = "GET", .path = QStringLiteral("/"), .authorised = false}, this, [this](const Answer& answer) {
            if (!answer.good()) {
                unknownFingerprint_ = answer.problem->fingerprint;
                emit failed(*answer.problem);
            } else if (answer.body[QLatin1String("name")].toString() != QLatin1String(productName)) {
                emit failed(notChunkVault(client_->server()));
            } else {
                emit serverFound({.version = answer.body[QLatin1String("version")].toString(),
                                  .registrationOpen =
                                      answer.body[QLatin1String("registration")].toString() == QLatin1String("open")});
            }
        });
}

void SignIn::signIn(const QString& user, const QString& password) {
    user_ = user;
    password_ = password;
    login({});
}

void SignIn::registerAccount(const QString& user, const QString& email, const QString& password) {
    const Request request{.method = "POST",
                          .path = QStringLiteral("/auth/register"),
                          .body = {{QStringLiteral("username"), user},
                                   {QStringLiteral("email"), email},
                                   {QStringLiteral("password"), password}},
                          .authorised = false};
    client_->call(request, this, [this, user, password](const Answer& answer) {
        if (answer.good()) signIn(user, password);
        else emit failed(*answer.problem);
    });
}

void SignIn::changePassword(const QString& password) { login(password); }

void SignIn::login(const QString& newPassword) {
    QJsonObject body{{QStringLiteral("username"), user_}, {QStringLiteral("password"), password_}};
    if (!newPassword.isEmpty()) body[QLatin1String("new_password")] = newPassword;
    const Request request{
        .method = "POST", .path = QStringLiteral("/auth/login"), .body = std::move(body), .authorised = false};
    client_->call(request, this, [this](const Answer& answer) {
        if (!answer.good()) {
            emit failed(*answer.problem);
            return;
        }
        if (answer.body[QLatin1String("must_change_password")].toBool()) {
            emit passwordChangeNeeded();
            return;
        }
        user_.clear();
        password_.clear();
        resume({answer.body[QLatin1String("access_token")].toString(),
                answer.body[QLatin1String("refresh_token")].toString()});
    });
}

void SignIn::signInWithToken(const QString& token) { resume({token.trimmed(), {}}); }

void SignIn::resume(const Credentials& credentials) {
    client_->setCredentials(credentials);
    askWho();
}

void SignIn::askWho() {
    client_->call({.method = "GET", .path = QStringLiteral("/me")}, this, [this](const Answer& answer) {
        if (answer.good()) emit signedIn(Account::from(answer.body));
        else emit failed(*answer.problem);
    });
}

}  // namespace chunkvault::desktop
