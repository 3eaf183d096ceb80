#include "desktop/model/folder_model.h"

#include <QAbstractItemModelTester>
#include <QJsonArray>
#include <QTest>

#include "desktop/model/change_feed.h"
#include "desktop/model/file_actions.h"
#include "desktop/model/folder_tree_model.h"
#include "tests/desktop/accounts.h"
#include "tests/desktop/real_server.h"
#include "tests/desktop/scripted_server.h"

namespace chunkvault::desktop {

using test::answerOf;
using test::Got;
using test::RealServer;
using test::Reply;
using test::ScriptedServer;

namespace {

QJsonObject file(const QString& name, qint64 size = 1, const QString& folder = QStringLiteral("f")) {
    return {{QStringLiteral("id"), QStringLiteral("id of ") + name},
            {QStringLiteral("kind"), QStringLiteral("file")},
            {QStringLiteral("filename"), name},
            {QStringLiteral("folder_id"), folder},
            {QStringLiteral("size"), size},
            {QStringLiteral("status"), QStringLiteral("completed")},
            {QStringLiteral("modified_at"), QStringLiteral("2026-01-31T12:00:00Z")}};
}

QJsonObject change(const QString& what, const QJsonObject& entry) {
    return {{QStringLiteral("change"), what},
            {QStringLiteral("id"), entry[QLatin1String("id")]},
            {QStringLiteral("folder_id"), entry[QLatin1String("folder_id")]},
            {QStringLiteral("entry"), entry}};
}

QStringList namesOf(const QAbstractItemModel& model, const QModelIndex& parent = {}) {
    QStringList names;
    for (int row = 0; row < model.rowCount(parent); ++row) names.append(model.index(row, 0, parent).data().toString());
    return names;
}

QStringList words(const char* text) { return QString::fromLatin1(text).split(QLatin1Char(' ')); }

// Answers GET /files with the pages given, in turn.
ScriptedServer pages(QList<QStringList> pages) {
    return ScriptedServer([pages, at = 0](const Got&) mutable {
        QJsonArray items;
        for (const QString& name : pages[at]) items.append(file(name));
        const bool last = ++at == pages.size();
        return Reply::json({{QStringLiteral("items"), items},
                            {QStringLiteral("next_cursor"), last ? QJsonValue() : QStringLiteral("more")}});
    });
}

}  // namespace

class FolderModelTest : public QObject {
    Q_OBJECT

  private slots:
    void readsOnePageAfterAnother() {
        ScriptedServer server = pages({words("a b"), words("c d"), words("e")});
        ApiClient api(server.url());
        FolderModel model(api);
        const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
        model.open({.folderId = QStringLiteral("f")});
        while (model.canFetchMore({}) || model.isLoading()) {
            model.fetchMore({});
            QTest::qWait(1);
        }
        QCOMPARE(namesOf(model), words("a b c d e"));
        QVERIFY(model.isWhole());
        QVERIFY(server.got()[1].target.contains("cursor=more"));
    }

    void followsChanges_data() {
        QTest::addColumn<QList<QJsonObject>>("changes");
        QTest::addColumn<QString>("names");
        const auto row = [](const char* name, const QList<QJsonObject>& changes, const char* names) {
            QTest::newRow(name) << changes << QString::fromLatin1(names);
        };
        QJsonObject renamed = file(QStringLiteral("d"));
        renamed[QLatin1String("filename")] = QStringLiteral("a0");
        QJsonObject down = file(QStringLiteral("b"));
        down[QLatin1String("filename")] = QStringLiteral("x");
        QJsonObject away = file(QStringLiteral("b"));
        away[QLatin1String("folder_id")] = QStringLiteral("elsewhere");
        QJsonObject trashed = file(QStringLiteral("b"));
        trashed[QLatin1String("trashed_at")] = QStringLiteral("2026-01-31T12:00:00Z");
        QJsonObject gone{{QStringLiteral("change"), QStringLiteral("purged")},
                         {QStringLiteral("id"), QStringLiteral("id of b")},
                         {QStringLiteral("entry"), QJsonValue()}};
        row("a new one", {change(QStringLiteral("created"), file(QStringLiteral("c")))}, "b c d f");
        row("the last", {change(QStringLiteral("created"), file(QStringLiteral("z")))}, "b d f z");
        row("capitals", {change(QStringLiteral("created"), file(QStringLiteral("E")))}, "b d E f");
        row("renamed up", {change(QStringLiteral("renamed"), renamed)}, "a0 b f");
        row("renamed down", {change(QStringLiteral("renamed"), down)}, "d f x");
        row("another size", {change(QStringLiteral("version"), file(QStringLiteral("d"), 7))}, "b d f");
        row("moved away", {change(QStringLiteral("moved"), away)}, "d f");
        row("trashed", {change(QStringLiteral("trashed"), trashed)}, "d f");
        row("gone", {gone}, "d f");
        row("elsewhere", {change(QStringLiteral("created"), file(QStringLiteral("c"), 1, QStringLiteral("g")))},
            "b d f");
        row("of a share", {{{QStringLiteral("change"), QStringLiteral("share_created")}}}, "b d f");
    }
    void followsChanges() {
        QFETCH(QList<QJsonObject>, changes);
        QFETCH(QString, names);
        ScriptedServer server = pages({words("b d f")});
        ApiClient api(server.url());
        FolderModel model(api);
        const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
        model.open({.folderId = QStringLiteral("f")});
        QTRY_VERIFY(model.isWhole());
        const QPersistentModelIndex last(model.index(2, 0));
        model.apply(changes);
        QCOMPARE(namesOf(model), names.split(QLatin1Char(' ')));
        QCOMPARE(last.data().toString(), QStringLiteral("f"));
    }

