// What the catalog's database costs: durable writes alone and shared, and the reads that every request makes.
//
//   catalog_bench FOLDER [postgresql://...]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "database/catalog/accounts.h"
#include "database/catalog/chunks.h"
#include "database/catalog/database.h"
#include "database/catalog/uploads.h"

namespace chunkvault::catalog {
namespace {

constexpr double secondsPerRow = 1.5;

struct Rate {
    double perSecond;
    double us;  // of one, as one thread sees it
};

Rate measure(int threads, const std::function<void(int thread)>& work) {
    using SteadyClock = std::chrono::steady_clock;
    std::atomic<bool> stop = false;
    std::atomic<std::int64_t> done = 0;
    const auto start = SteadyClock::now();
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i)
        running.emplace_back([&, i] {
            std::int64_t count = 0;
            for (; !stop; ++count) work(i);
            done += count;
        });
    std::this_thread::sleep_for(std::chrono::duration<double>(secondsPerRow));
    stop = true;
    running.clear();
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    const double perSecond = static_cast<double>(done) / seconds;
    return {perSecond, 1e6 * threads / perSecond};
}

void print(const char* engine, const char* what, int threads, Rate rate) {
    std::printf("%-9s %-44s %7d %12.0f %9.1f\n", engine, what, threads, rate.perSecond, rate.us);
    std::fflush(stdout);
}

// Files of one chunk, each with new content, as the forms and the batch calls of one user make them; no bytes move.
void benchFiles(const char* engine, Database& database, FileId root, UserId user) {
    constexpr std::int64_t chunkSize = 4 << 20;
    Chunks chunks(database, systemNow, 3);
    Uploads uploads(database, systemNow, {.chunkSize = chunkSize}, {}, 0);
    const std::string suffix = std::to_string(systemNow());
    std::vector<StoreRow> stores;
    for (const char* node : {"one", "two", "three"})
        stores.push_back(chunks.registerStore({node + suffix, node + suffix, node, "", 1 << 30, 1 << 30}));
    std::atomic<int> number = 0;
    const auto put = [&](int files) {
        std::vector<DeclaredChunk> declared;
        std::vector<NewFile> wanted;
        for (int i = 0; i < files; ++i) {
            const std::string name = suffix + '-' + std::to_string(++number);
            const Sha256Digest hash = Sha256Digest::of(name);
            declared.push_back({i, 4096, hash});
            wanted.push_back({root, {}, FileName::parse(name), 4096, i, 1, hash, systemNow(), OnConflict::fail});
        }
        std::vector<PinnedChunk> pinned;
        const UploadId intake = uploads.openIntake(user, declared, pinned, Reserve::nothing);
        std::vector<StoredChunk> stored;
        for (const PinnedChunk& pin : pinned) stored.push_back({pin.index, pin.row, pin.generation, stores});
        (void)uploads.commitFiles(user, intake, stored, wanted);
    };
    constexpr int batch = 500;
    for (const int threads : {1, 16})
        print(engine, "file of one chunk, a request each", threads, measure(threads, [&](int) { put(1); }));
    const Rate batches = measure(4, [&](int) { put(batch); });
    print(engine, "file of one chunk, 500 a request", 4, {batches.perSecond * batch, batches.us / batch});
}

void bench(const char* engine, const DatabaseOptions& options) {
    Database database(options);
    database.open();
    Accounts accounts(database, systemNow);
    const std::string suffix = std::to_string(systemNow());
    std::vector<UserId> users;
    for (int i = 0; i < 16; ++i)
        users.push_back(
            accounts
                .create({.username = "bench" + std::to_string(i) + "-" + suffix, .email = "", .passwordHash = "hash"})
                .id);
    const SessionId session =
        accounts.openSession(users[0], accounts.find(users[0])->passwordChangedAt, Sha256Digest::of(suffix),
                             "127.0.0.1", "bench", systemNow() + hourUs);

    for (const int threads : {1, 16})
        print(engine, "durable write of one row each", threads, measure(threads, [&](int thread) {
                  database.write([&](Session& statements) {
                      statements.execute("UPDATE users SET seq = seq + 1 WHERE id = $1",
                                         {users[static_cast<std::size_t>(thread)]});
                  });
              }));
    for (const int threads : {1, 16})
        print(engine, "resolveSession", threads,
              measure(threads, [&](int) { (void)accounts.resolveSession(session); }));
    benchFiles(engine, database, accounts.find(users[0])->root, users[0]);
    constexpr int selects = 100;
    const Rate together = measure(1, [&](int) {
        database.read([&](Session& statements) {
            for (int i = 0; i < selects; ++i)
                statements.query("SELECT seq FROM users WHERE id = $1", {users[0]}, [](const Row&) {});
        });
    });
    print(engine, "prepared select by primary key, in one read", 1,
          {together.perSecond * selects, together.us / selects});
}

}  // namespace
}  // namespace chunkvault::catalog

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: catalog_bench FOLDER [postgresql://...]\n");
        return 2;
    }
    std::printf("%-9s %-44s %7s %12s %9s\n", "engine", "what", "threads", "per second", "us each");
    try {
        chunkvault::catalog::DatabaseOptions sqlite;
        sqlite.sqliteFile = std::filesystem::path(arguments[1]) / "catalog_bench.sqlite";
        chunkvault::catalog::bench("sqlite", sqlite);
        for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(sqlite.sqliteFile + ending);
        if (count > 2) {
            chunkvault::catalog::DatabaseOptions postgres;
            postgres.postgresUrl = arguments[2];
            chunkvault::catalog::bench("postgres", postgres);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "catalog_bench: %s\n", error.what());
        return 1;
    }
}
