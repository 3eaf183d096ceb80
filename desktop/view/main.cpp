#include <QApplication>
#include <QCommandLineParser>
#include <QJsonDocument>
#include <QJsonObject>
#include <memory>

#include "desktop/settings/secret_store.h"
#include "desktop/settings/settings.h"
#include "desktop/view/main_window.h"
#include "desktop/view/sign_in_dialog.h"

namespace chunkvault::desktop {

namespace {

// Signs in, by what was kept or by asking, and shows the window; again when the session has ended.
class Application : public QObject {
  public:
    explicit Application(const QString& server) {
        if (!server.isEmpty() && serverFrom(server).toString() != settings_.get(setting::server)) {
            settings_.set(setting::server, serverFrom(server).toString());
            settings_.set(setting::user, {});
            settings_.set(setting::certificate, {});
        }
    }

    void start() {
        if (settings_.get(setting::user).isEmpty()) return ask({});
        secrets_.read(keyOfAccount(), this, [this](const std::optional<QString>& kept) {
            if (!kept) return ask({});
            const QJsonObject json = QJsonDocument::fromJson(kept->toUtf8()).object();
            resume({json[QLatin1String("access")].toString(), json[QLatin1String("refresh")].toString()});
        });
    }

  private:
    [[nodiscard]] QString keyOfAccount() const {
        return QStringLiteral("%1@%2").arg(settings_.get(setting::user), settings_.get(setting::server));
    }

    void ask(const QString& why) {
        // Between a dialog and a window there is none for a moment.
        QApplication::setQuitOnLastWindowClosed(false);
        SignInDialog dialog(settings_, secrets_, why);
        if (dialog.exec() != QDialog::Accepted) return QApplication::quit();
        open(dialog.takeClient(), dialog.account());
    }

    void resume(const Credentials& credentials) {
        signIn_ = std::make_unique<SignIn>();
        connect(signIn_.get(), &SignIn::signedIn, this,
                [this](const Account& account) { open(signIn_->takeClient(), account); });
        connect(signIn_.get(), &SignIn::serverFound, this, [this, credentials] { signIn_->resume(credentials); });
        connect(signIn_.get(), &SignIn::failed, this, [this](const Problem& problem) { ask(problem.text); });
        signIn_->look(settings_.get(setting::server), settings_.get(setting::certificate));
    }

    void open(std::unique_ptr<ApiClient> client, const Account& account) {
        keep(*client);
        connect(client.get(), &ApiClient::credentialsChanged, this, [this, api = client.get()] { keep(*api); });
        window_ = std::make_unique<MainWindow>(std::move(client), account, settings_);
        connect(
            window_.get(), &MainWindow::signedOut, this,
            [this](const QString& why) {
                secrets_.remove(keyOfAccount());
                window_.release()->deleteLater();
                ask(why);
            },
            Qt::QueuedConnection);
        window_->show();
        QApplication::setQuitOnLastWindowClosed(true);
    }

    void keep(const ApiClient& api) {
        const QJsonObject json{{QStringLiteral("access"), api.credentials().accessToken},
                               {QStringLiteral("refresh"), api.credentials().refreshToken}};
        secrets_.write(keyOfAccount(), QString::fromUtf8(QJsonDocument(json).toJson(QJsonDocument::Compact)));
    }

    Settings settings_;
    KeychainStore secrets_{QStringLiteral("ChunkVault")};
    std::unique_ptr<SignIn> signIn_;
    std::unique_ptr<MainWindow> window_;
};

}  // namespace

}  // namespace chunkvault::desktop

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    QApplication::setApplicationName(QStringLiteral("ChunkVault"));
    QApplication::setOrganizationName(QStringLiteral("ChunkVault"));
    QApplication::setApplicationVersion(QStringLiteral(CHUNKVAULT_VERSION));
    QCommandLineParser options;
    options.setApplicationDescription(QApplication::tr("Files that you host yourself."));
    options.addHelpOption();
    options.addVersionOption();
    const QCommandLineOption server(QStringLiteral("server"), QApplication::tr("The server to sign in to."),
                                    QApplication::tr("address"));
    options.addOption(server);
    options.process(app);
    chunkvault::desktop::Application application(options.value(server));
    application.start();
    return QApplication::exec();
}
