// Numbers, times and kinds as people say them, in the language of the user.
#pragma once

#include <QString>

#include "desktop/model/entry.h"

namespace chunkvault::desktop {

[[nodiscard]] QString sizeInWords(qint64 bytes);
[[nodiscard]] QString kindInWords(const Entry& entry);
// "just now", "5 minutes ago", "2 days ago".
[[nodiscard]] QString agoInWords(const QDateTime& then, const QDateTime& now);

}  // namespace chunkvault::desktop
