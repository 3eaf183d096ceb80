#include "server/api/zip.h"

#include <algorithm>
#include <chrono>

#include "common/error/error.h"
#include "common/http/content_disposition.h"
#include "server/api/download.h"
#include "server/storage/file_content.h"
#include "server/storage/zip_writer.h"

namespace chunkvault::server {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t pieceBytes = 256 << 10;  // that are made before they are sent
constexpr int entriesAtOnce = 100;             // of a folder's list
constexpr std::int64_t maxEntries = 1'000'000;
constexpr std::int64_t directoryBytesPerEntry = 100;  // besides its path

[[noreturn]] void refuseTooMuch() {
    throw Error(ErrorCode::invalidValue,
                "One ZIP takes at most " + std::to_string(maxEntries) +
                    " files and folders, and fewer when their paths are long. Take the folders in it one by one.");
}

std::int64_t directoryBytesOf(catalog::Tree& tree, const catalog::Entry& folder) {
    const catalog::Extent extent = tree.extent(folder.owner, folder.id, maxEntries);
    if (extent.entries > maxEntries) refuseTooMuch();
    return extent.entries * directoryBytesPerEntry + extent.pathBytes;
}

// What is below a folder, a folder before what it holds. A page of each folder on the way is kept.
class FolderWalk {
  public:
    FolderWalk(catalog::Tree& tree, const catalog::Entry& top, std::string path) : tree_(tree), owner_(top.owner) {
        enter(top.id, std::move(path));
    }

    struct Step {
        catalog::Entry entry;
        std::string path;  // in the archive
    };
    [[nodiscard]] std::optional<Step> next() {
        while (!levels_.empty()) {
            Level& level = levels_.back();
            if (level.at == level.page.items.size()) {
                if (level.page.next) turnPage(level);
                else levels_.pop_back();
                continue;
            }
            Step step{std::move(level.page.items[level.at++]), {}};
            step.path = level.path + partOf(step.entry.name);
            if (step.entry.kind == catalog::Kind::folder) enter(step.entry.id, step.path + '/');
            return step;
        }
        return std::nullopt;
    }

    // Programs on Windows take '\' for the end of a folder's name.
    [[nodiscard]] static std::string partOf(std::string name) {
        std::replace(name.begin(), name.end(), '\\', '_');
        return name;
    }

  private:
    struct Level {
        catalog::FileId folder;
        std::string path;  // with '/' at its end; empty at the top of an archive
        catalog::Page page;
        std::size_t at = 0;
    };

    void enter(catalog::FileId folder, std::string path) {
        levels_.push_back({folder, std::move(path), tree_.list(owner_, {.folder = folder, .limit = entriesAtOnce})});
    }
    void turnPage(Level& level) {
        level.page =
            tree_.list(owner_, {.folder = level.folder, .limit = entriesAtOnce, .after = std::move(level.page.next)});
        level.at = 0;
    }

    catalog::Tree& tree_;
    catalog::UserId owner_;
    std::vector<Level> levels_;
};

class OutgoingZip {
  public:
    OutgoingZip(Services& services, Call& call, const std::function<void()>& beforeFirstByte)
        : services_(services), call_(call), beforeFirstByte_(beforeFirstByte) {}

    void addFolder(const std::string& path, const catalog::Entry& folder) {
        zip_.addFolder(path, folder.modifiedAt);
        sendWhenMuch();
    }

    void addFile(const std::string& path, const catalog::Entry& file) {
        if (!file.content)
            throw Error(ErrorCode::internal, "An internal error occurred.", "a live file has no content");
        zip_.beginFile(path, file.size, file.modifiedAt);
        FileContent::Reader reader(services_.content, *file.content, 0, file.size);
        std::int64_t at = 0;
        auto slice = reader.next();
        for (auto begin = SteadyClock::now(); slice; begin = SteadyClock::now()) {
            std::span<const char> rest = slice->bytes();
            while (!rest.empty()) {
                const auto piece = rest.first(std::min(rest.size(), pieceBytes));
                rest = rest.subspan(piece.size());
                zip_.write(piece);
                at += static_cast<std::int64_t>(piece.size());
                if (zip_.made().size() < pieceBytes || sendSome()) continue;
                // As a download does: what is read again later keeps no memory from others meanwhile.
                slice.reset();
                reader.goBackTo(at);
                sendAll();
                break;
            }
            slice.reset();
            slice = reader.next(SteadyClock::now() - begin);
        }
        sendWhenMuch();
    }

    void finish() {
        zip_.finish([this] { sendWhenMuch(); });
        sendAll();
    }

  private:
    void sendWhenMuch() {
        if (zip_.made().size() >= pieceBytes) sendAll();
    }

    void sendAll() {
        while (!sendSome()) writer_->awaitWritable();
    }

    // False: the client takes nothing, others wait for memory, and there is more to send.
    [[nodiscard]] bool sendSome() {
        if (writer_ == nullptr) {
            beforeFirstByte_();
            writer_ = &call_.response.begin(200, "application/zip", std::nullopt);
        }
        const std::span<const char> made = zip_.made();
        while (sent_ < made.size()) {
            sent_ += writer_->writeSome(made.subspan(sent_), maxClientWait);
            if (sent_ < made.size() && services_.buffers.wanted()) return false;
        }
        zip_.made().clear();
        sent_ = 0;
        return true;
    }

    Services& services_;
    Call& call_;
    const std::function<void()>& beforeFirstByte_;
    ZipWriter zip_;
    std::size_t sent_ = 0;  // of what is made
    http::BodyWriter* writer_ = nullptr;
};

}  // namespace

ZipMemory::Part::Part(ZipMemory& memory, std::int64_t bytes) : memory_(memory), bytes_(bytes) {
    if (bytes > memory.maxBytes_) refuseTooMuch();
    if (memory.left_.fetch_sub(bytes) >= bytes) return;
    memory.left_ += bytes;
    throw Error(ErrorCode::unavailable, "Many large ZIPs are being made. Try again in a minute.").retryAfter(60);
}

void sendZip(Services& services, Call& call, const catalog::Entry& folder,
             const std::function<void()>& beforeFirstByte) {
    if (folder.kind != catalog::Kind::folder)
        throw Error(ErrorCode::invalidValue, "This is a file, not a folder. Download it as it is.");
    const ZipMemory::Part memory(services.zipMemory, directoryBytesOf(services.catalog.tree, folder));
    const bool isRoot = !folder.folder;
    const std::string name = isRoot ? "Files" : FolderWalk::partOf(folder.name);
    auto& response = call.response;
    response.setHeader("Cache-Control", "private, no-store");
    response.setHeader("Content-Disposition", http::contentDisposition(http::Disposition::attachment, name + ".zip"));
    setClosedHeaders(call);
    if (call.request.method == http::Method::head) {
        response.begin(200, "application/zip", std::nullopt);
        return;
    }
    OutgoingZip zip(services, call, beforeFirstByte);
    FolderWalk walk(services.catalog.tree, folder, name + '/');
    zip.addFolder(name, folder);
    while (const auto step = walk.next()) {
        if (step->entry.kind == catalog::Kind::folder) zip.addFolder(step->path, step->entry);
        else zip.addFile(step->path, step->entry);
    }
    zip.finish();
}

}  // namespace chunkvault::server
