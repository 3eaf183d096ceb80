#include "desktop/view/main_window.h"

#include <QAction>
#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QHeaderView>
#include <QInputDialog>
#include <QLabel>
#include <QLineEdit>
#include <QMenuBar>
#include <QMessageBox>
#include <QSplitter>
#include <QStatusBar>
#include <QStyle>
#include <QToolBar>
#include <QTreeView>

#include "desktop/model/ids_mime.h"
#include "desktop/view/details_pane.h"

namespace chunkvault::desktop {

namespace {

constexpr int typingMs = 250;     // without a key, and the search begins
constexpr int messageMs = 8'000;  // in the status bar

QString hintFor(const QAction& action) {
    const QString keys = action.shortcut().toString(QKeySequence::NativeText);
    return keys.isEmpty() ? action.text() : QStringLiteral("%1 (%2)").arg(action.text(), keys);
}

}  // namespace

MainWindow::MainWindow(std::unique_ptr<ApiClient> api, const Account& account, Settings& settings)
    : api_(std::move(api)),
      account_(account),
      settings_(settings),
      feed_(*api_),
      files_(*api_),
      folders_(*api_, account.rootFolder, tr("My files")),
      actions_(*api_) {
    setWindowTitle(tr("ChunkVault – %1 at %2").arg(account.name, api_->server().authority()));
    makeActions();
    makeLayout();
    watchChanges();
    goTo({.folderId = account_.rootFolder});
    tree_->expand(folders_.index(0, 0));
    feed_.start();
}

MainWindow::~MainWindow() {
    delete takeCentralWidget();  // the views, before the models that they show
}

void MainWindow::makeActions() {
    const auto icon = [this](QStyle::StandardPixmap standard) { return style()->standardIcon(standard); };
    const auto action = [this](const QString& text, const QKeySequence& keys, auto&& slot) {
        auto* made = new QAction(text, this);
        made->setShortcut(keys);
        made->setToolTip(hintFor(*made));
        connect(made, &QAction::triggered, this, slot);
        addAction(made);
        return made;
    };
    back_ = action(tr("Back"), QKeySequence::Back, [this] { travel(-1); });
    back_->setIcon(icon(QStyle::SP_ArrowBack));
    forward_ = action(tr("Forward"), QKeySequence::Forward, [this] { travel(1); });
    forward_->setIcon(icon(QStyle::SP_ArrowForward));
    up_ = action(tr("Up"), Qt::ALT | Qt::Key_Up, [this] {
        const QModelIndex here = folders_.indexOf(files_.place().folderId);
        toSelect_ = files_.place().folderId;
        goTo({.folderId = here.parent().isValid() ? folders_.idOf(here.parent()) : account_.rootFolder});
    });
    up_->setIcon(icon(QStyle::SP_FileDialogToParent));
    reload_ = action(tr("Read again"), QKeySequence::Refresh, [this] {
        files_.reload();
        folders_.reload();
    });
    newFolder_ = action(tr("New folder…"), QKeySequence::New, [this] { makeFolder(); });
    newFolder_->setIcon(icon(QStyle::SP_FileDialogNewFolder));
    open_ = action(tr("Open"), Qt::Key_Return, [this] { openEntry(table_->currentIndex()); });
    open_->setShortcutContext(Qt::WidgetShortcut);
    rename_ = action(tr("Rename"), Qt::Key_F2, [this] {
        if (table_->currentIndex().isValid())
            table_->edit(table_->currentIndex().siblingAtColumn(FolderModel::nameColumn));
    });
    cut_ = action(tr("Cut"), QKeySequence::Cut, [this] { keepForPaste(true); });
    copy_ = action(tr("Copy"), QKeySequence::Copy, [this] { keepForPaste(false); });
    paste_ = action(tr("Paste"), QKeySequence::Paste, [this] { paste(); });
    trash_ = action(tr("Move to trash"), QKeySequence::Delete, [this] { trashChosen(); });
    trash_->setIcon(icon(QStyle::SP_TrashIcon));
    restore_ = action(tr("Restore"), {}, [this] { actions_.restore(chosen()); });
    purge_ = action(tr("Delete for good…"), Qt::SHIFT | Qt::Key_Delete, [this] {
        const QStringList ids = chosen();
        const auto answer = QMessageBox::question(
            this, tr("Delete for good"),
            tr("Delete %n of the trash for good? Nobody can bring them back.", nullptr, static_cast<int>(ids.size())),
            QMessageBox::Yes | QMessageBox::No, QMessageBox::No);
        if (answer == QMessageBox::Yes) actions_.purge(ids);
    });
    emptyTrash_ = action(tr("Empty the trash…"), {}, [this] {
        const auto answer =
            QMessageBox::question(this, tr("Empty the trash"), tr("Delete everything in the trash for good?"),
                                  QMessageBox::Yes | QMessageBox::No, QMessageBox::No);
        if (answer == QMessageBox::Yes) actions_.emptyTrash();
    });

    QMenu* file = menuBar()->addMenu(tr("&File"));
    file->addActions({newFolder_, open_});
    file->addSeparator();
    file->addAction(tr("Sign out"), this, &MainWindow::signOut);
    file->addAction(tr("Quit"), QKeySequence::Quit, qApp, &QApplication::closeAllWindows);
    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    edit->addActions({cut_, copy_, paste_});
    edit->addSeparator();
    edit->addActions({rename_, trash_, restore_, purge_, emptyTrash_});
    QMenu* go = menuBar()->addMenu(tr("&Go"));
    go->addActions({back_, forward_, up_, reload_});
    go->addSeparator();
    go->addAction(tr("My files"), this, [this] { goTo({.folderId = account_.rootFolder}); });
    go->addAction(tr("Trash"), this, [this] { goTo({.kind = Place::Kind::trash}); });
}

void MainWindow::makeLayout() {
    auto* tools = addToolBar(tr("Navigation"));
    tools->setObjectName(QStringLiteral("navigation"));
    tools->setMovable(false);
    tools->addActions({back_, forward_, up_});
    path_ = new QToolBar(tr("Path"));
    path_->setAccessibleName(tr("Path"));
    path_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    tools->addWidget(path_);
    searchField_ = new QLineEdit;
    searchField_->setObjectName(QStringLiteral("search"));
    searchField_->setPlaceholderText(tr("Search"));
    searchField_->setAccessibleName(tr("Search all files by name"));
    searchField_->setClearButtonEnabled(true);
    searchField_->setMaximumWidth(240);
    tools->addWidget(searchField_);
    tools->addActions({newFolder_, trash_});
    auto* find = new QAction(tr("Search"), this);
    find->setShortcut(QKeySequence::Find);
    connect(find, &QAction::triggered, searchField_, [this] {
        searchField_->setFocus();
        searchField_->selectAll();
    });
    addAction(find);
    search_.setSingleShot(true);
    search_.setInterval(typingMs);
    connect(searchField_, &QLineEdit::textChanged, &search_, qOverload<>(&QTimer::start));
    connect(&search_, &QTimer::timeout, this, [this] {
        const QString text = searchField_->text().trimmed();
        if (!text.isEmpty()) goTo({.kind = Place::Kind::search, .text = text});
        else if (files_.place().kind == Place::Kind::search) goTo({.folderId = account_.rootFolder});
    });

    tree_ = new QTreeView;
    tree_->setObjectName(QStringLiteral("folders"));
    tree_->setAccessibleName(tr("Folders"));
    tree_->setModel(&folders_);
    tree_->setHeaderHidden(true);
    tree_->setUniformRowHeights(true);
    connect(tree_->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& index) {
        const QString id = folders_.idOf(index);
        if (index.isValid() && (files_.place().kind != Place::Kind::folder || files_.place().folderId != id))
            goTo({.folderId = id});
    });

