// The version of the project that this program was built from.
#pragma once

namespace chunkvault::process {

extern const char* const versionText;  // "1.2.3"

}  // namespace chunkvault::process