    void showsNoEntryThatALaterPageBrings() {
        ScriptedServer server = pages({words("b d"), words("x")});
        ApiClient api(server.url());
        FolderModel model(api);
        model.open({.folderId = QStringLiteral("f")});
        QTRY_COMPARE(model.rowCount(), 2);
        model.apply({change(QStringLiteral("created"), file(QStringLiteral("z"))),
                     change(QStringLiteral("created"), file(QStringLiteral("c")))});
        QCOMPARE(namesOf(model), words("b c d"));
    }

    void believesWhatWasToldWhileAPageWasOnItsWay() {
        ScriptedServer server = pages({words("b d f")});
        ApiClient api(server.url());
        FolderModel model(api);
        model.open({.folderId = QStringLiteral("f")});
        model.apply({{{QStringLiteral("change"), QStringLiteral("purged")},
                      {QStringLiteral("id"), QStringLiteral("id of d")},
                      {QStringLiteral("entry"), QJsonValue()}}});
        QTRY_VERIFY(model.isWhole());
        QCOMPARE(namesOf(model), words("b f"));
    }

    void forgetsAnswersOfAPlaceThatWasLeft() {
        ScriptedServer server([](const Got& got) {
            const bool first = got.target.contains("folder_id=one");
            return Reply::json(
                {{QStringLiteral("items"), QJsonArray{file(first ? QStringLiteral("old") : QStringLiteral("new"))}},
                 {QStringLiteral("next_cursor"), QJsonValue()}});
        });
        ApiClient api(server.url());
        FolderModel model(api);
        model.open({.folderId = QStringLiteral("one")});
        model.open({.folderId = QStringLiteral("two")});
        QTRY_VERIFY(model.isWhole());
        QTest::qWait(50);
        QCOMPARE(namesOf(model), words("new"));
    }

    void saysThatAPageCouldNotBeReadAndReadsItWhenAskedAgain() {
        int asked = 0;
        ScriptedServer server([&](const Got&) {
            if (++asked == 1) return Reply::problem(503, "unavailable", "Soon.");
            return Reply::json({{QStringLiteral("items"), QJsonArray{file(QStringLiteral("a"))}},
                                {QStringLiteral("next_cursor"), QJsonValue()}});
        });
        ApiClient api(server.url());
        FolderModel model(api);
        QString said;
        connect(&model, &FolderModel::failed, this, [&](const Problem& problem) { said = problem.text; });
        model.open({.folderId = QStringLiteral("f")});
        QTRY_COMPARE(said, QStringLiteral("Soon."));
        QVERIFY(model.canFetchMore({}));
        model.fetchMore({});
        QTRY_COMPARE(namesOf(model), words("a"));
    }