    table_ = new QTreeView;
    table_->setObjectName(QStringLiteral("files"));
    table_->setAccessibleName(tr("Files"));
    table_->setModel(&files_);
    table_->setRootIsDecorated(false);
    table_->setUniformRowHeights(true);
    table_->setAlternatingRowColors(true);
    table_->setSelectionMode(QAbstractItemView::ExtendedSelection);
    table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table_->setSortingEnabled(true);
    table_->sortByColumn(FolderModel::nameColumn, Qt::AscendingOrder);
    table_->header()->setStretchLastSection(false);
    table_->header()->setSectionResizeMode(FolderModel::nameColumn, QHeaderView::Stretch);
    table_->setDragDropMode(QAbstractItemView::DragDrop);
    tree_->setDragDropMode(QAbstractItemView::DropOnly);
    table_->setContextMenuPolicy(Qt::ActionsContextMenu);
    table_->addActions({open_, rename_, cut_, copy_, paste_, trash_, restore_, purge_});
    connect(table_, &QTreeView::activated, this, &MainWindow::openEntry);
    connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, &MainWindow::showActions);

    details_ = new DetailsPane(*api_);
    splitter_ = new QSplitter;
    for (QWidget* part : {static_cast<QWidget*>(tree_), static_cast<QWidget*>(table_), static_cast<QWidget*>(details_)})
        splitter_->addWidget(part);
    splitter_->setStretchFactor(1, 1);
    splitter_->setSizes({220, 560, 260});
    setCentralWidget(splitter_);

    connection_ = new QLabel;
    connection_->setObjectName(QStringLiteral("connection"));
    count_ = new QLabel;
    count_->setObjectName(QStringLiteral("count"));
    statusBar()->addPermanentWidget(count_);
    statusBar()->addPermanentWidget(connection_);

    resize(1080, 680);
    restoreGeometry(settings_.get(setting::windowGeometry));
    restoreState(settings_.get(setting::windowState));
    splitter_->restoreState(settings_.get(setting::splitter));
    table_->header()->restoreState(settings_.get(setting::columns));
    table_->setFocus();
}

