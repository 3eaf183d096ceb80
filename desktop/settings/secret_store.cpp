#include "desktop/settings/secret_store.h"

#include <qt6keychain/keychain.h>

#include <QPointer>
#include <utility>

namespace chunkvault::desktop {

void KeychainStore::read(const QString& key, QObject* context, std::function<void(std::optional<QString>)> done) {
    auto* job = new QKeychain::ReadPasswordJob(service_);  // deletes itself
    job->setKey(key);
    QObject::connect(job, &QKeychain::Job::finished, &alive_,
                     [this, job, key, context = QPointer<QObject>(context), done = std::move(done)] {
                         if (context == nullptr) return;
                         if (job->error() == QKeychain::NoError) done(job->textData());
                         else if (ofThisRun_.contains(key)) done(ofThisRun_.value(key));
                         else done(std::nullopt);
                     });
    job->start();
}

void KeychainStore::write(const QString& key, const QString& secret) {
    ofThisRun_[key] = secret;
    auto* job = new QKeychain::WritePasswordJob(service_);
    job->setKey(key);
    job->setTextData(secret);
    QObject::connect(job, &QKeychain::Job::finished, &alive_, [this, job, key] {
        keeps_ = job->error() == QKeychain::NoError;
        if (keeps_) ofThisRun_.remove(key);
    });
    job->start();
}

void KeychainStore::remove(const QString& key) {
    ofThisRun_.remove(key);
    auto* job = new QKeychain::DeletePasswordJob(service_);
    job->setKey(key);
    job->start();
}

}  // namespace chunkvault::desktop
