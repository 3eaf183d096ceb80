#include "desktop/view/sign_in_dialog.h"

#include <QDialogButtonBox>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QStackedWidget>
#include <QVBoxLayout>
#include <utility>

namespace chunkvault::desktop {

namespace {

constexpr int dialogWidth = 440;

QLineEdit* passwordField() {
    auto* field = new QLineEdit;
    field->setEchoMode(QLineEdit::Password);
    return field;
}

QLabel* paragraph(const QString& text = {}) {
    auto* label = new QLabel(text);
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);  // the server's words are never markup
    return label;
}

std::pair<QWidget*, QFormLayout*> formPage() {
    auto* page = new QWidget;
    auto* form = new QFormLayout(page);
    form->setContentsMargins({});
    return {page, form};
}

// A label that names the field for screen readers too.
void addField(QFormLayout* form, const QString& name, QLineEdit* field) {
    field->setAccessibleName(name);
    form->addRow(name, field);
}

}  // namespace

SignInDialog::SignInDialog(Settings& settings, SecretStore& secrets, const QString& why, QWidget* parent)
    : QDialog(parent), settings_(settings), secrets_(secrets) {
    setWindowTitle(tr("Sign in to ChunkVault"));
    setMinimumWidth(dialogWidth);
    pages_ = new QStackedWidget;
    pages_->addWidget(makeServerPage());
    pages_->addWidget(makeAccountPage());
    pages_->addWidget(makeRegisterPage());
    pages_->addWidget(makePasswordPage());
    message_ = paragraph(why);
    message_->setObjectName(QStringLiteral("message"));
    message_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    next_ = new QPushButton(tr("Continue"));
    next_->setDefault(true);
    back_ = new QPushButton(tr("Back"));
    back_->setAutoDefault(false);
    auto* buttons = new QDialogButtonBox;
    buttons->addButton(next_, QDialogButtonBox::ActionRole);
    buttons->addButton(back_, QDialogButtonBox::ActionRole);
    buttons->addButton(QDialogButtonBox::Cancel);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(pages_);
    layout->addWidget(message_);
    layout->addWidget(buttons);

    connect(next_, &QPushButton::clicked, this, &SignInDialog::go);
    connect(back_, &QPushButton::clicked, this,
            [this] { turnTo(pages_->currentIndex() == registerPage ? accountPage : serverPage); });
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(&signIn_, &SignIn::serverFound, this, &SignInDialog::found);
    connect(&signIn_, &SignIn::signedIn, this, &SignInDialog::signedIn);
    connect(&signIn_, &SignIn::failed, this, &SignInDialog::failed);
    connect(&signIn_, &SignIn::passwordChangeNeeded, this, [this] {
        turnTo(passwordPage);
        say(tr("This password was set by somebody else. Choose your own to go on."));
    });
    pages_->setCurrentIndex(serverPage);
    setBusy(false);
}

QWidget* SignInDialog::makeServerPage() {
    auto [page, form] = formPage();
    address_ = new QLineEdit(settings_.get(setting::server));
    address_->setObjectName(QStringLiteral("address"));
    address_->setPlaceholderText(QStringLiteral("https://vault.example.org"));
    addField(form, tr("Server"), address_);
    return page;
}

QWidget* SignInDialog::makeAccountPage() {
    auto [page, form] = formPage();
    server_ = paragraph();
    server_->setObjectName(QStringLiteral("server"));
    clear_ = paragraph(
        tr("Careful: this connection is not encrypted. Whoever is on the way can read your password and files."));
    clear_->setObjectName(QStringLiteral("clear"));
    user_ = new QLineEdit(settings_.get(setting::user));
    user_->setObjectName(QStringLiteral("user"));
    password_ = passwordField();
    password_->setObjectName(QStringLiteral("password"));
    token_ = passwordField();
    token_->setObjectName(QStringLiteral("token"));
    token_->setPlaceholderText(tr("instead of name and password"));
    register_ = new QPushButton(tr("Make a new account…"));
    register_->setAutoDefault(false);
    form->addRow(server_);
    form->addRow(clear_);
    addField(form, tr("Name"), user_);
    addField(form, tr("Password"), password_);
    addField(form, tr("API token"), token_);
    form->addRow(register_);
    connect(register_, &QPushButton::clicked, this, [this] { turnTo(registerPage); });
    return page;
}

QWidget* SignInDialog::makeRegisterPage() {
    auto [page, form] = formPage();
    newUser_ = new QLineEdit;
    email_ = new QLineEdit;
    newUserPassword_ = passwordField();
    form->addRow(paragraph(tr("A new account on this server:")));
    addField(form, tr("Name"), newUser_);
    addField(form, tr("E-mail"), email_);
    addField(form, tr("Password"), newUserPassword_);
    return page;
}