void MainWindow::watchChanges() {
    connect(&feed_, &ChangeFeed::changed, this, [this](const QList<QJsonObject>& changes) {
        folders_.apply(changes);
        files_.apply(changes);
        showActions();
    });
    const auto again = [this] {
        folders_.reload();
        tree_->expand(folders_.index(0, 0));
        files_.reload();
    };
    connect(&folders_, &FolderTreeModel::revealed, this, [this](const QString& id) {
        if (files_.place().folderId == id) showPlace();
    });
    connect(&feed_, &ChangeFeed::lost, this, again);
    connect(&feed_, &ChangeFeed::online, this, [this](bool answers, const QString& why) {
        connection_->setText(answers ? tr("Connected") : tr("Offline: %1").arg(why));
    });
    connect(&files_, &FolderModel::loaded, this, &MainWindow::showActions);
    connect(&files_, &FolderModel::rowsInserted, this, &MainWindow::showActions);
    connect(&files_, &FolderModel::failed, this, [this](const Problem& problem) { tell(problem.text); });
    const auto toldOf = [this](const QString& what, const Problem& problem) {
        tell(QStringLiteral("%1. %2").arg(what, problem.text));
    };
    connect(&actions_, &FileActions::failed, this, toldOf);
    connect(details_, &DetailsPane::failed, this, toldOf);
    connect(&actions_, &FileActions::made, this, [this](const QString& id) { toSelect_ = id; });
    connect(&files_, &FolderModel::renamed, &actions_, &FileActions::rename);
    connect(&files_, &FolderModel::dropped, &actions_, &FileActions::move);
    connect(&folders_, &FolderTreeModel::dropped, &actions_, &FileActions::move);
    connect(api_.get(), &ApiClient::signedOut, this, [this](const Problem& problem) { emit signedOut(problem.text); });
}

void MainWindow::goTo(const Place& place) {
    const bool refines = !visited_.empty() && place.kind == Place::Kind::search &&
                         visited_[at_].kind == Place::Kind::search;  // while somebody types
    if (!visited_.empty()) visited_.resize(at_ + 1);
    if (refines) visited_.back() = place;
    else if (visited_.empty() || !(visited_.back() == place)) visited_.push_back(place);
    at_ = visited_.size() - 1;
    enter(place);
}

void MainWindow::travel(int step) {
    const auto next = static_cast<std::ptrdiff_t>(at_) + step;
    if (next < 0 || next >= static_cast<std::ptrdiff_t>(visited_.size())) return;
    at_ = static_cast<std::size_t>(next);
    enter(visited_[at_]);
}

void MainWindow::enter(const Place& place) {
    files_.open(place);
    if (place.kind != Place::Kind::search && !searchField_->text().isEmpty()) {
        const QSignalBlocker quiet(searchField_);
        searchField_->clear();
    }
    showPlace();
    showActions();
}

