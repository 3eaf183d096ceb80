// From the address of a server to a signed-in account.
#pragma once

#include <QDialog>
#include <memory>

#include "desktop/api/sign_in.h"
#include "desktop/settings/secret_store.h"
#include "desktop/settings/settings.h"

class QCheckBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QStackedWidget;

namespace chunkvault::desktop {

class SignInDialog final : public QDialog {
    Q_OBJECT

  public:
    // Both outlive it. why: a line for the user, when it is not the first thing shown.
    SignInDialog(Settings& settings, SecretStore& secrets, const QString& why = {}, QWidget* parent = nullptr);

    // After it was accepted.
    [[nodiscard]] std::unique_ptr<ApiClient> takeClient() { return signIn_.takeClient(); }
    [[nodiscard]] const Account& account() const { return account_; }

  private:
    enum Page { serverPage, accountPage, registerPage, passwordPage };

    [[nodiscard]] QWidget* makeServerPage();
    [[nodiscard]] QWidget* makeAccountPage();
    [[nodiscard]] QWidget* makeRegisterPage();
    [[nodiscard]] QWidget* makePasswordPage();
    void go();  // the next step of the page that is shown
    void turnTo(Page page);
    void setBusy(bool busy);
    void say(const QString& text);
    void found(const ServerInfo& server);
    void signedIn(const Account& account);
    void failed(const Problem& problem);

    Settings& settings_;
    SecretStore& secrets_;
    SignIn signIn_;
    Account account_;
    bool registrationOpen_ = false;

    QStackedWidget* pages_;
    QLabel* message_;
    QPushButton *next_, *back_;
    QLineEdit* address_;
    QLabel *server_, *clear_;
    QLineEdit *user_, *password_, *token_;
    QPushButton* register_;
    QLineEdit *newUser_, *email_, *newUserPassword_;
    QLineEdit *newPassword_, *repeated_;
};

}  // namespace chunkvault::desktop
