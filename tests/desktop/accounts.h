// Accounts for tests that need one signed in.
#pragma once

#include <QSignalSpy>
#include <QTest>
#include <memory>

#include "desktop/api/sign_in.h"

namespace chunkvault::desktop::test {

inline const QString password = QStringLiteral("correct horse battery");

// A new account, signed in; nothing when that failed.
inline std::unique_ptr<ApiClient> newAccount(const QUrl& server, const QString& name, Account* account = nullptr) {
    SignIn signIn;
    const QSignalSpy found(&signIn, &SignIn::serverFound);
    bool done = false;
    QObject::connect(&signIn, &SignIn::signedIn, [&](const Account& who) {
        if (account != nullptr) *account = who;
        done = true;
    });
    signIn.look(server.toString());
    if (!QTest::qWaitFor([&] { return !found.isEmpty(); }, 20'000)) return nullptr;
    signIn.registerAccount(name, name + QStringLiteral("@example.org"), password);
    if (!QTest::qWaitFor([&] { return done; }, 20'000)) return nullptr;
    return signIn.takeClient();
}

// The answer of a call.
inline Answer answerOf(ApiClient& api, const Request& request) {
    Answer got;
    bool done = false;
    QObject context;
    api.call(request, &context, [&](const Answer& answer) {
        got = answer;
        done = true;
    });
    if (!QTest::qWaitFor([&] { return done; }, 60'000))
        got.problem = {Problem::Kind::offline, QStringLiteral("the call was not done within a minute")};
    return got;
}

}  // namespace chunkvault::desktop::test
