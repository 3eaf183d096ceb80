// The steps from an address to a signed-in account:
//
//   look(address) --> serverFound --> signIn / signInWithToken / registerAccount --> signedIn
//        |                                   |
//        v                                   v
//   failed(certificateUnknown)        passwordChangeNeeded --> changePassword --> signedIn
//        |
//        v
//   acceptCertificate --> looks again
//
// A step that fails emits failed and can be repeated; look begins anew at any time. One step at once.
#pragma once

#include <memory>

#include "desktop/api/api_client.h"

namespace chunkvault::desktop {

struct ServerInfo {
    QString version;
    bool registrationOpen = false;
};

struct Account {
    QString id;
    QString name;
    QString email;
    bool isAdmin = false;
    QString rootFolder;
    qint64 usedBytes = 0;
    qint64 quotaBytes = -1;  // -1: unlimited

    [[nodiscard]] static Account from(const QJsonObject& me);
};

class SignIn final : public QObject {
    Q_OBJECT

  public:
    explicit SignIn(QObject* parent = nullptr);

    // pinned: the fingerprint of the certificate that was accepted for this server before; empty when none was.
    void look(const QString& address, const QString& pinned = {});
    // Pins the certificate of the last failed look, and looks again.
    void acceptCertificate();

    void signIn(const QString& user, const QString& password);
    void signInWithToken(const QString& token);
    void registerAccount(const QString& user, const QString& email, const QString& password);
    // After passwordChangeNeeded.
    void changePassword(const QString& password);
    // With what was kept from an earlier run.
    void resume(const Credentials& credentials);

    // After signedIn: with the credentials, for who goes on. Begin a new SignIn for another account.
    [[nodiscard]] std::unique_ptr<ApiClient> takeClient() { return std::move(client_); }
    [[nodiscard]] const ApiClient* client() const { return client_.get(); }

  signals:
    void serverFound(const chunkvault::desktop::ServerInfo& server);
    void passwordChangeNeeded();
    void signedIn(const chunkvault::desktop::Account& account);
    void failed(const chunkvault::desktop::Problem& problem);

  private:
    void lookAgain();
    void login(const QString& newPassword);
    void askWho();

    std::unique_ptr<ApiClient> client_;
    QString unknownFingerprint_;
    QString user_, password_;  // between login and change of the password only
};

}  // namespace chunkvault::desktop
