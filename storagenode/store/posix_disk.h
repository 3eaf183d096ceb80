// Disk on the system calls of POSIX, every path relative to the opened folder, so that nothing can land on the mount
// point below when the disk is unmounted.
#pragma once

#include <filesystem>
#include <memory>

#include "storagenode/store/disk.h"

namespace chunkvault::storagenode {

// Throws Error unavailable when there is no such folder, else as throwDiskError.
[[nodiscard]] std::unique_ptr<Disk> openPosixDisk(const std::filesystem::path& folder);

// The same; makes the folder and those above it first, durably, where they are missing.
[[nodiscard]] std::unique_ptr<Disk> makePosixDisk(const std::filesystem::path& folder);

// The folder and those above it, where they are missing, for this user alone; durable on return. Throws as
// throwDiskError.
void makeDurableFolders(const std::filesystem::path& folder);

}  // namespace chunkvault::storagenode
