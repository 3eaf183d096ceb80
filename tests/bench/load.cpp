// Load on a running server, and the time it took: what a client in Python would be too slow for. Everything that is
// sent is made and hashed before the clock starts. Prints one line of JSON.
//
//   load PORT TOKEN upload SIZE SEED NAME    a resumable upload, 4 chunks in flight; until no copy is missing
//   load PORT TOKEN tus SIZE SEED NAME       the same by tus: one connection, requests of 16 chunks
//   load PORT TOKEN download PATH SIZE       one file, which must have that size
//   load PORT TOKEN batch FOLDER COUNT SEED  4 KiB files, 500 a request, 4 connections; until no copy is missing
//   load PORT TOKEN form FOLDER COUNT SEED   4 KiB files, one a request, 16 connections; until no copy is missing
//   load PORT TOKEN users COUNT SECONDS SIZE SEED PAGE [PORT]
//                                            so many new accounts at once, each on a connection of its own: uploads a
//                                            file of SIZE, lists twice (the second list is cached) and downloads it,
//                                            over and over, and with PAGE lists a folder of so many long names too;
//                                            every other one at the second server
//   load PORT TOKEN idle COUNT PATH          so many open connections, then how long new ones wait for an answer
//
// TOKEN is an administrator's, so that it may ask how many copies are missing.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "common/chunk/chunk_id.h"
#include "common/chunk/manifest.h"
#include "tests/bench/http_connection.h"
#include "tests/bench/random_bytes.h"

namespace chunkvault::bench {
namespace {

using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t smallBytes = 4 << 10, batchFiles = 500, batchConnections = 4, formConnections = 16, flights = 4,
                      tusChunks = 16;

double since(SteadyClock::time_point start) {
    return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Runs work(0) to work(count - 1), each on a thread of its own. The first failure is thrown when all have ended.
void together(std::size_t count, const std::function<void(std::size_t)>& work) {
    std::vector<std::exception_ptr> failures(count);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < count; ++i)
            threads.emplace_back([&, i] {
                try {
                    work(i);
                } catch (...) {
                    failures[i] = std::current_exception();
                }
            });
    }
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

std::string base64(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return text.substr(0, static_cast<std::size_t>(length));
}

std::string contentDigest(const ChunkId& hash) {
    return "Content-Digest: sha-256=:" + base64(std::string(hash.raw())) + ":\r\n";
}

// 4 KiB files that differ from each other and from those of another seed.
std::vector<std::string> smallFiles(std::size_t count, std::uint64_t seed) {
    std::vector<std::string> files;
    for (std::size_t i = 0; i < count; ++i) files.push_back(randomBytes(smallBytes, (seed << 32) + i));
    return files;
}

std::string smallName(std::uint64_t seed, std::size_t i) {
    return std::to_string(seed) + '-' + std::to_string(i) + ".bin";
}

struct Multipart {
    std::string headers, front, back = "\r\n--bench--\r\n";

    Multipart(const std::string& folder, const std::string& name)
        : headers("Content-Type: multipart/form-data; boundary=bench\r\n"),
          front((folder.empty()
                     ? ""
                     : "--bench\r\nContent-Disposition: form-data; name=\"folder_id\"\r\n\r\n" + folder + "\r\n") +
                "--bench\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\n\r\n") {}
};

class Load {
  public:
    Load(std::uint16_t port, std::string token) : port_(port), token_(std::move(token)) {}

