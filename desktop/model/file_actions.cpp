#include "desktop/model/file_actions.h"

#include <QJsonArray>

namespace chunkvault::desktop {

namespace {

constexpr qsizetype mostAtOnce = 1000;  // ids in a bulk call of the API

}  // namespace

void FileActions::send(const Request& request, const QString& what) {
    api_.call(request, this, [this, what](const Answer& answer) {
        if (!answer.good()) emit failed(what, *answer.problem);
    });
}

void FileActions::makeFolder(const QString& name, const QString& inFolder) {
    const Request request{.method = "POST",
                          .path = QStringLiteral("/folders"),
                          .body = {{QStringLiteral("path"), name}, {QStringLiteral("folder_id"), inFolder}}};
    api_.call(request, this, [this, name](const Answer& answer) {
        const QString what = tr("Could not make the folder");
        if (!answer.good()) emit failed(what, *answer.problem);
        else if (answer.status != 201)
            emit failed(what, {.kind = Problem::Kind::refused, .text = tr("\"%1\" is there already.").arg(name)});
        else emit made(answer.body[QLatin1String("id")].toString());
    });
}

void FileActions::rename(const QString& id, const QString& name) {
    send({.method = "PATCH", .path = QStringLiteral("/files/") + id, .body = {{QStringLiteral("filename"), name}}},
         tr("Could not rename it"));
}

void FileActions::move(const QStringList& ids, const QString& toFolder) {
    bulk(QStringLiteral("/files/move"), ids,
         {{QStringLiteral("folder_id"), toFolder}, {QStringLiteral("on_conflict"), QStringLiteral("keep_both")}},
         tr("Could not move everything"));
}

void FileActions::copy(const QStringList& ids, const QString& toFolder) {
    for (const QString& id : ids)
        send({.method = "POST",
              .path = QStringLiteral("/files/%1/copy").arg(id),
              .body = {{QStringLiteral("folder_id"), toFolder},
                       {QStringLiteral("on_conflict"), QStringLiteral("keep_both")}}},
             tr("Could not copy everything"));
}

void FileActions::trash(const QStringList& ids) {
    bulk(QStringLiteral("/files/trash"), ids, {}, tr("Could not move everything to the trash"));
}

void FileActions::restore(const QStringList& ids) {
    bulk(QStringLiteral("/files/restore"), ids, {{QStringLiteral("on_conflict"), QStringLiteral("keep_both")}},
         tr("Could not restore everything"));
}

void FileActions::purge(const QStringList& ids) {
    bulk(QStringLiteral("/files/purge"), ids, {}, tr("Could not delete everything"));
}

void FileActions::emptyTrash() {
    send({.method = "DELETE", .path = QStringLiteral("/trash")}, tr("Could not empty the trash"));
}

void FileActions::bulk(const QString& path, const QStringList& ids, const QJsonObject& more, const QString& what) {
    for (qsizetype at = 0; at < ids.size(); at += mostAtOnce) {
        Request request{.method = "POST", .path = path, .body = more};
        request.body[QLatin1String("ids")] = QJsonArray::fromStringList(ids.mid(at, mostAtOnce));
        api_.call(request, this, [this, what](const Answer& answer) {
            if (!answer.good()) {
                emit failed(what, *answer.problem);
                return;
            }
            for (const QJsonValue& item : answer.body[QLatin1String("items")].toArray()) {
                if (item[QLatin1String("ok")].toBool()) continue;
                emit failed(what, {.kind = Problem::Kind::refused,
                                   .text = item[QLatin1String("error")][QLatin1String("detail")].toString()});
                break;
            }
        });
    }
}

}  // namespace chunkvault::desktop
