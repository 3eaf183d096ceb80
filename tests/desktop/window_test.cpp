#include <QAction>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QTemporaryDir>
#include <QTest>
#include <QToolBar>
#include <QTreeView>

#include "desktop/view/details_pane.h"
#include "desktop/view/main_window.h"
#include "desktop/view/sign_in_dialog.h"
#include "tests/desktop/accounts.h"
#include "tests/desktop/real_server.h"

namespace chunkvault::desktop {

using test::answerOf;
using test::RealServer;

namespace {

constexpr int patienceMs = 20'000;

// Keeps secrets for the test only.
class NoKeychain final : public SecretStore {
  public:
    void read(const QString&, QObject*, std::function<void(std::optional<QString>)> done) override { done({}); }
    void write(const QString&, const QString&) override {}
    void remove(const QString&) override {}
    [[nodiscard]] bool keeps() const override { return false; }
};

QStringList namesIn(const QTreeView& view) {
    QStringList names;
    for (int row = 0; row < view.model()->rowCount(); ++row)
        names.append(view.model()->index(row, 0).data().toString());
    return names;
}

// What a screen reader has to say of each widget that takes the focus; the names of those that it could not.
QStringList unlabelled(const QWidget& window) {
    QStringList found;
    for (const QWidget* widget : window.findChildren<QWidget*>()) {
        if (widget->focusPolicy() == Qt::NoFocus || !widget->isVisibleTo(&window)) continue;
        if (widget->objectName().startsWith(QLatin1String("qt_"))) continue;  // Qt's own parts
        const auto* button = qobject_cast<const QAbstractButton*>(widget);
        const auto* label = qobject_cast<const QLabel*>(widget);
        const bool says = !widget->accessibleName().isEmpty() || (button != nullptr && !button->text().isEmpty()) ||
                          (label != nullptr && !label->text().isEmpty());
        if (!says)
            found.append(QLatin1String(widget->metaObject()->className()) + QLatin1Char(' ') + widget->objectName());
    }
    return found;
}

}  // namespace

class WindowTest : public QObject {
    Q_OBJECT

  private:
    QTemporaryDir home_;
    RealServer server_;

  private slots:
    void initTestCase() { QVERIFY(server_.start()); }

    void signsInByItsDialog() {
        QVERIFY(test::newAccount(server_.url(), QStringLiteral("carol")));
        Settings settings(home_.filePath(QStringLiteral("settings.ini")));
        NoKeychain secrets;
        SignInDialog dialog(settings, secrets);
        dialog.show();
        QVERIFY(QTest::qWaitForWindowExposed(&dialog));
        const auto field = [&](const char* name) { return dialog.findChild<QLineEdit*>(QLatin1String(name)); };
        QTest::keyClicks(field("address"), server_.url().toString());
        QTest::keyClick(field("address"), Qt::Key_Return);
        QTRY_VERIFY_WITH_TIMEOUT(field("user")->isVisible(), patienceMs);
        QCOMPARE(unlabelled(dialog), QStringList());
        QVERIFY(dialog.findChild<QLabel*>(QStringLiteral("server"))->text().startsWith(QLatin1String("ChunkVault ")));
        QVERIFY(!dialog.findChild<QLabel*>(QStringLiteral("clear"))->isVisible());
        QTRY_VERIFY(field("user")->hasFocus());
        QTest::keyClicks(field("user"), QStringLiteral("carol"));
        QTest::keyClicks(field("password"), QStringLiteral("wrong"));
        QTest::keyClick(field("password"), Qt::Key_Return);
        auto* message = dialog.findChild<QLabel*>(QStringLiteral("message"));
        QTRY_VERIFY_WITH_TIMEOUT(message->isVisible(), patienceMs);
        QVERIFY(!message->text().isEmpty());
        field("password")->clear();
        QTest::keyClicks(field("password"), test::password);
        QTest::keyClick(field("password"), Qt::Key_Return);
        QTRY_COMPARE_WITH_TIMEOUT(dialog.result(), static_cast<int>(QDialog::Accepted), patienceMs);
        QCOMPARE(dialog.account().name, QStringLiteral("carol"));
        QCOMPARE(settings.get(setting::user), QStringLiteral("carol"));
        QFile kept(home_.filePath(QStringLiteral("settings.ini")));
        QVERIFY(dialog.takeClient());
        if (kept.open(QIODevice::ReadOnly)) QVERIFY(!kept.readAll().contains("correct horse"));
    }