    // Chunks differ in their first eight bytes only, so that the load needs the memory of one.
    json upload(std::size_t size, std::uint64_t seed, const std::string& name) {
        const auto chunkSize = json::parse(connection()->get("/").body).at("chunk_size").get<std::size_t>();
        const std::string bytes = randomBytes(chunkSize, seed);
        std::vector<std::string> fronts;
        std::vector<ManifestEntry> chunks;
        std::vector<json> declared(1);
        for (std::size_t at = 0; at < size; at += chunkSize) {
            const std::size_t length = std::min(chunkSize, size - at);
            fronts.push_back(randomBytes(sizeof(std::uint64_t), seed + 1 + chunks.size()));
            Sha256Stream hash;
            hash.update(fronts.back());
            hash.update(rest(bytes, length));
            const ChunkId id = hash.finish();
            if (declared.back().size() == 1000) declared.emplace_back();
            declared.back().push_back({{"index", chunks.size()}, {"length", length}, {"hash", id.toHex()}});
            chunks.push_back({length, id});
        }
        const std::string root = rootOf(chunks).toHex();

        const auto start = SteadyClock::now();
        const auto user = connection();
        const json begun =
            json::parse(user->post("/uploads", json{{"key", name}, {"name", name}, {"size", size}}.dump()).body);
        const std::string path = "/uploads/" + begun.at("upload_id").get<std::string>(),
                          token = begun.at("upload_token");
        HttpConnection own(port_, token);
        for (const json& part : declared) own.post(path + "/have", json{{"chunks", part}}.dump());
        std::atomic<std::size_t> next = 0;
        together(flights, [&](std::size_t) {
            HttpConnection connection(port_, token);
            for (std::size_t i = next++; i < chunks.size(); i = next++)
                connection.call("PUT", path + "/chunks/" + std::to_string(i), contentDigest(chunks[i].chunk),
                                {fronts[i], rest(bytes, chunks[i].length)});
        });
        own.post(path + "/commit", json{{"root", root}}.dump());
        const double acknowledged = since(start);
        untilSafe(*user);
        return {{"seconds", since(start)}, {"acknowledged_seconds", acknowledged}, {"file_id", begun.at("file_id")}};
    }

    json tus(std::size_t size, std::uint64_t seed, const std::string& name) {
        const auto own = connection();
        const auto chunkSize = json::parse(own->get("/").body).at("chunk_size").get<std::size_t>();
        const std::string bytes = randomBytes(chunkSize, seed), version = "Tus-Resumable: 1.0.0\r\n";
        std::vector<std::string> fronts;
        for (std::size_t at = 0; at < size; at += chunkSize)
            fronts.push_back(randomBytes(sizeof(std::uint64_t), seed + 1 + fronts.size()));

        const auto start = SteadyClock::now();
        const std::string path = own->call("POST", "/tus",
                                           version + "Upload-Length: " + std::to_string(size) +
                                               "\r\nUpload-Metadata: filename " + base64(name) + "\r\n",
                                           {""})
                                     .location;
        for (std::size_t first = 0; first < fronts.size(); first += tusChunks) {
            std::vector<std::string_view> body;
            for (std::size_t i = first; i < std::min(fronts.size(), first + tusChunks); ++i)
                body.insert(body.end(), {fronts[i], rest(bytes, std::min(chunkSize, size - i * chunkSize))});
            own->call("PATCH", path,
                      version + "Content-Type: application/offset+octet-stream\r\nUpload-Offset: " +
                          std::to_string(first * chunkSize) + "\r\n",
                      body);
        }
        const double acknowledged = since(start);
        untilSafe(*own);
        return {{"seconds", since(start)}, {"acknowledged_seconds", acknowledged}};
    }

    json download(const std::string& path, std::uint64_t size) {
        std::uint64_t received = 0;
        const auto own = connection();
        const auto start = SteadyClock::now();
        own->get(path, [&](std::string_view bytes) { received += bytes.size(); });
        const double took = since(start);
        if (received != size)
            throw std::runtime_error(std::to_string(received) + " bytes arrived instead of " + std::to_string(size));
        return {{"seconds", took}};
    }

