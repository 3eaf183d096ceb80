#include "common/process/version.h"

namespace chunkvault::process {

const char* const versionText = CHUNKVAULT_VERSION;

}  // namespace chunkvault::process