    void showsFoldersAndFollowsWhatOthersDo() {
        Settings settings(home_.filePath(QStringLiteral("window.ini")));
        Account account;
        auto own = test::newAccount(server_.url(), QStringLiteral("alice"), &account);
        QVERIFY(own);
        ApiClient other(server_.url());
        other.setCredentials(own->credentials());
        // Why it failed; empty when it did not.
        const auto makeFolder = [&](const char* path) {
            const Answer answer = answerOf(other, {.method = "POST",
                                                   .path = QStringLiteral("/folders"),
                                                   .body = {{QStringLiteral("path"), QString::fromUtf8(path)}}});
            return answer.good() ? QString() : answer.problem->text;
        };
        QCOMPARE(makeFolder("Pictures/Summer"), QString());
        MainWindow window(std::move(own), account, settings);
        window.show();
        QVERIFY(QTest::qWaitForWindowExposed(&window));
        auto* table = window.findChild<QTreeView*>(QStringLiteral("files"));
        auto* tree = window.findChild<QTreeView*>(QStringLiteral("folders"));
        QTRY_COMPARE_WITH_TIMEOUT(namesIn(*table), QStringList{QStringLiteral("Pictures")}, patienceMs);
        QTRY_COMPARE_WITH_TIMEOUT(window.findChild<QLabel*>(QStringLiteral("connection"))->text(),
                                  QStringLiteral("Connected"), patienceMs);
        QCOMPARE(unlabelled(window), QStringList());

        table->setCurrentIndex(table->model()->index(0, 0));
        QCOMPARE(makeFolder("Music"), QString());
        QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 2, patienceMs);
        QCOMPARE(table->currentIndex().data().toString(), QStringLiteral("Pictures"));
        QTRY_COMPARE(tree->model()->rowCount(tree->model()->index(0, 0)), 2);

        emit table->activated(table->currentIndex());
        QTRY_COMPARE_WITH_TIMEOUT(namesIn(*table), QStringList{QStringLiteral("Summer")}, patienceMs);
        QTRY_COMPARE(tree->currentIndex().data().toString(), QStringLiteral("Pictures"));

        auto* search = window.findChild<QLineEdit*>(QStringLiteral("search"));
        QTest::keyClicks(search, QStringLiteral("mus"));
        QTRY_COMPARE_WITH_TIMEOUT(namesIn(*table), QStringList{QStringLiteral("Music")}, patienceMs);
        search->clear();
        QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 2, patienceMs);
    }

    void saysThatTheServerIsAwayAndComesBack() {
        RealServer server;
        QVERIFY(server.start());
        Settings settings(home_.filePath(QStringLiteral("away.ini")));
        Account account;
        auto api = test::newAccount(server.url(), QStringLiteral("dave"), &account);
        QVERIFY(api);
        MainWindow window(std::move(api), account, settings);
        window.show();
        auto* connection = window.findChild<QLabel*>(QStringLiteral("connection"));
        QTRY_COMPARE_WITH_TIMEOUT(connection->text(), QStringLiteral("Connected"), patienceMs);
        server.kill();
        QTRY_VERIFY_WITH_TIMEOUT(connection->text().startsWith(QLatin1String("Offline")), patienceMs);
        QVERIFY(server.start());
        QTRY_COMPARE_WITH_TIMEOUT(connection->text(), QStringLiteral("Connected"), patienceMs);
    }

    void tellsOfSafetyInWords_data() {
        QTest::addColumn<QJsonObject>("info");
        QTest::addColumn<QString>("words");
        const auto info = [](int present, const QJsonValue& verified) {
            return QJsonObject{{QStringLiteral("copies_wanted"), 3},
                               {QStringLiteral("copies_present"), present},
                               {QStringLiteral("last_verified_at"), verified}};
        };
        QTest::newRow("a folder") << QJsonObject() << QString();
        QTest::newRow("new") << info(2, QJsonValue()) << QStringLiteral("2 of 3 copies, not verified yet");
        QTest::newRow("days") << info(3, QStringLiteral("2026-01-29T12:00:00Z"))
                              << QStringLiteral("3 of 3 copies, verified 2 days ago");
        QTest::newRow("minutes") << info(3, QStringLiteral("2026-01-31T11:57:00.5Z"))
                                 << QStringLiteral("3 of 3 copies, verified 2 minutes ago");
        QTest::newRow("seconds") << info(3, QStringLiteral("2026-01-31T11:59:50Z"))
                                 << QStringLiteral("3 of 3 copies, verified just now");
    }
    void tellsOfSafetyInWords() {
        QFETCH(QJsonObject, info);
        QFETCH(QString, words);
        QCOMPARE(safetyInWords(info, QDateTime::fromString(QStringLiteral("2026-01-31T12:00:00Z"), Qt::ISODate)),
                 words);
    }
};

}  // namespace chunkvault::desktop

QTEST_MAIN(chunkvault::desktop::WindowTest)
#include "window_test.moc"