    json batch(const std::string& folder, std::size_t count, std::uint64_t seed) {
        const std::vector<std::string> files = smallFiles(count, seed);
        std::vector<std::string> headers;
        for (std::size_t first = 0; first < count; first += batchFiles) {
            json list;
            for (std::size_t i = first; i < std::min(count, first + batchFiles); ++i)
                list.push_back({{"path", smallName(seed, i)},
                                {"size", files[i].size()},
                                {"hash", Sha256Digest::of(files[i]).toHex()}});
            headers.push_back(json{{"folder_id", folder}, {"files", std::move(list)}}.dump() + '\n');
        }
        std::atomic<std::size_t> next = 0;
        return small([&] {
            together(batchConnections, [&](std::size_t) {
                const auto own = connection();
                for (std::size_t i = next++; i < headers.size(); i = next++) {
                    std::vector<std::string_view> body{headers[i]};
                    for (std::size_t f = i * batchFiles; f < std::min(count, (i + 1) * batchFiles); ++f)
                        body.push_back(files[f]);
                    const json answer = json::parse(
                        own->call("POST", "/files/batch", "Content-Type: application/octet-stream\r\n", body).body);
                    for (const json& item : answer.at("items"))
                        if (!item.at("ok")) throw std::runtime_error(item.dump());
                }
            });
        });
    }

    json form(const std::string& folder, std::size_t count, std::uint64_t seed) {
        const std::vector<std::string> files = smallFiles(count, seed);
        std::atomic<std::size_t> next = 0;
        return small([&] {
            together(formConnections, [&](std::size_t) {
                const auto own = connection();
                for (std::size_t i = next++; i < count; i = next++) {
                    const Multipart form(folder, smallName(seed, i));
                    own->call("POST", "/files/upload", form.headers, {form.front, files[i], form.back});
                }
            });
        });
    }

    json users(std::size_t count, double seconds, std::size_t size, std::uint64_t seed, std::size_t page,
               std::uint16_t otherPort) {
        const std::string bytes = randomBytes(size, seed), name = "user-" + std::to_string(seed) + '-';
        std::vector<std::string> tokens;
        for (std::size_t user = 0; user < count; ++user) tokens.push_back(newAccount(name + std::to_string(user)));
        std::vector<std::string> folders;
        for (const std::string& token : tokens)
            if (page > 0) folders.push_back(folderOfLongNames(token, page));
        std::vector<User> users(count);
        std::atomic<std::size_t> rounds = 0;
        const auto start = SteadyClock::now();
        together(count, [&](std::size_t number) {
            User& user = users[number];
            const std::uint16_t port = number % 2 == 0 ? port_ : otherPort;
            auto own = std::make_unique<HttpConnection>(port, tokens[number]);
            const Multipart form("", name + std::to_string(number) + ".bin");
            const auto timed = [&](const char* what, const auto& work) {
                const auto begin = SteadyClock::now();
                work();
                user.tookMs[what].push_back(since(begin) * 1000);
            };
            do {
                const std::string front = randomBytes(sizeof(std::uint64_t), (seed << 32) + rounds++);
                std::string file;
                try {
                    timed("upload", [&] {
                        file = json::parse(own->call("POST", "/files/upload", form.headers,
                                                     {form.front, front, rest(bytes, size), form.back})
                                               .body)
                                   .at("file_id");
                    });
                    timed("list", [&] { own->get("/files"); });
                    timed("cached_list", [&] { own->get("/files"); });
                    if (page > 0)
                        timed("page", [&] {
                            own->get("/files?limit=" + std::to_string(page) + "&folder_id=" + folders[number]);
                        });
                    timed("download", [&] { own->get("/files/" + file + "/download", [](std::string_view) {}); });
                } catch (const std::runtime_error& error) {
                    user.errors.emplace_back(error.what());
                    own = std::make_unique<HttpConnection>(port, tokens[number]);
                }
            } while (since(start) < seconds);
        });
        json result{{"seconds", since(start)}, {"rounds", rounds.load()}, {"errors", json::array()}};
        std::map<std::string, std::vector<double>> took;
        for (const User& user : users) {
            for (const auto& [what, times] : user.tookMs)
                took[what].insert(took[what].end(), times.begin(), times.end());
            for (const std::string& error : user.errors) result["errors"].push_back(error);
        }
        for (auto& [what, times] : took) {
            std::sort(times.begin(), times.end());
            result["took_ms"][what] = {{"p50", times[times.size() / 2]}, {"p99", times[times.size() * 99 / 100]}};
        }
        return result;
    }