void MainWindow::showPlace() {
    const Place& place = files_.place();
    const QModelIndex inTree = place.kind == Place::Kind::folder ? folders_.indexOf(place.folderId) : QModelIndex();
    {
        const QSignalBlocker quiet(tree_->selectionModel());
        tree_->setCurrentIndex(inTree);
    }
    if (inTree.isValid()) tree_->scrollTo(inTree);
    tree_->viewport()->update();
    path_->clear();
    if (place.kind == Place::Kind::trash) {
        path_->addAction(tr("Trash"));
        return;
    }
    if (place.kind == Place::Kind::search) {
        path_->addAction(tr("Search for \"%1\"").arg(place.text));
        return;
    }
    QList<QModelIndex> way;
    for (QModelIndex index = folders_.indexOf(place.folderId); index.isValid(); index = index.parent())
        way.prepend(index);
    for (const QModelIndex& index : way) {
        const QString id = folders_.idOf(index);
        QString name = index.data().toString();
        path_->addAction(name.replace(QLatin1Char('&'), QLatin1String("&&")), this,
                         [this, id] { goTo({.folderId = id}); });
    }
}

void MainWindow::showActions() {
    if (!toSelect_.isEmpty()) {
        if (const int row = files_.rowOf(toSelect_); row >= 0) {
            table_->setCurrentIndex(files_.index(row, 0));
            toSelect_.clear();
        }
    }
    const QStringList ids = chosen();
    const bool one = ids.size() == 1, any = !ids.isEmpty();
    const bool inFolder = files_.place().kind == Place::Kind::folder;
    back_->setEnabled(at_ > 0);
    forward_->setEnabled(at_ + 1 < visited_.size());
    up_->setEnabled(inFolder && files_.place().folderId != account_.rootFolder);
    newFolder_->setEnabled(inFolder);
    open_->setEnabled(one && !inTrash());
    rename_->setEnabled(one && !inTrash());
    for (QAction* action : {cut_, copy_, trash_}) action->setEnabled(any && !inTrash());
    paste_->setEnabled(inFolder);
    for (QAction* action : {restore_, purge_}) {
        action->setEnabled(any && inTrash());
        action->setVisible(inTrash());
    }
    emptyTrash_->setEnabled(inTrash() && files_.rowCount() > 0);
    if (one) details_->show(files_.entryAt(files_.rowOf(ids.front())));
    else if (any) details_->showSeveral(static_cast<int>(ids.size()));
    else details_->showNothing();
    count_->setText(files_.isWhole() ? tr("%n entries", nullptr, files_.rowCount())
                                     : tr("%n entries or more", nullptr, files_.rowCount()));
}

QStringList MainWindow::chosen() const {
    QStringList ids;
    for (const QModelIndex& index : table_->selectionModel()->selectedRows())
        ids.append(files_.entryAt(index.row()).id);
    return ids;
}

void MainWindow::openEntry(const QModelIndex& index) {
    if (!index.isValid() || inTrash()) return;
    const Entry& entry = files_.entryAt(index.row());
    if (!entry.isFolder) return;
    const Entry folder = entry;  // the list of which it is one goes away
    goTo({.folderId = folder.id});
    folders_.reveal(folder);
}

void MainWindow::makeFolder() {
    bool accepted = false;
    const QString name = QInputDialog::getText(this, tr("New folder"), tr("Name of the folder:"), QLineEdit::Normal,
                                               tr("New folder"), &accepted);
    if (accepted && !name.isEmpty()) actions_.makeFolder(name, files_.place().folderId);
}

void MainWindow::trashChosen() { actions_.trash(chosen()); }

void MainWindow::keepForPaste(bool cut) {
    const QStringList ids = chosen();
    if (ids.isEmpty()) return;
    QApplication::clipboard()->setMimeData(mimeOfIds(ids, cut).release());
}

void MainWindow::paste() {
    const QMimeData* mime = QApplication::clipboard()->mimeData();
    const QStringList ids = idsOf(*mime);
    if (mime->hasFormat(cutMimeType())) {
        actions_.move(ids, files_.place().folderId);
        QApplication::clipboard()->clear();
    } else {
        actions_.copy(ids, files_.place().folderId);
    }
}

void MainWindow::signOut() {
    api_->call({.method = "POST", .path = QStringLiteral("/auth/logout")}, this,
               [this](const Answer&) { emit signedOut({}); });
}

void MainWindow::tell(const QString& text) { statusBar()->showMessage(text, messageMs); }

void MainWindow::closeEvent(QCloseEvent* event) {
    settings_.set(setting::windowGeometry, saveGeometry());
    settings_.set(setting::windowState, saveState());
    settings_.set(setting::splitter, splitter_->saveState());
    settings_.set(setting::columns, table_->header()->saveState());
    event->accept();
}

}  // namespace chunkvault::desktop