    // The real server's order is the one that changes are put into, and all doors of the API tell of what they did.
    void isWhatTheServerListsWhateverHappens() {
        RealServer server;
        QVERIFY(server.start());
        Account account;
        const auto api = test::newAccount(server.url(), QStringLiteral("alice"), &account);
        QVERIFY(api);
        const QString root = account.rootFolder;
        FileActions actions(*api);
        FolderModel model(*api);
        FolderTreeModel tree(*api, root, QStringLiteral("root"));
        const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
        const QAbstractItemModelTester treeTester(&tree, QAbstractItemModelTester::FailureReportingMode::QtTest);
        ChangeFeed feed(*api);
        connect(&feed, &ChangeFeed::changed, &model, &FolderModel::apply);
        connect(&feed, &ChangeFeed::changed, &tree, &FolderTreeModel::apply);
        bool began = false;
        connect(&feed, &ChangeFeed::began, this, [&] { began = true; });
        feed.start();
        QTRY_VERIFY_WITH_TIMEOUT(began, 20'000);
        model.open({.folderId = root});
        QTRY_VERIFY_WITH_TIMEOUT(model.isWhole(), 20'000);
        tree.fetchMore(tree.index(0, 0));

        const QStringList made{QStringLiteral("Zebra"), QStringLiteral("ärger"), QStringLiteral("apple"),
                               QStringLiteral("Äpfel"), QStringLiteral("10"),    QStringLiteral("9"),
                               QStringLiteral("ß")};
        for (const QString& name : made) actions.makeFolder(name, root);
        QTRY_COMPARE_WITH_TIMEOUT(model.rowCount(), static_cast<int>(made.size()), 20'000);
        const auto listed = [&] {
            const Answer answer = answerOf(*api, {.method = "GET", .path = QStringLiteral("/files")});
            QStringList names;
            for (const QJsonValue& item : answer.body[QLatin1String("items")].toArray())
                names.append(item[QLatin1String("filename")].toString());
            return names;
        };
        QCOMPARE(namesOf(model), listed());
        QTRY_COMPARE(namesOf(tree, tree.index(0, 0)), listed());

        const auto idOf = [&](const char* name) {
            for (int row = 0; row < model.rowCount(); ++row)
                if (model.entryAt(row).name == QString::fromUtf8(name)) return model.entryAt(row).id;
            return QString();
        };
        actions.rename(idOf("apple"), QStringLiteral("zz"));
        QTRY_VERIFY_WITH_TIMEOUT(!idOf("zz").isEmpty(), 20'000);
        QCOMPARE(namesOf(model), listed());
        const QString nine = idOf("9");
        actions.move({nine}, idOf("10"));
        QTRY_COMPARE_WITH_TIMEOUT(model.rowOf(nine), -1, 20'000);
        actions.trash({idOf("ß")});
        QTRY_COMPARE_WITH_TIMEOUT(model.rowCount(), static_cast<int>(made.size()) - 2, 20'000);
        QCOMPARE(namesOf(model), listed());
        QTRY_COMPARE(namesOf(tree, tree.index(0, 0)), listed());

        FolderModel trash(*api);
        trash.open({.kind = Place::Kind::trash});
        QTRY_VERIFY_WITH_TIMEOUT(trash.isWhole(), 20'000);
        QCOMPARE(namesOf(trash), QStringList{QStringLiteral("ß")});
        actions.restore({trash.entryAt(0).id});
        QTRY_COMPARE_WITH_TIMEOUT(model.rowCount(), static_cast<int>(made.size()) - 1, 20'000);
        FolderModel search(*api);
        search.open({.kind = Place::Kind::search, .text = QStringLiteral("äp")});
        QTRY_VERIFY_WITH_TIMEOUT(search.isWhole(), 20'000);
        QCOMPARE(namesOf(search), QStringList{QStringLiteral("Äpfel")});

        // A folder deep below, of which the tree knows nothing yet.
        const QString deep = answerOf(*api, {.method = "POST",
                                             .path = QStringLiteral("/folders"),
                                             .body = {{QStringLiteral("path"), QStringLiteral("Zebra/a/b/c")}}})
                                 .body[QLatin1String("id")]
                                 .toString();
        tree.reveal(Entry::from(answerOf(*api, {.method = "GET", .path = QStringLiteral("/files/") + deep}).body));
        QTRY_VERIFY_WITH_TIMEOUT(tree.indexOf(deep).isValid(), 20'000);
        QCOMPARE(tree.indexOf(deep).parent().data().toString(), QStringLiteral("b"));
    }
};

}  // namespace chunkvault::desktop

QTEST_GUILESS_MAIN(chunkvault::desktop::FolderModelTest)
#include "folder_model_test.moc"
