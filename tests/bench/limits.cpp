// What this machine can do at best for "durable, three copies, verified", by bare system calls and no server: the
// baselines of the benches. Prints one number.
//
//   limits large FOLDER SIZE    bytes a second: 4 MiB files, 4 threads; each hashed once, then written and fsynced
//   thrice limits small FOLDER COUNT   files a second: 4 KiB files, 16 threads; each thrice: written under another
//   name, fsynced,
//                               renamed, its folder fsynced
//   limits hash SIZE            bytes a second: SHA-256 by OpenSSL, one thread
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <openssl/evp.h>

#include "tests/bench/random_bytes.h"

namespace chunkvault::bench {
namespace {

using std::filesystem::path;

constexpr std::size_t largeBytes = 4 << 20, largeThreads = 4;
constexpr std::size_t smallBytes = 4 << 10, smallThreads = 16;
constexpr const char* copies[] = {"a", "b", "c"};

void require(bool good, const std::string& what) {
    if (good) return;
    std::perror(what.c_str());
    std::exit(1);
}

void sha256(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    require(EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr) == 1, "SHA-256");
}

void writeDurably(const path& file, std::string_view bytes) {
    const int descriptor = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    require(descriptor >= 0, file);
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        require(written > 0, "write");
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    require(::fsync(descriptor) == 0, "fsync");
    ::close(descriptor);
}

void syncFolder(const path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(descriptor >= 0 && ::fsync(descriptor) == 0, "fsync of a folder");
    ::close(descriptor);
}

// Seconds that so many threads need for work(0) to work(count - 1).
double seconds(std::size_t threads, std::size_t count, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next = 0;
    const auto start = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> running;
        for (std::size_t thread = 0; thread < threads; ++thread)
            running.emplace_back([&] {
                for (std::size_t i = next++; i < count; i = next++) work(i);
            });
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double large(const path& folder, std::size_t size) {
    const std::string bytes = randomBytes(largeBytes);
    const std::size_t count = size / largeBytes;
    const double took = seconds(largeThreads, count, [&](std::size_t i) {
        sha256(bytes);
        for (const char* copy : copies) writeDurably(folder / copy / std::to_string(i), bytes);
    });
    return static_cast<double>(count * largeBytes) / took;
}

double small(const path& folder, std::size_t count) {
    const std::string bytes = randomBytes(smallBytes);
    const double took = seconds(smallThreads, count, [&](std::size_t i) {
        sha256(bytes);
        for (const char* copy : copies) {
            const path home = folder / copy, name = home / std::to_string(i),
                       draft = home / (std::to_string(i) + ".new");
            writeDurably(draft, bytes);
            std::filesystem::rename(draft, name);
            syncFolder(home);
        }
    });
    return static_cast<double>(count) / took;
}

double hash(std::size_t size) {
    const std::string bytes = randomBytes(size);
    return static_cast<double>(size) / seconds(1, 1, [&](std::size_t) { sha256(bytes); });
}

int run(int argc, char** argv) {
    const std::string_view verb = argc > 1 ? argv[1] : "";
    if (argc == 4 && (verb == "large" || verb == "small")) {
        const path folder = argv[2];
        for (const char* copy : copies) std::filesystem::create_directories(folder / copy);
        const std::size_t amount = std::stoull(argv[3]);
        std::printf("%.0f\n", verb == "large" ? large(folder, amount) : small(folder, amount));
        return 0;
    }
    if (argc == 3 && verb == "hash") {
        std::printf("%.0f\n", hash(std::stoull(argv[2])));
        return 0;
    }
    std::fputs("usage: limits large FOLDER SIZE | small FOLDER COUNT | hash SIZE\n", stderr);
    return 2;
}

}  // namespace
}  // namespace chunkvault::bench

int main(int argc, char** argv) { return chunkvault::bench::run(argc, argv); }
