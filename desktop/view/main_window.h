// The window of a signed-in account: folder tree, the files of a place, and what is known of the one that is chosen.
#pragma once

#include <QMainWindow>
#include <QTimer>
#include <memory>
#include <vector>

#include "desktop/api/sign_in.h"
#include "desktop/model/change_feed.h"
#include "desktop/model/file_actions.h"
#include "desktop/model/folder_model.h"
#include "desktop/model/folder_tree_model.h"
#include "desktop/settings/settings.h"

class QAction;
class QLabel;
class QLineEdit;
class QSplitter;
class QToolBar;
class QTreeView;

namespace chunkvault::desktop {

class DetailsPane;

class MainWindow final : public QMainWindow {
    Q_OBJECT

  public:
    // settings outlives it.
    MainWindow(std::unique_ptr<ApiClient> api, const Account& account, Settings& settings);
    ~MainWindow() override;

  signals:
    // The session is over, or the user has ended it (why is empty): sign in again.
    void signedOut(const QString& why);

  protected:
    void closeEvent(QCloseEvent* event) override;

  private:
    void makeActions();
    void makeLayout();
    void watchChanges();
    void goTo(const Place& place);
    void travel(int step);
    void enter(const Place& place);
    // In the tree, and the way to it.
    void showPlace();
    void showActions();
    void openEntry(const QModelIndex& index);
    void makeFolder();
    void trashChosen();
    void keepForPaste(bool cut);
    void paste();
    void signOut();
    void tell(const QString& text);
    [[nodiscard]] QStringList chosen() const;
    [[nodiscard]] bool inTrash() const { return files_.place().kind == Place::Kind::trash; }

    std::unique_ptr<ApiClient> api_;
    Account account_;
    Settings& settings_;
    ChangeFeed feed_;
    FolderModel files_;
    FolderTreeModel folders_;
    FileActions actions_;

    std::vector<Place> visited_;
    std::size_t at_ = 0;  // in visited_
    QString toSelect_;    // once it is there
    QTimer search_;       // runs while somebody types

    QAction *back_, *forward_, *up_, *newFolder_, *open_, *rename_, *copy_, *cut_, *paste_, *trash_, *restore_, *purge_,
        *emptyTrash_, *reload_;
    QToolBar* path_;
    QLineEdit* searchField_;
    QTreeView *tree_, *table_;
    QSplitter* splitter_;
    DetailsPane* details_;
    QLabel *connection_, *count_;
};

}  // namespace chunkvault::desktop
