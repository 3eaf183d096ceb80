#include "server/wiring/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/error/error.h"
#include "server/auth/base64.h"
#include "server/auth/keys.h"
#include "storagenode/store/posix_disk.h"

namespace chunkvault::server {

namespace {

constexpr std::size_t minKeyCharacters = 32, maxKeyCharacters = 4096;

// Makes the names in it durable.
void syncFolder(const std::filesystem::path& path) {
    const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && ::fsync(folder) == 0;
    if (folder >= 0) ::close(folder);
    if (!synced)
        throw Error(ErrorCode::unavailable,
                    "The folder " + path.string() + " cannot be synced: " + std::strerror(errno) + '.');
}

[[noreturn]] void refuseKey(const std::filesystem::path& file, const std::string& why) {
    throw Error(ErrorCode::unavailable, "The secret key in " + file.string() + " cannot be used: " + why +
                                            ". Put it back from a backup, or delete the file: that makes a new key, "
                                            "and ends all logins and links.");
}

// The first line; nullopt when there is no such file.
std::optional<std::string> readKey(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) return std::nullopt;
    if (descriptor < 0) refuseKey(file, std::strerror(errno));
    std::array<char, maxKeyCharacters> text;
    const ssize_t count = ::read(descriptor, text.data(), text.size());
    const int failure = errno;
    ::close(descriptor);
    if (count < 0) refuseKey(file, std::strerror(failure));
    const std::string_view line(text.data(), static_cast<std::size_t>(count));
    std::string key(line.substr(0, line.find_first_of(" \t\r\n")));
    if (key.size() < minKeyCharacters) refuseKey(file, "it has fewer than 32 characters");
    return key;
}

}  // namespace

DataFolder::DataFolder(const std::string& path) : path_(path) {
    try {
        const bool fresh = !std::filesystem::is_directory(path_);
        storagenode::makeDurableFolders(path_);
        // One that was there may be somebody else's, or everybody's.
        if (fresh) std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    } catch (const std::filesystem::filesystem_error& error) {
        throw Error(ErrorCode::unavailable, "DATA_DIR " + path + " cannot be made: " + error.code().message() + '.');
    }
    lock_ = ::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0)
        throw Error(ErrorCode::unavailable,
                    "DATA_DIR " + path + " cannot be written to: " + std::strerror(errno) + '.');
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
        throw Error(ErrorCode::conflict, "Another chunkvault-server uses the data folder " + path +
                                             ". Stop it first, or set DATA_DIR to another folder.");
}

bool DataFolder::isPrivate() const {
    using enum std::filesystem::perms;
    return (std::filesystem::status(path_).permissions() & (group_all | others_all)) == none;
}

DataFolder::~DataFolder() { ::close(lock_); }

std::string DataFolder::secretKey() const {
    const std::filesystem::path file = path_ / "secret_key";
    if (auto known = readKey(file)) return std::move(*known);
    std::string key = toBase64Url(randomBytes(48));
    const std::string fresh = file.string() + ".new";
    const int descriptor = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::string line = key + '\n';
    const bool written = descriptor >= 0 &&
                         ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                         ::fsync(descriptor) == 0;
    if (descriptor >= 0) ::close(descriptor);
    if (!written) throw Error(ErrorCode::unavailable, "The secret key cannot be written to " + file.string() + '.');
    std::filesystem::rename(fresh, file);
    syncFolder(path_);
    return key;
}

}  // namespace chunkvault::server
