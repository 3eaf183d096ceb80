// The disk below a store, as small as a store needs it: so that a test can take away whatever was not synced, or fail
// any call. Paths are relative to the store's folder, with '/' between names, and never leave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/timestamp.h"

namespace chunkvault::storagenode {

struct FileStat {
    std::uint64_t sizeBytes;
    Timestamp modifiedAt;
};

struct DiskSpace {
    std::uint64_t capacityBytes;
    std::uint64_t freeBytes;  // what this process may still use
};

// Throws, as the Error that errno calls for: storageFull (ENOSPC, EDQUOT), unavailable (the disk is gone or read-only,
// or this process is short of memory or descriptors), internal (the rest). What was tried, on which path, and the
// system's text are its private detail.
[[noreturn]] void throwDiskError(int errnoValue, std::string_view operation, std::string_view path);

// An open file; the destructor closes it. For one thread at a time. Every call throws as throwDiskError.
class DiskFile {
  public:
    virtual ~DiskFile() = default;

    // Fills into from offset on; fewer bytes only at the end of the file.
    [[nodiscard]] virtual std::size_t read(std::uint64_t offset, std::span<char> into) = 0;
    // Writes all of it, or throws with any part of it written.
    virtual void write(std::uint64_t offset, std::span<const char> bytes) = 0;
    // Sets the modification time to now.
    virtual void touch() = 0;
    // The bytes and the modification time are durable on return; the file's name is not (Disk::syncFolder).
    // After a failure the system may have dropped what was written: never try again and trust the second answer.
    virtual void sync() = 0;
    // Lets the next read come from the disk instead of memory, where the system can.
    virtual void forgetCached() noexcept = 0;
    [[nodiscard]] virtual FileStat stat() = 0;
};

// Thread-safe. Every call throws as throwDiskError.
class Disk {
  public:
    virtual ~Disk() = default;

    // A new file for writing; it is an error if the name is taken.
    [[nodiscard]] virtual std::unique_ptr<DiskFile> create(const std::string& path) = 0;
    // For reading, touching and syncing; nullptr when there is no such file.
    [[nodiscard]] virtual std::unique_ptr<DiskFile> open(const std::string& path) = 0;
    // Replaces what has the new name.
    virtual void rename(const std::string& from, const std::string& to) = 0;
    // False when there was no such file.
    virtual bool unlink(const std::string& path) = 0;
    // False when the folder is there already.
    virtual bool makeFolder(const std::string& path) = 0;
    // The names in this folder are durable on return: those made, renamed and removed. "" is the store's own folder.
    virtual void syncFolder(const std::string& path) = 0;
    // The names in the folder, in no order; empty when there is no such folder.
    [[nodiscard]] virtual std::vector<std::string> list(const std::string& path) = 0;
    [[nodiscard]] virtual std::optional<FileStat> stat(const std::string& path) = 0;
    // By the clock that the files' times are of.
    [[nodiscard]] virtual Timestamp now() = 0;
    [[nodiscard]] virtual DiskSpace space() = 0;
    // Keeps every other process (and every other Disk of this one) out until destroyed. False when one has it already.
    [[nodiscard]] virtual bool lock() = 0;
    // Whether the path this disk was opened by still leads to it: not after an unmount.
    [[nodiscard]] virtual bool attached() = 0;
    // For messages.
    [[nodiscard]] virtual std::string description() const = 0;
};

}  // namespace chunkvault::storagenode