    json idle(std::size_t count, const std::string& path) {
        std::vector<std::unique_ptr<HttpConnection>> waiting;
        for (std::size_t i = 0; i < count; ++i) {
            waiting.push_back(connection());
            waiting.back()->get("/health/live");
        }
        double worst = 0;
        for (int i = 0; i < 50; ++i) {
            const auto start = SteadyClock::now();
            connection()->get(path);
            worst = std::max(worst, since(start));
        }
        return {{"seconds", worst}};
    }

  private:
    struct User {
        std::map<std::string, std::vector<double>> tookMs;
        std::vector<std::string> errors;
    };

    std::unique_ptr<HttpConnection> connection() const { return std::make_unique<HttpConnection>(port_, token_); }

    // Registers an account and signs in; its access token.
    std::string newAccount(const std::string& username) const {
        const std::string password = "the password of the benches";
        const auto own = connection();
        own->post("/auth/register",
                  json{{"username", username}, {"email", username + "@example.org"}, {"password", password}}.dump());
        const json tokens =
            json::parse(own->post("/auth/login", json{{"username", username}, {"password", password}}.dump()).body);
        return tokens.at("access_token").get<std::string>();
    }

    // Of files without bytes; its id.
    std::string folderOfLongNames(const std::string& token, std::size_t count) const {
        HttpConnection own(port_, token);
        const std::string folder = json::parse(own.post("/folders", json{{"path", "page"}}.dump()).body).at("id");
        json list;
        for (std::size_t i = 0; i < count; ++i)
            list.push_back({{"path", std::to_string(i) + std::string(240, 'n')},
                            {"size", 0},
                            {"hash", Sha256Digest::of(std::string_view()).toHex()}});
        const std::string header = json{{"folder_id", folder}, {"files", std::move(list)}}.dump() + '\n';
        own.call("POST", "/files/batch", "Content-Type: application/octet-stream\r\n", {header});
        return folder;
    }

    static std::string_view rest(const std::string& bytes, std::size_t length) {
        return std::string_view(bytes).substr(sizeof(std::uint64_t), length - sizeof(std::uint64_t));
    }

    json small(const std::function<void()>& send) {
        const auto user = connection();
        const auto start = SteadyClock::now();
        send();
        const double acknowledged = since(start);
        untilSafe(*user);
        return {{"seconds", since(start)}, {"acknowledged_seconds", acknowledged}};
    }

    // Until every chunk has all its copies and no job waits.
    static void untilSafe(HttpConnection& admin) {
        for (;;) {
            const bool waiting = json::parse(admin.get("/admin/jobs").body).at("length") > 0;
            if (!waiting && json::parse(admin.get("/admin/storage").body).at("under_replicated") == 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }

    std::uint16_t port_;
    std::string token_;
};

int run(const std::vector<std::string>& arguments) {
    const auto number = [&](std::size_t i) { return std::stoull(arguments.at(i)); };
    const std::string& verb = arguments.at(3);
    Load load(static_cast<std::uint16_t>(number(1)), arguments[2]);
    json result;
    if (verb == "upload") result = load.upload(number(4), number(5), arguments.at(6));
    if (verb == "tus") result = load.tus(number(4), number(5), arguments.at(6));
    if (verb == "download") result = load.download(arguments.at(4), number(5));
    if (verb == "batch") result = load.batch(arguments.at(4), number(5), number(6));
    if (verb == "form") result = load.form(arguments.at(4), number(5), number(6));
    if (verb == "users") {
        const auto other = static_cast<std::uint16_t>(number(arguments.size() > 9 ? 9 : 1));
        result = load.users(number(4), std::stod(arguments.at(5)), number(6), number(7), number(8), other);
    }
    if (verb == "idle") result = load.idle(number(4), arguments.at(5));
    if (result.is_null()) throw std::runtime_error("there is no load " + verb);
    std::puts(result.dump().c_str());
    return 0;
}

}  // namespace
}  // namespace chunkvault::bench

int main(int argc, char** argv) {
    try {
        return chunkvault::bench::run({argv, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "load: %s\n", error.what());
        return 1;
    }
}
