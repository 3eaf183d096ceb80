#include "storagenode/api/registration.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/error/error.h"
#include "common/wire/error_table.h"
#include "storagenode/store/posix_disk.h"

namespace chunkvault::storagenode {

namespace {

using std::chrono::milliseconds;

constexpr http::ClientTimeouts reportTimeouts{
    .answer = milliseconds(3'000), .stall = milliseconds(3'000), .whole = milliseconds(6'000)};
constexpr milliseconds shortestBeat{100};
constexpr const char* unconfirmed = "no API server has confirmed the vault of the store yet";
constexpr Timestamp complainAgainUs = minuteUs;

// Whether a disk of its own is mounted at the folder.
bool isMountPoint(const std::filesystem::path& folder) {
    struct stat itself {
    }, parent{};
    return ::stat(folder.c_str(), &itself) == 0 && ::stat((folder / "..").c_str(), &parent) == 0 &&
           (itself.st_dev != parent.st_dev || itself.st_ino == parent.st_ino);
}

Error unavailable(const http::SignedClient& client, const std::string& what) {
    return Error(ErrorCode::unavailable, "No API server answers.", client.address().authority() + ": " + what);
}

}  // namespace

ApiServers::ApiServers(const std::vector<std::string>& urls, const wire::ClusterKey& key, const Clock& clock)
    : clock_(clock) {
    for (const std::string& url : urls)
        clients_.push_back(std::make_unique<http::SignedClient>(http::ServerAddress::parse(url),
                                                                std::string(wire::apiTarget), key, clock));
    if (clients_.empty()) throw Error(ErrorCode::invalidValue, "There is no API server to report to.");
}

wire::NodeReportAnswer ApiServers::report(wire::NodeReport report) {
    std::string details;
    for (std::size_t tried = 0; tried < clients_.size(); ++tried, first_ = (first_ + 1) % clients_.size()) {
        http::SignedClient& client = *clients_[first_];
        try {
            wire::NodeReportAnswer answer = ask(client, report);
            // The clock was set back since an earlier process of this node, or runs behind that of another machine.
            if (answer.state == wire::outdatedReport && answer.number >= report.number) {
                number_ = answer.number;
                answer = ask(client, report);
            }
            if (answer.state != wire::outdatedReport) return answer;
            throw unavailable(client,
                              "it has a later report of this node; does another process have the same NODE_ID?");
        } catch (const Error& error) {
            if (error.code() == ErrorCode::conflict) throw;
            details += (details.empty() ? "" : "; ") + std::string(error.what());
        }
    }
    throw Error(ErrorCode::unavailable, "No API server answers.", details);
}

wire::NodeReportAnswer ApiServers::ask(http::SignedClient& client, wire::NodeReport& report) {
    // By the clock, so that a process is above the one before it, which need not have written anything down.
    report.number = number_ = std::max(number_ + 1, clock_());
    const std::string json = wire::encode(report);
    const std::string_view body = json;
    const http::ClientAnswer answer = client.ask({.method = http::Method::post,
                                                  .target = wire::nodeReportPath,
                                                  .headers = {{"Content-Type", "application/json"}},
                                                  .body = {&body, 1},
                                                  .timeouts = reportTimeouts},
                                                 Sha256Digest::of(body));
    if (answer.status == 200) return wire::parseNodeReportAnswer(answer.body);
    const auto problem = wire::parseProblem(answer.body);
    if (problem && problem->code() == ErrorCode::conflict) throw *problem;
    throw unavailable(client,
                      problem ? problem->publicMessage() : "it answers with status " + std::to_string(answer.status));
}

Registration::Registration(RegistrationSettings settings, StoreSlot& slot, Report report, Clock clock, Tell tell)
    : settings_(std::move(settings)),
      slot_(slot),
      report_(std::move(report)),
      clock_(std::move(clock)),
      tell_(std::move(tell)) {}

void Registration::openAtStart() {
    if (!std::filesystem::exists(settings_.folder)) return;
    try {
        auto disk = openPosixDisk(settings_.folder);
        if (DiskChunkStore::isFormatted(*disk)) open(std::move(disk));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::conflict) throw;
        complain("store_unusable", error.what());
    }
}

milliseconds Registration::beat() noexcept try {
    const std::string problem = look();
    if (!problem.empty()) complain("store_unusable", problem);
    if (store_ != nullptr || !problem.empty()) slot_.set(store_, problem.empty() ? vaultProblem_ : problem);
    return follow(report_(reportOf(problem)), problem);
} catch (const Error& error) {
    complain(error.code() == ErrorCode::conflict ? "registration_refused" : "registration_failed",
             error.code() == ErrorCode::conflict ? error.publicMessage() : error.what());
    return settings_.beat;
} catch (const std::exception& error) {
    complain("registration_failed", error.what());
    return settings_.beat;
}

void Registration::sayStopped() noexcept try {
    if (store_ == nullptr) return;
    wire::NodeReport report = reportOf("the node was stopped");
    report.stopping = true;
    (void)report_(report);
} catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): it will be known by its silence
}

