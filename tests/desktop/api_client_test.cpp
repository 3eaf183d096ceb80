#include "desktop/api/api_client.h"

#include <QSignalSpy>
#include <QTest>

#include "tests/desktop/accounts.h"
#include "tests/desktop/scripted_server.h"

namespace chunkvault::desktop {

using test::answerOf;
using test::Got;
using test::Reply;
using test::ScriptedServer;

class ApiClientTest : public QObject {
    Q_OBJECT

  private:
    static Request get(const QString& path) { return {.method = "GET", .path = path}; }

  private slots:
    void readsTheAddressThatPeopleType_data() {
        QTest::addColumn<QString>("typed");
        QTest::addColumn<QString>("server");
        const auto row = [](const char* typed, const char* server) {
            QTest::newRow(typed) << QString::fromLatin1(typed) << QString::fromLatin1(server);
        };
        row("vault.example.org", "https://vault.example.org");
        row("  vault.example.org/ ", "https://vault.example.org");
        row("vault.example.org:8443/files", "https://vault.example.org:8443/files");
        row("http://vault.example.org", "http://vault.example.org");
        row("127.0.0.1:8000", "http://127.0.0.1:8000");
        row("localhost:8000", "http://localhost:8000");
        row("[::1]:8000", "http://[::1]:8000");
        row("https://localhost", "https://localhost");
        row("", "");
        row("ftp://vault.example.org", "");
        row("https://user:secret@vault.example.org", "");
        row("https://vault.example.org/?a=b", "");
        row("two words", "");
        row("https://", "");
    }
    void readsTheAddressThatPeopleType() {
        QFETCH(QString, typed);
        QFETCH(QString, server);
        QCOMPARE(serverFrom(typed).toString(), server);
    }

    void warnsOfPlainHttpToAnotherMachineOnly() {
        QVERIFY(ApiClient(serverFrom(QStringLiteral("http://vault.example.org"))).isInTheClear());
        QVERIFY(!ApiClient(serverFrom(QStringLiteral("https://vault.example.org"))).isInTheClear());
        QVERIFY(!ApiClient(serverFrom(QStringLiteral("127.0.0.1:8000"))).isInTheClear());
    }

    void sendsTheTokenOnlyWithCallsOfTheAccount() {
        ScriptedServer server([](const Got&) { return Reply{}; });
        ApiClient api(server.url());
        api.setCredentials({QStringLiteral("secret"), {}});
        QVERIFY(answerOf(api, get(QStringLiteral("/me"))).good());
        QVERIFY(answerOf(api, {.method = "GET", .path = QStringLiteral("/"), .authorised = false}).good());
        QCOMPARE(server.got()[0].token, "secret");
        QCOMPARE(server.got()[1].token, "");
    }

    void saysWhatWentWrong_data() {
        QTest::addColumn<int>("status");
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<int>("kind");
        QTest::addColumn<QString>("text");
        const auto row = [](const char* name, int status, const QByteArray& body, Problem::Kind kind,
                            const char* text) {
            QTest::newRow(name) << status << body << static_cast<int>(kind) << QString::fromUtf8(text);
        };
        using Kind = Problem::Kind;
        row("a refusal", 409, Reply::problem(409, "conflict", "There is one.").body, Kind::refused, "There is one.");
        row("too many", 429, Reply::problem(429, "too_many", "Wait.").body, Kind::busy, "Wait.");
        row("away", 503, Reply::problem(503, "unavailable", "Soon.").body, Kind::busy, "Soon.");
        row("a failure", 500, Reply::problem(500, "internal", "Oh.").body, Kind::broken, "Oh.");
        row("a proxy's failure", 502, "<html>bad gateway", Kind::broken, "The server failed (502).");
        row("a proxy's excuse", 503, "<html>", Kind::busy, "The server is busy.");
        row("a stranger", 404, "<html>", Kind::notChunkVault, nullptr);
        row("a page", 200, "<html>", Kind::notChunkVault, nullptr);
        row("a redirection", 301, "", Kind::notChunkVault, nullptr);
    }
    void saysWhatWentWrong() {
        QFETCH(int, status);
        QFETCH(QByteArray, body);
        QFETCH(int, kind);
        QFETCH(QString, text);
        ScriptedServer server([&](const Got&) {
            return Reply{.status = status, .body = body, .headers = "Retry-After: 7\r\nLocation: /elsewhere\r\n"};
        });
        ApiClient api(server.url());
        const Answer answer = answerOf(api, get(QStringLiteral("/files")));
        QVERIFY(!answer.good());
        QCOMPARE(static_cast<int>(answer.problem->kind), kind);
        if (!text.isEmpty()) QCOMPARE(answer.problem->text, text);
        QVERIFY(!answer.problem->text.isEmpty());
        QCOMPARE(answer.problem->retryAfterS, 7);
    }