QWidget* SignInDialog::makePasswordPage() {
    auto [page, form] = formPage();
    newPassword_ = passwordField();
    newPassword_->setObjectName(QStringLiteral("newPassword"));
    repeated_ = passwordField();
    repeated_->setObjectName(QStringLiteral("repeated"));
    addField(form, tr("New password"), newPassword_);
    addField(form, tr("Once more"), repeated_);
    return page;
}

void SignInDialog::turnTo(Page page) {
    pages_->setCurrentIndex(page);
    say({});
    setBusy(false);
    pages_->currentWidget()->setFocus();
    for (QLineEdit* field : {user_, password_, newUser_, newPassword_})
        if (field->isVisibleTo(this) && field->text().isEmpty()) {
            field->setFocus();
            break;
        }
}

void SignInDialog::setBusy(bool busy) {
    pages_->setEnabled(!busy);
    next_->setEnabled(!busy);
    back_->setEnabled(!busy);
    back_->setVisible(pages_->currentIndex() != serverPage);
    static constexpr const char* steps[] = {QT_TR_NOOP("Continue"), QT_TR_NOOP("Sign in"),
                                            QT_TR_NOOP("Make the account"), QT_TR_NOOP("Set the password")};
    next_->setText(tr(steps[pages_->currentIndex()]));
}

void SignInDialog::say(const QString& text) {
    message_->setText(text);
    message_->setVisible(!text.isEmpty());
}

void SignInDialog::go() {
    switch (pages_->currentIndex()) {
        case serverPage: {
            const bool known = serverFrom(address_->text()).toString() == settings_.get(setting::server);
            setBusy(true);
            signIn_.look(address_->text(), known ? settings_.get(setting::certificate) : QString());
            break;
        }
        case accountPage:
            setBusy(true);
            if (!token_->text().isEmpty()) signIn_.signInWithToken(token_->text());
            else signIn_.signIn(user_->text().trimmed(), password_->text());
            break;
        case registerPage:
            setBusy(true);
            signIn_.registerAccount(newUser_->text().trimmed(), email_->text().trimmed(), newUserPassword_->text());
            break;
        default:
            if (newPassword_->text() != repeated_->text()) {
                say(tr("The two are not the same."));
                return;
            }
            setBusy(true);
            signIn_.changePassword(newPassword_->text());
    }
}

void SignInDialog::found(const ServerInfo& server) {
    registrationOpen_ = server.registrationOpen;
    server_->setText(tr("ChunkVault %1 at %2").arg(server.version, signIn_.client()->server().authority()));
    clear_->setVisible(signIn_.client()->isInTheClear());
    register_->setVisible(registrationOpen_);
    turnTo(accountPage);
}

void SignInDialog::signedIn(const Account& account) {
    account_ = account;
    const ApiClient& client = *signIn_.client();
    settings_.set(setting::server, client.server().toString());
    settings_.set(setting::user, account.name);
    settings_.set(setting::certificate, client.pinnedCertificate());
    accept();
}

void SignInDialog::failed(const Problem& problem) {
    setBusy(false);
    if (problem.kind == Problem::Kind::certificateUnknown) {
        const auto answer = QMessageBox::warning(this, tr("Unknown certificate"),
                                                 tr("%1\n\nIf it is your own server, compare this fingerprint "
                                                    "(SHA-256) with the one of its certificate:\n\n%2"
                                                    "\n\nTrust this certificate, and no other, from now on?")
                                                     .arg(problem.text, problem.fingerprint),
                                                 QMessageBox::Yes | QMessageBox::No, QMessageBox::No);
        if (answer == QMessageBox::Yes) {
            setBusy(true);
            signIn_.acceptCertificate();
            return;
        }
    }
    if (problem.kind == Problem::Kind::certificateChanged) {
        const auto answer = QMessageBox::critical(this, tr("The certificate has changed"),
                                                  tr("%1\n\nThe fingerprint (SHA-256) is now:\n\n%2\n\nOnly if you "
                                                     "know that it was renewed: trust the new one?")
                                                      .arg(problem.text, problem.fingerprint),
                                                  QMessageBox::Yes | QMessageBox::No, QMessageBox::No);
        if (answer == QMessageBox::Yes) {
            setBusy(true);
            signIn_.acceptCertificate();
            return;
        }
    }
    say(problem.text);
}

}  // namespace chunkvault::desktop