std::string Registration::look() try {
    if (store_ != nullptr) {
        try {
            store_->requireMarker();
        } catch (const Error& error) {
            // What is there now may be the right disk, mounted anew.
            auto disk = openPosixDisk(settings_.folder);
            if (!DiskChunkStore::isFormatted(*disk)) return error.what();
            open(std::move(disk));
            return {};
        }
        if (!useProblem_.empty()) store_->takeIntoUse(store_->identity().vaultId);
        useProblem_.clear();
        return {};
    }
    if (!std::filesystem::exists(settings_.folder)) return {};
    auto disk = openPosixDisk(settings_.folder);
    if (DiskChunkStore::isFormatted(*disk)) open(std::move(disk));
    return {};
} catch (const Error& error) {
    return error.privateDetail().empty() ? error.publicMessage() : error.privateDetail();
}

void Registration::open(std::unique_ptr<Disk> disk) {
    const StoreIdentity identity = DiskChunkStore::identityOf(*disk);
    if (identity.nodeId != settings_.nodeId.text())
        throw Error(ErrorCode::conflict, "The store in " + disk->description() + " is that of node " + identity.nodeId +
                                             ", but NODE_ID is " + settings_.nodeId.text() + '.');
    store_ = DiskChunkStore::openUnused(std::move(disk), settings_.store);
    vaultProblem_ = unconfirmed;
    useProblem_.clear();
    tell_(process::Level::info, "store_opened", identity.storeId);
}

wire::NodeReport Registration::reportOf(const std::string& problem) {
    wire::NodeReport report{.nodeId = settings_.nodeId,
                            .zone = settings_.zone,
                            .url = settings_.url,
                            .mounted = isMountPoint(settings_.folder),
                            .problem = problem};
    if (store_ == nullptr) return report;
    report.storeId = store_->identity().storeId;
    report.vaultId = store_->identity().vaultId;
    report.catalogSeq = store_->catalogSeq();
    if (!problem.empty()) return report;
    const DiskSpace space = store_->space();
    report.capacityBytes = static_cast<std::int64_t>(space.capacityBytes);
    report.freeBytes = static_cast<std::int64_t>(store_->roomBytes(space));
    return report;
}

milliseconds Registration::follow(const wire::NodeReportAnswer& answer, const std::string& problem) {
    if (store_ == nullptr) {
        if (!problem.empty()) return settings_.beat;
        format(answer.vaultId);
        return milliseconds(0);
    }
    if (store_->identity().vaultId != answer.vaultId) {
        vaultProblem_ = "the store belongs to the vault " + store_->identity().vaultId + ", but the API server to " +
                        answer.vaultId;
        complain("store_unusable", vaultProblem_);
    } else if (problem.empty()) {
        try {
            store_->takeIntoUse(answer.vaultId);
            vaultProblem_.clear();
        } catch (const Error& error) {
            vaultProblem_ = useProblem_ = error.what();
            complain("store_unusable", useProblem_);
        }
    }
    if (problem.empty()) slot_.set(store_, vaultProblem_);
    if (!vaultProblem_.empty()) return settings_.beat;
    if (answer.state != state_) tell_(process::Level::info, "state", answer.state);
    state_ = answer.state;
    if (!problem.empty()) return settings_.beat;
    try {
        store_->noteCatalogSeq(answer.catalogSeq, clock_());
        complaint_.clear();
    } catch (const Error& error) {
        complain("catalog_seq_not_written", error.what());
    }
    return answer.beat.count() > 0 ? std::clamp(answer.beat, std::min(shortestBeat, settings_.beat), settings_.beat)
                                   : settings_.beat;
}

void Registration::format(const std::string& vaultId) {
    auto disk = makePosixDisk(settings_.folder);
    try {
        (void)DiskChunkStore::format(*disk, vaultId, settings_.nodeId.text());
    } catch (const Error& error) {
        slot_.set(nullptr, error.what());
        throw;
    }
    tell_(process::Level::info, "store_formatted", disk->description());
    open(std::move(disk));
    store_->takeIntoUse(vaultId);
    vaultProblem_.clear();
    slot_.set(store_, {});
}

void Registration::complain(std::string_view event, const std::string& what) {
    const Timestamp now = clock_();
    const std::string complaint = std::string(event) + ' ' + what;
    if (complaint == complaint_ && now - complainedAt_ < complainAgainUs) return;
    complaint_ = complaint;
    complainedAt_ = now;
    tell_(process::Level::warning, event, what);
}

}  // namespace chunkvault::storagenode
