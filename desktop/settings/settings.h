// What the application remembers of how the user wants it: one table, in the settings file of the user. No secrets.
#pragma once

#include <QSettings>
#include <QVariant>

namespace chunkvault::desktop {

// A row of the table: a name in the file, and what holds when it is not there.
template <typename Value>
struct Setting {
    const char* name;
    Value fallback;
};

namespace setting {

inline const Setting<QString> server{"account/server", {}};            // the last address that was signed in to
inline const Setting<QString> user{"account/user", {}};                // and its user's name
inline const Setting<QString> certificate{"account/certificate", {}};  // fingerprint that was accepted for it
inline const Setting<QByteArray> windowGeometry{"window/geometry", {}};
inline const Setting<QByteArray> windowState{"window/state", {}};
inline const Setting<QByteArray> splitter{"window/splitter", {}};
inline const Setting<QByteArray> columns{"window/columns", {}};

}  // namespace setting

class Settings {
  public:
    Settings() = default;
    // In a file of a test's own.
    explicit Settings(const QString& file) : kept_(file, QSettings::IniFormat) {}

    template <typename Value>
    [[nodiscard]] Value get(const Setting<Value>& setting) const {
        return kept_.value(QLatin1String(setting.name), QVariant::fromValue(setting.fallback)).template value<Value>();
    }
    template <typename Value>
    void set(const Setting<Value>& setting, const Value& value) {
        kept_.setValue(QLatin1String(setting.name), QVariant::fromValue(value));
    }

  private:
    QSettings kept_;
};

}  // namespace chunkvault::desktop
