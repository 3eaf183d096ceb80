#include "storagenode/store/disk.h"

#include <cerrno>
#include <system_error>

#include "common/error/error.h"

namespace chunkvault::storagenode {

void throwDiskError(int errnoValue, std::string_view operation, std::string_view path) {
    const std::string detail =
        std::string(operation) + " " + std::string(path) + ": " + std::generic_category().message(errnoValue);
    switch (errnoValue) {
        case ENOSPC:
        case EDQUOT: throw Error(ErrorCode::storageFull, "The storage is full.", detail);
        case EROFS:
        case ENODEV:
        case ENXIO:
        case ESTALE:
        case ENOTCONN:
        case ESHUTDOWN:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            throw Error(ErrorCode::unavailable, "The storage cannot be used now. Try again later.", detail)
                .retryAfter(10);
        default: throw Error(ErrorCode::internal, "The storage failed.", detail);
    }
}

}  // namespace chunkvault::storagenode
