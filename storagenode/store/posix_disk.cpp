#include "storagenode/store/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/error/error.h"

namespace chunkvault::storagenode {

namespace {

constexpr mode_t fileMode = 0600;
constexpr mode_t folderMode = 0700;

class Descriptor {
  public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

  private:
    int fd_;
};

FileStat fileStat(const struct stat& status) {
    return {static_cast<std::uint64_t>(status.st_size),
            status.st_mtim.tv_sec * secondUs + status.st_mtim.tv_nsec / 1000};
}

class PosixFile final : public DiskFile {
  public:
    PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    std::size_t read(std::uint64_t offset, std::span<char> into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            const ssize_t n =
                ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (n == 0) break;
            if (n > 0) done += static_cast<std::size_t>(n);
            else if (errno != EINTR) throwDiskError(errno, "read", path_);
        }
        return done;
    }

    void write(std::uint64_t offset, std::span<const char> bytes) override {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t n =
                ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
            if (n >= 0) done += static_cast<std::size_t>(n);
            else if (errno != EINTR) throwDiskError(errno, "write", path_);
        }
    }

    void touch() override {
        if (::futimens(fd_.get(), nullptr) != 0) throwDiskError(errno, "touch", path_);
    }

    void sync() override {
        if (::fsync(fd_.get()) != 0) throwDiskError(errno, "fsync", path_);
    }

    void forgetCached() noexcept override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

    FileStat stat() override {
        struct stat status {};
        if (::fstat(fd_.get(), &status) != 0) throwDiskError(errno, "stat", path_);
        return fileStat(status);
    }

  private:
    Descriptor fd_;
    std::string path_;
};

class PosixDisk final : public Disk {
  public:
    PosixDisk(Descriptor root, std::filesystem::path folder) : root_(std::move(root)), folder_(std::move(folder)) {}

    std::unique_ptr<DiskFile> create(const std::string& path) override {
        Descriptor fd(::openat(root_.get(), path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, fileMode));
        if (!fd) throwDiskError(errno, "create", path);
        return std::make_unique<PosixFile>(std::move(fd), path);
    }

    std::unique_ptr<DiskFile> open(const std::string& path) override {
        Descriptor fd(::openat(root_.get(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd && errno == ENOENT) return nullptr;
        if (!fd) throwDiskError(errno, "open", path);
        return std::make_unique<PosixFile>(std::move(fd), path);
    }

    void rename(const std::string& from, const std::string& to) override {
        if (::renameat(root_.get(), from.c_str(), root_.get(), to.c_str()) != 0)
            throwDiskError(errno, "rename", from + " to " + to);
    }

    bool unlink(const std::string& path) override {
        if (::unlinkat(root_.get(), path.c_str(), 0) == 0) return true;
        if (errno == ENOENT) return false;
        throwDiskError(errno, "unlink", path);
    }

    bool makeFolder(const std::string& path) override {
        if (::mkdirat(root_.get(), path.c_str(), folderMode) == 0) return true;
        if (errno == EEXIST) return false;
        throwDiskError(errno, "mkdir", path);
    }

    void syncFolder(const std::string& path) override {
        const Descriptor fd = openFolder(path);
        if (!fd) throwDiskError(errno, "open", path);
        if (::fsync(fd.get()) != 0) throwDiskError(errno, "fsync", path);
    }

    std::vector<std::string> list(const std::string& path) override {
        Descriptor fd = openFolder(path);
        if (!fd && errno == ENOENT) return {};
        if (!fd) throwDiskError(errno, "open", path);
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(fd.get()), ::closedir);
        if (folder == nullptr) throwDiskError(errno, "list", path);
        (void)fd.release();
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(folder.get());
            if (entry == nullptr) break;
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno != 0) throwDiskError(errno, "list", path);
        return names;
    }

    std::optional<FileStat> stat(const std::string& path) override {
        struct stat status {};
        if (::fstatat(root_.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return fileStat(status);
        if (errno == ENOENT) return std::nullopt;
        throwDiskError(errno, "stat", path);
    }

    Timestamp now() override { return systemNow(); }
    DiskSpace space() override {
        struct statvfs status {};
        if (::fstatvfs(root_.get(), &status) != 0) throwDiskError(errno, "statvfs", folder_.native());
        return {static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize,
                static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize};
    }

    bool lock() override {
        if (::flock(root_.get(), LOCK_EX | LOCK_NB) == 0) return true;
        if (errno == EWOULDBLOCK) return false;
        throwDiskError(errno, "lock", folder_.native());
    }

    bool attached() override {
        struct stat opened {
        }, named{};
        if (::fstat(root_.get(), &opened) != 0) throwDiskError(errno, "stat", folder_.native());
        return ::stat(folder_.c_str(), &named) == 0 && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
    }

    std::string description() const override { return folder_.native(); }

  private:
    [[nodiscard]] Descriptor openFolder(const std::string& path) const {
        return Descriptor(::openat(root_.get(), path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }

    const Descriptor root_;
    const std::filesystem::path folder_;
};

void makeFolders(const std::filesystem::path& folder) {
    if (std::filesystem::is_directory(folder)) return;
    const std::filesystem::path parent = folder.parent_path();
    if (parent != folder) makeFolders(parent);
    if (::mkdir(folder.c_str(), folderMode) != 0 && errno != EEXIST) throwDiskError(errno, "mkdir", folder.native());
    const Descriptor fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) throwDiskError(errno, "fsync", parent.native());
}

}  // namespace

void makeDurableFolders(const std::filesystem::path& folder) {
    makeFolders(std::filesystem::absolute(folder).lexically_normal());
}

std::unique_ptr<Disk> openPosixDisk(const std::filesystem::path& folder) {
    const std::filesystem::path absolute = std::filesystem::absolute(folder);
    Descriptor fd(::open(absolute.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ENOTDIR))
        throw Error(ErrorCode::unavailable, "The store folder " + absolute.native() + " is not there.");
    if (!fd) throwDiskError(errno, "open", absolute.native());
    return std::make_unique<PosixDisk>(std::move(fd), absolute);
}

std::unique_ptr<Disk> makePosixDisk(const std::filesystem::path& folder) {
    makeDurableFolders(folder);
    return openPosixDisk(folder);
}

}  // namespace chunkvault::storagenode
