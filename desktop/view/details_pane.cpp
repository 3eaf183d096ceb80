#include "desktop/view/details_pane.h"

#include <QJsonArray>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "desktop/model/words.h"

namespace chunkvault::desktop {

namespace {

QLabel* line() {
    auto* label = new QLabel;
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    return label;
}

QDateTime timeOf(const QJsonValue& value) { return QDateTime::fromString(value.toString(), Qt::ISODateWithMs); }

}  // namespace

QString safetyInWords(const QJsonObject& info, const QDateTime& now) {
    if (!info.contains(QLatin1String("copies_wanted"))) return {};
    const int wanted = info[QLatin1String("copies_wanted")].toInt();
    const int present = info[QLatin1String("copies_present")].toInt();
    const QString copies = DetailsPane::tr("%1 of %2 copies").arg(present).arg(wanted);
    const QDateTime verified = timeOf(info[QLatin1String("last_verified_at")]);
    if (!verified.isValid()) return DetailsPane::tr("%1, not verified yet").arg(copies);
    return DetailsPane::tr("%1, verified %2").arg(copies, agoInWords(verified, now));
}

DetailsPane::DetailsPane(ApiClient& api, QWidget* parent) : QWidget(parent), api_(api) {
    setAccessibleName(tr("Details"));
    auto* layout = new QVBoxLayout(this);
    name_ = line();
    QFont bold = name_->font();
    bold.setBold(true);
    name_->setFont(bold);
    facts_ = line();
    safety_ = line();
    safety_->setObjectName(QStringLiteral("safety"));
    checksum_ = line();
    layout->addWidget(name_);
    layout->addWidget(facts_);
    layout->addWidget(safety_);
    layout->addWidget(checksum_);

    versionsBox_ = new QWidget;
    auto* box = new QVBoxLayout(versionsBox_);
    box->setContentsMargins({});
    auto* title = new QLabel(tr("Versions"));
    versions_ = new QTreeWidget;
    versions_->setAccessibleName(tr("Versions"));
    versions_->setHeaderLabels({tr("Version"), tr("Changed"), tr("Size")});
    versions_->setRootIsDecorated(false);
    title->setBuddy(versions_);
    auto* restore = new QPushButton(tr("Make it the newest"));
    restore->setEnabled(false);
    connect(versions_, &QTreeWidget::itemSelectionChanged, restore,
            [this, restore] { restore->setEnabled(versions_->currentIndex().row() > 0); });
    connect(restore, &QPushButton::clicked, this, &DetailsPane::restoreVersion);
    box->addWidget(title);
    box->addWidget(versions_);
    box->addWidget(restore);
    layout->addWidget(versionsBox_, 1);
    layout->addStretch();
    showNothing();
}

void DetailsPane::showNothing() {
    id_.clear();
    asking_.reset();
    name_->setText(tr("Nothing is selected"));
    for (QLabel* label : {facts_, safety_, checksum_}) label->hide();
    versionsBox_->hide();
}

void DetailsPane::showSeveral(int count) {
    showNothing();
    name_->setText(tr("%n are selected", nullptr, count));
}

void DetailsPane::show(const Entry& entry) {
    const bool same = id_ == entry.id;
    if (!same) showNothing();
    id_ = entry.id;
    name_->setText(entry.name);
    const QString changed = QLocale().toString(entry.modifiedAt.toLocalTime(), QLocale::LongFormat);
    facts_->setText(entry.isFolder
                        ? tr("Folder\nChanged %1").arg(changed)
                        : tr("%1, %2\nChanged %3").arg(sizeInWords(entry.sizeBytes), kindInWords(entry), changed));
    facts_->show();
    checksum_->setText(entry.sha256.isEmpty() ? tr("SHA-256 is not known yet")
                       : entry.sha256Verified ? tr("SHA-256, verified:\n%1").arg(entry.sha256)
                                              : tr("SHA-256, as the uploader says:\n%1").arg(entry.sha256));
    checksum_->setVisible(!entry.isFolder);
    if (!entry.isFolder) ask(entry);
}

void DetailsPane::ask(const Entry& entry) {
    asking_ = std::make_unique<QObject>();
    const QString path = QStringLiteral("/files/") + entry.id;
    api_.call({.method = "GET", .path = path}, asking_.get(), [this](const Answer& answer) {
        if (answer.good()) showSafety(answer.body);
    });
    api_.call({.method = "GET", .path = path + QStringLiteral("/versions")}, asking_.get(),
              [this](const Answer& answer) {
                  if (answer.good()) showVersions(answer.body[QLatin1String("items")].toArray());
              });
}

void DetailsPane::showSafety(const QJsonObject& info) {
    safety_->setText(safetyInWords(info, QDateTime::currentDateTimeUtc()));
    safety_->setVisible(!safety_->text().isEmpty());
}

void DetailsPane::showVersions(const QJsonArray& versions) {
    versions_->clear();
    for (const QJsonValue& version : versions) {
        auto* item = new QTreeWidgetItem(
            versions_,
            {QString::number(version[QLatin1String("version")].toInt()),
             QLocale().toString(timeOf(version[QLatin1String("modified_at")]).toLocalTime(), QLocale::ShortFormat),
             sizeInWords(version[QLatin1String("size")].toInteger())});
        item->setTextAlignment(2, Qt::AlignRight);
    }
    for (int column = 0; column < versions_->columnCount(); ++column) versions_->resizeColumnToContents(column);
    versionsBox_->setVisible(versions.size() > 1);
}

void DetailsPane::restoreVersion() {
    const QTreeWidgetItem* item = versions_->currentItem();
    if (item == nullptr) return;
    api_.call({.method = "POST", .path = QStringLiteral("/files/%1/versions/%2/restore").arg(id_, item->text(0))}, this,
              [this](const Answer& answer) {
                  if (!answer.good()) emit failed(tr("Could not restore the version"), *answer.problem);
              });
}

}  // namespace chunkvault::desktop
