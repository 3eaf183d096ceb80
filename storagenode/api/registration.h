// How a node comes into the cluster and stays in it: it opens its folder, or asks whether it may make a store of it,
// and reports to an API server with every beat.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/signed_client.h"
#include "common/process/log.h"
#include "common/wire/node_report.h"
#include "storagenode/api/store_slot.h"

namespace chunkvault::storagenode {

// The API servers, asked one after another until one answers; that one is asked first the next time. For one thread at
// a time.
class ApiServers {
  public:
    // Throws Error invalidValue for a URL that is none.
    ApiServers(const std::vector<std::string>& urls, const wire::ClusterKey& key, const Clock& clock);

    // Each attempt gets a number above all before it. Throws conflict with the API server's reason, and unavailable
    // when none of them answers as it should.
    [[nodiscard]] wire::NodeReportAnswer report(wire::NodeReport report);

  private:
    [[nodiscard]] wire::NodeReportAnswer ask(http::SignedClient& client, wire::NodeReport& report);

    std::vector<std::unique_ptr<http::SignedClient>> clients_;
    const Clock clock_;
    std::size_t first_ = 0;
    std::int64_t number_ = 0;  // of the last attempt
};

struct RegistrationSettings {
    wire::NodeId nodeId;
    std::string zone;
    std::string url;  // where others reach this node
    std::filesystem::path folder;
    StoreOptions store;
    std::chrono::milliseconds beat{2'000};
};

// Keeps slot as the folder is. For one thread at a time.
class Registration {
  public:
    using Report = std::function<wire::NodeReportAnswer(const wire::NodeReport&)>;
    using Tell = std::function<void(process::Level, std::string_view event, const std::string& what)>;

    Registration(RegistrationSettings settings, StoreSlot& slot, Report report, Clock clock, Tell tell);

    // Opens the folder if it is a store. Throws conflict when it is another node's, in use by another process, or
    // damaged: nothing that waiting would change.
    void openAtStart();

    // One report, and what follows from its answer. The time until the next. The folder is written to only if it has a
    // marker, or when the API server has allowed to make one.
    [[nodiscard]] std::chrono::milliseconds beat() noexcept;

    // Tells an API server, if one answers, that this process ends in order: nobody has to wait for it then, and another
    // store may take its place. After the last beat.
    void sayStopped() noexcept;

  private:
    // Sees to it that store_ is the store in the folder, if there is one. Empty, or why it cannot be used.
    [[nodiscard]] std::string look();
    void open(std::unique_ptr<Disk> disk);
    [[nodiscard]] wire::NodeReport reportOf(const std::string& problem);
    [[nodiscard]] std::chrono::milliseconds follow(const wire::NodeReportAnswer& answer, const std::string& problem);
    void format(const std::string& vaultId);
    // A warning when it is another one than before, and every minute.
    void complain(std::string_view event, const std::string& what);

    const RegistrationSettings settings_;
    StoreSlot& slot_;
    const Report report_;
    const Clock clock_;
    const Tell tell_;
    std::shared_ptr<DiskChunkStore> store_;
    // Until an API server has said that it is its vault's, a store may be another's disk: not served, nothing written.
    std::string vaultProblem_;
    std::string useProblem_;  // why a store whose vault was confirmed could not be taken into use
    std::string state_;       // what the API server last made of this node
    std::string complaint_;
    Timestamp complainedAt_ = 0;
};

}  // namespace chunkvault::storagenode
