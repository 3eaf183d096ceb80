// Where secrets outlive the program: the keychain of the system, and nowhere else.
#pragma once

#include <QHash>
#include <QObject>
#include <QString>
#include <functional>
#include <optional>

namespace chunkvault::desktop {

// For one thread.
class SecretStore {
  public:
    virtual ~SecretStore() = default;

    // done is called once, later: with nothing when there is none, or it cannot be read. Never when context is
    // destroyed before.
    virtual void read(const QString& key, QObject* context, std::function<void(std::optional<QString>)> done) = 0;
    virtual void write(const QString& key, const QString& secret) = 0;
    virtual void remove(const QString& key) = 0;
    // False once something could not be kept beyond this run: say so to the user.
    [[nodiscard]] virtual bool keeps() const = 0;
};

// By QtKeychain. Where the system has no keychain, or it is locked for good, secrets live as long as this object.
class KeychainStore final : public SecretStore {
  public:
    explicit KeychainStore(QString service) : service_(std::move(service)) {}

    void read(const QString& key, QObject* context, std::function<void(std::optional<QString>)> done) override;
    void write(const QString& key, const QString& secret) override;
    void remove(const QString& key) override;
    [[nodiscard]] bool keeps() const override { return keeps_; }

  private:
    const QString service_;
    QHash<QString, QString> ofThisRun_;
    bool keeps_ = true;
    QObject alive_;  // the context of what the keychain answers
};

}  // namespace chunkvault::desktop
