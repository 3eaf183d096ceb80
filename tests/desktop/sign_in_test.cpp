#include "desktop/api/sign_in.h"

#include <QProcess>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include "tests/desktop/accounts.h"
#include "tests/desktop/real_server.h"
#include "tests/desktop/scripted_server.h"

namespace chunkvault::desktop {

using test::Got;
using test::RealServer;
using test::Reply;
using test::ScriptedServer;

namespace {

// What a sign-in says, in order.
struct Said {
    explicit Said(SignIn& signIn) {
        QObject::connect(&signIn, &SignIn::serverFound, [this](const ServerInfo& found) { server = found; });
        QObject::connect(&signIn, &SignIn::signedIn, [this](const Account& who) { account = who; });
        QObject::connect(&signIn, &SignIn::passwordChangeNeeded, [this] { mustChange = true; });
        QObject::connect(&signIn, &SignIn::failed, [this](const Problem& what) { problem = what; });
    }
    std::optional<ServerInfo> server;
    std::optional<Account> account;
    std::optional<Problem> problem;
    bool mustChange = false;
};

}  // namespace

class SignInTest : public QObject {
    Q_OBJECT

  private:
    static constexpr int patienceMs = 20'000;

  private slots:
    void refusesWhatIsNoAddress() {
        SignIn signIn;
        Said said(signIn);
        signIn.look(QStringLiteral("two words"));
        QTRY_VERIFY(said.problem);
        QVERIFY(said.problem->text.contains(QLatin1String("two words")));
    }

    void refusesAServerOfAnotherKind() {
        ScriptedServer server([](const Got&) {
            return Reply::json({{QStringLiteral("name"), QStringLiteral("Other")}});
        });
        SignIn signIn;
        Said said(signIn);
        signIn.look(server.url().toString());
        QTRY_VERIFY(said.problem);
        QCOMPARE(said.problem->kind, Problem::Kind::notChunkVault);
    }

    void makesAnAccountAndSignsInAgain() {
        RealServer server;
        QVERIFY(server.start());
        Account made;
        QVERIFY(test::newAccount(server.url(), QStringLiteral("alice"), &made));
        QCOMPARE(made.name, QStringLiteral("alice"));
        QVERIFY(!made.rootFolder.isEmpty());
        QVERIFY(!made.isAdmin);

        SignIn signIn;
        Said said(signIn);
        signIn.look(server.url().toString());
        QTRY_VERIFY(said.server);
        QVERIFY(said.server->registrationOpen);
        signIn.signIn(QStringLiteral("alice"), QStringLiteral("wrong"));
        QTRY_VERIFY_WITH_TIMEOUT(said.problem, patienceMs);
        QCOMPARE(said.problem->status, 401);
        signIn.signIn(QStringLiteral("alice"), test::password);
        QTRY_VERIFY_WITH_TIMEOUT(said.account, patienceMs);
        QCOMPARE(said.account->id, made.id);

        const Credentials kept = signIn.client()->credentials();
        SignIn later;
        Said then(later);
        later.look(server.url().toString());
        QTRY_VERIFY(then.server);
        later.resume(kept);
        QTRY_VERIFY_WITH_TIMEOUT(then.account, patienceMs);
    }

    void changesTheFirstPasswordOfTheAdministrator() {
        RealServer server;
        QVERIFY(server.start());
        SignIn signIn;
        Said said(signIn);
        signIn.look(server.url().toString());
        QTRY_VERIFY(said.server);
        signIn.signIn(QStringLiteral("admin"), QStringLiteral("admin123"));
        QTRY_VERIFY_WITH_TIMEOUT(said.mustChange, patienceMs);
        signIn.changePassword(QStringLiteral("short"));
        QTRY_VERIFY_WITH_TIMEOUT(said.problem, patienceMs);
        QCOMPARE(said.problem->status, 422);
        signIn.changePassword(test::password);
        QTRY_VERIFY_WITH_TIMEOUT(said.account, patienceMs);
        QVERIFY(said.account->isAdmin);
    }

    void acceptsACertificateByItsFingerprintAndNoOtherLater() {
        QTemporaryDir folder;
        const auto certificate = [&](const QString& name) {
            const QString base = folder.filePath(name);
            return QProcess::execute(QStringLiteral("openssl"),
                                     {QStringLiteral("req"), QStringLiteral("-x509"), QStringLiteral("-newkey"),
                                      QStringLiteral("rsa:2048"), QStringLiteral("-nodes"), QStringLiteral("-keyout"),
                                      base + QStringLiteral(".key"), QStringLiteral("-out"),
                                      base + QStringLiteral(".pem"), QStringLiteral("-subj"),
                                      QStringLiteral("/CN=vault"), QStringLiteral("-days"), QStringLiteral("2")}) == 0;
        };
        QVERIFY(certificate(QStringLiteral("first")));
        QVERIFY(certificate(QStringLiteral("second")));
        const auto settings = [&](const QString& name) {
            return QList<std::pair<QString, QString>>{
                {QStringLiteral("TLS_CERT"), folder.filePath(name) + QStringLiteral(".pem")},
                {QStringLiteral("TLS_KEY"), folder.filePath(name) + QStringLiteral(".key")}};
        };
        QString pinned;
        {
            RealServer server(settings(QStringLiteral("first")));
            QVERIFY(server.start());
            SignIn signIn;
            Said said(signIn);
            signIn.look(server.url().toString());
            QTRY_VERIFY_WITH_TIMEOUT(said.problem, patienceMs);
            QCOMPARE(said.problem->kind, Problem::Kind::certificateUnknown);
            QVERIFY(!said.server);
            signIn.acceptCertificate();
            QTRY_VERIFY_WITH_TIMEOUT(said.server, patienceMs);
            pinned = signIn.client()->pinnedCertificate();
            QCOMPARE(pinned, said.problem->fingerprint);
        }
        RealServer server(settings(QStringLiteral("second")));
        QVERIFY(server.start());
        SignIn signIn;
        Said said(signIn);
        signIn.look(server.url().toString(), pinned);
        QTRY_VERIFY_WITH_TIMEOUT(said.problem, patienceMs);
        QCOMPARE(said.problem->kind, Problem::Kind::certificateChanged);
        QVERIFY(said.problem->fingerprint != pinned);
        QVERIFY(!said.server);
        QVERIFY2(!server.log().contains(QLatin1String("\"route\":\"/\"")), "nothing may be sent to another server");
    }
};

}  // namespace chunkvault::desktop

QTEST_GUILESS_MAIN(chunkvault::desktop::SignInTest)
#include "sign_in_test.moc"