    void isOfflineWhenNothingAnswers() {
        ScriptedServer server([](const Got&) { return Reply{}; });
        server.close();
        ApiClient api(server.url());
        const Answer answer = answerOf(api, get(QStringLiteral("/me")));
        QCOMPARE(answer.status, 0);
        QCOMPARE(answer.problem->kind, Problem::Kind::offline);
        QVERIFY(answer.problem->text.contains(server.url().host()));
    }

    void isOfflineWhenTheAnswerIsCut() {
        ScriptedServer server([](const Got&) { return Reply{.body = R"({"a": "bcdef"})", .cutAfter = 5}; });
        ApiClient api(server.url());
        const Answer answer = answerOf(api, get(QStringLiteral("/me")));
        QCOMPARE(answer.problem->kind, Problem::Kind::offline);
    }

    void givesUpASilentServer() {
        ScriptedServer server([](const Got&) { return Reply{.silent = true}; });
        ApiClient api(server.url());
        const Answer answer = answerOf(api, {.method = "GET", .path = QStringLiteral("/me"), .timeoutMs = 100});
        QCOMPARE(answer.problem->kind, Problem::Kind::offline);
    }

    void refreshesOnceForAllThatWait() {
        ScriptedServer server([](const Got& got) {
            if (got.target == "/auth/refresh")
                return got.json()[QLatin1String("refresh_token")].toString() == QLatin1String("r1")
                           ? Reply::json({{QStringLiteral("access_token"), QStringLiteral("a2")},
                                          {QStringLiteral("refresh_token"), QStringLiteral("r2")}})
                           : Reply::problem(401, "unauthenticated", "No.");
            return got.token == "a2" ? Reply{} : Reply::problem(401, "unauthenticated", "Expired.");
        });
        ApiClient api(server.url());
        api.setCredentials({QStringLiteral("a1"), QStringLiteral("r1")});
        const QSignalSpy changed(&api, &ApiClient::credentialsChanged);
        int good = 0;
        QObject context;
        for (int i = 0; i < 5; ++i)
            api.call(get(QStringLiteral("/me")), &context, [&](const Answer& answer) { good += answer.good(); });
        QTRY_COMPARE(good, 5);
        const auto refreshes = std::count_if(server.got().begin(), server.got().end(),
                                             [](const Got& got) { return got.target == "/auth/refresh"; });
        QCOMPARE(refreshes, 1);
        QCOMPARE(changed.count(), 1);
        QCOMPARE(api.credentials(), (Credentials{QStringLiteral("a2"), QStringLiteral("r2")}));
    }

    void isSignedOutWhenTheSessionIsOver() {
        ScriptedServer server([](const Got&) { return Reply::problem(401, "unauthenticated", "Over."); });
        ApiClient api(server.url());
        api.setCredentials({QStringLiteral("a1"), QStringLiteral("r1")});
        const QSignalSpy out(&api, &ApiClient::signedOut);
        const Answer answer = answerOf(api, get(QStringLiteral("/me")));
        QCOMPARE(answer.problem->kind, Problem::Kind::signedOut);
        QCOMPARE(out.count(), 1);
        QVERIFY(api.credentials().isEmpty());
    }

    void keepsTheSessionWhenTheRefreshFindsNoServer() {
        ScriptedServer server([](const Got& got) {
            return got.target == "/auth/refresh" ? Reply{.body = "{}", .cutAfter = 0}
                                                 : Reply::problem(401, "unauthenticated", "Expired.");
        });
        ApiClient api(server.url());
        const Credentials kept{QStringLiteral("a1"), QStringLiteral("r1")};
        api.setCredentials(kept);
        const QSignalSpy out(&api, &ApiClient::signedOut);
        QCOMPARE(answerOf(api, get(QStringLiteral("/me"))).problem->kind, Problem::Kind::offline);
        QCOMPARE(out.count(), 0);
        QCOMPARE(api.credentials(), kept);
    }

    void callsNobodyWhoIsGone() {
        ScriptedServer server([](const Got&) { return Reply{}; });
        ApiClient api(server.url());
        bool called = false;
        {
            QObject context;
            api.call(get(QStringLiteral("/me")), &context, [&](const Answer&) { called = true; });
        }
        QVERIFY(answerOf(api, get(QStringLiteral("/me"))).good());
        QVERIFY(!called);
    }
};

}  // namespace chunkvault::desktop

QTEST_GUILESS_MAIN(chunkvault::desktop::ApiClientTest)
#include "api_client_test.moc"
