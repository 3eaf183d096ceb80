// How close the stores come to the disk: ReplicatedChunkStore over three DiskChunkStores against the bare system calls
// for the same durable bytes, in turns, on the same file system.
//
//   store_bench FOLDER [ROUNDS]
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/error/error.h"
#include "server/storage/replicated_chunk_store.h"
#include "storagenode/store/disk_chunk_store.h"
#include "storagenode/store/posix_disk.h"

namespace chunkvault {
namespace {

using SteadyClock = std::chrono::steady_clock;
using catalog::StoreRow;
using std::filesystem::path;
using storagenode::DiskChunkStore;

constexpr std::size_t largeBytes = 4 << 20;
constexpr std::size_t largeChunks = 64;
constexpr std::size_t largeThreads = 4;
constexpr std::size_t smallBytes = 4096;
constexpr std::size_t smallFiles = 4096;
constexpr std::size_t smallThreads = 16;
constexpr std::size_t batchFiles = 1024;
constexpr std::size_t copies = 3;

void require(bool good, const std::string& what) {
    if (good) return;
    std::perror(what.c_str());
    std::exit(1);
}

struct Cost {
    double seconds;
    double cpuSeconds;  // of this process, system calls included
};

double cpuSeconds() {
    rusage usage{};
    require(::getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Runs work(i) for i in [0, count) on so many threads.
Cost timed(std::size_t threads, std::size_t count, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next = 0;
    std::vector<std::thread> running;
    const double cpuBefore = cpuSeconds();
    const auto start = SteadyClock::now();
    for (std::size_t t = 0; t < threads; ++t)
        running.emplace_back([&] {
            for (std::size_t i; (i = next++) < count;) work(i);
        });
    for (std::thread& thread : running) thread.join();
    return {std::chrono::duration<double>(SteadyClock::now() - start).count(), cpuSeconds() - cpuBefore};
}

// Bytes that never repeat between calls.
class Source {
  public:
    explicit Source(std::size_t bytes) : bytes_(bytes, '\0') {
        std::mt19937_64 random(1);
        for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
            const auto value = random();
            std::memcpy(&bytes_[i], &value, 8);
        }
    }
    void fill(char* into) {
        std::memcpy(into, bytes_.data(), bytes_.size());
        const std::uint64_t number = ++number_;
        std::memcpy(into, &number, sizeof number);
    }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
    std::atomic<std::uint64_t> number_ = static_cast<std::uint64_t>(SteadyClock::now().time_since_epoch().count());
};

Source largeSource(largeBytes), smallSource(smallBytes);
ChunkBuffers buffers(16, largeBytes);

Chunk chunkFrom(Source& source) {
    const std::size_t size = source.bytes().size();
    ChunkBuffer buffer = buffers.acquire(size);
    source.fill(buffer.data());
    return Chunk::hash(std::move(buffer), size);
}

void writeSynced(const std::string& name, const std::string& bytes) {
    const int fd = ::open(name.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    require(fd >= 0, name);
    require(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
    require(::fsync(fd) == 0, "fsync");
    ::close(fd);
}

// The bare system calls.
class Limits {
  public:
    explicit Limits(const path& folder) {
        for (std::size_t copy = 0; copy < copies; ++copy) {
            folders_.push_back((folder / std::to_string(copy)).string());
            std::filesystem::create_directories(folders_.back());
        }
    }

    Cost large() {
        return timed(largeThreads, largeChunks, [&](std::size_t i) {
            (void)ChunkId::of(largeSource.bytes());
            for (const std::string& folder : folders_)
                writeSynced(folder + "/" + std::to_string(i), largeSource.bytes());
        });
    }

    Cost small() {
        return timed(smallThreads, smallFiles, [&](std::size_t i) {
            for (const std::string& folder : folders_) {
                const std::string name = folder + "/s" + std::to_string(i);
                writeSynced(name + ".tmp", smallSource.bytes());
                require(::rename((name + ".tmp").c_str(), name.c_str()) == 0, "rename");
                const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
                require(fd >= 0 && ::fsync(fd) == 0, "fsync of the folder");
                ::close(fd);
            }
        });
    }

  private:
    std::vector<std::string> folders_;
};

class Stores {
  public:
    explicit Stores(const path& folder) {
        std::vector<server::Replica> replicas;
        for (std::size_t copy = 0; copy < copies; ++copy) {
            const path home = folder / std::to_string(copy);
            (void)DiskChunkStore::format(*storagenode::makePosixDisk(home), "bench", std::to_string(copy));
            rows_.push_back(StoreRow(static_cast<std::int64_t>(copy) + 1));
            replicas.push_back(
                {rows_.back(), DiskChunkStore::open(storagenode::openPosixDisk(home), "bench"), "", 1, true});
        }
        replicated_.setReplicas(std::move(replicas));
    }

    Cost putLarge() {
        large_.clear();
        std::mutex mutex;
        return timed(largeThreads, largeChunks, [&](std::size_t) {
            const Chunk chunk = chunkFrom(largeSource);
            requireAll(replicated_.put(chunk, 1));
            const std::lock_guard lock(mutex);
            large_.push_back(chunk.id());
        });
    }

    Cost putSmall() {
        return timed(smallThreads, smallFiles,
                     [&](std::size_t) { requireAll(replicated_.put(chunkFrom(smallSource), 1)); });
    }

    Cost putBatches(std::size_t threads) {
        return timed(threads, smallFiles / batchFiles, [&](std::size_t) {
            std::vector<PutItem> items;
            items.reserve(batchFiles);
            for (std::size_t i = 0; i < batchFiles; ++i) items.push_back({chunkFrom(smallSource), 1});
            small_ = items[0].chunk.id();
            for (const auto& stores : replicated_.putAll(items)) requireAll(stores);
        });
    }

    // What putLarge has put, from the page cache.
    Cost getLarge() {
        return timed(1, large_.size(),
                     [&](std::size_t i) { (void)replicated_.get(large_[i], largeBytes, rows_, buffers); });
    }

    Cost getSmall(std::size_t count) {
        return timed(smallThreads, count,
                     [&](std::size_t) { (void)replicated_.get(small_, smallBytes, rows_, buffers); });
    }

  private:
    static void requireAll(const std::vector<StoreRow>& stores) {
        if (stores.size() == copies) return;
        std::fprintf(stderr, "a copy is missing\n");
        std::exit(1);
    }

    std::vector<StoreRow> rows_;
    std::vector<ChunkId> large_;
    ChunkId small_;
    server::ReplicatedChunkStore replicated_{{}, {}};
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// One line of the table: the same amount of work by the stores and by the bare system calls, round by round.
struct Row {
    std::string what, unit;
    double amount;
    std::vector<Cost> ours = {}, bar = {};

    void print() const {
        std::vector<double> rate, barRate, ratio, cpu;
        for (std::size_t i = 0; i < ours.size(); ++i) {
            rate.push_back(amount / ours[i].seconds);
            barRate.push_back(amount / bar[i].seconds);
            ratio.push_back(bar[i].seconds / ours[i].seconds);
            cpu.push_back(ours[i].cpuSeconds / bar[i].cpuSeconds);
        }
        std::printf("%-32s %8.0f %8.0f %-8s %5.2f %5.2f  ", what.c_str(), median(rate), median(barRate), unit.c_str(),
                    median(ratio), median(cpu));
        for (const double each : ratio) std::printf(" %.2f", each);
        std::printf("\n");
    }
};

void bench(const path& folder, int rounds) {
    constexpr double megabytes = largeBytes * largeChunks / 1e6;
    constexpr std::size_t gets = 20'000;
    Row large{"put 4 MiB, 4 at once", "MB/s", megabytes};
    Row small{"put 4 KiB, 16 at once", "files/s", smallFiles};
    Row batch{"putAll 1024 x 4 KiB, 1 at once", "files/s", smallFiles};
    Row batches{"putAll 1024 x 4 KiB, 4 at once", "files/s", smallFiles};
    Row get{"get 4 MiB, 1 at once", "MB/s", megabytes};
    Row getSmall{"get 4 KiB, 16 at once", "gets/s", gets};
    for (int round = 0; round < rounds; ++round) {
        // Nothing is deleted before the end: the file system would be slow to reuse what was deleted just now.
        const path home = folder / std::to_string(round), bare = home / "bare", vault = home / "vault";
        {
            Limits limits(bare);
            Stores stores(vault);
            ::sync();
            // Who comes second finds the disk busier: each does in turn.
            const auto inTurns = [&](const std::function<void()>& one, const std::function<void()>& other) {
                (round % 2 == 0 ? one : other)();
                (round % 2 == 0 ? other : one)();
            };
            inTurns([&] { large.bar.push_back(limits.large()); }, [&] { large.ours.push_back(stores.putLarge()); });
            inTurns([&] { small.bar.push_back(limits.small()); }, [&] { small.ours.push_back(stores.putSmall()); });
            inTurns([&] { batches.ours.push_back(stores.putBatches(4)); },
                    [&] { batch.ours.push_back(stores.putBatches(1)); });
            get.ours.push_back(stores.getLarge());
            get.bar.push_back(timed(1, largeChunks, [](std::size_t) { (void)ChunkId::of(largeSource.bytes()); }));
            getSmall.ours.push_back(stores.getSmall(gets));
            getSmall.bar.push_back(
                timed(smallThreads, gets, [](std::size_t) { (void)ChunkId::of(smallSource.bytes()); }));
        }
    }
    batch.bar = batches.bar = small.bar;
    std::printf("%-32s %8s %8s %-8s %5s %5s   ratio in each round\n", "", "stores", "bare", "", "ratio", "CPU");
    for (const Row* row : {&large, &small, &batch, &batches, &get, &getSmall}) row->print();
    std::printf("bare: for put the system calls of three durable copies, for get SHA-256 alone\n");
}

}  // namespace
}  // namespace chunkvault

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: store_bench FOLDER [ROUNDS]\n");
        return 2;
    }
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / "store_bench";
    try {
        chunkvault::bench(folder, argc > 2 ? std::atoi(argv[2]) : 3);
    } catch (const chunkvault::Error& error) {
        std::fprintf(stderr, "%s (%s)\n", error.publicMessage().c_str(), error.what());
        return 1;
    }
    std::filesystem::remove_all(folder);
}
