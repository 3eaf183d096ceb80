#include "storagenode/api/registration.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/http/cluster_door.h"
#include "common/http/server.h"
#include "common/wire/error_table.h"
#include "storagenode/store/posix_disk.h"
#include "tests/storage/chunks.h"
#include "tests/storage/disk_store_under_test.h"
#include "tests/support/fake_server.h"
#include "tests/support/manual_clock.h"

namespace chunkvault::storagenode {
namespace {

using namespace std::chrono_literals;
using test::codeOf;
using test::contentOf;
using test::overwrite;
using testing::HasSubstr;
using testing::IsEmpty;

class RegistrationTest : public testing::Test {
  protected:
    void SetUp() override { start(); }
    void start() {
        registration_.reset();
        slot_.set(nullptr, "not opened");
        registration_ = std::make_unique<Registration>(
            RegistrationSettings{.nodeId = *wire::NodeId::parse("node1"),
                                 .zone = "cellar",
                                 .url = "http://node1:8001",
                                 .folder = folder_},
            slot_,
            [this](const wire::NodeReport& report) {
                reports_.push_back(report);
                problemWhenReporting_ = slot_.problem();
                if (refusal_) throw *refusal_;
                return answer_;
            },
            clock_.clock(),
            [this](process::Level, std::string_view event, const std::string& what) {
                told_.push_back(std::string(event) + ": " + what);
            });
        registration_->openAtStart();
    }
    // Beats until it does not want to beat again at once.
    void beat() {
        while (registration_->beat() == 0ms) {
        }
    }
    [[nodiscard]] bool told(const std::string& what) {
        const bool found =
            std::ranges::any_of(told_, [&](const std::string& line) { return line.find(what) != std::string::npos; });
        told_.clear();
        return found;
    }

    test::TempFolder home_;
    const std::filesystem::path folder_ = home_.path() / "store";
    test::ManualClock clock_;
    StoreSlot slot_;
    wire::NodeReportAnswer answer_{.vaultId = "vault", .state = "up", .catalogSeq = 5, .beat = 500ms};
    std::optional<Error> refusal_;
    std::vector<wire::NodeReport> reports_;
    std::string problemWhenReporting_;
    std::vector<std::string> told_;
    std::unique_ptr<Registration> registration_;
};

TEST_F(RegistrationTest, MakesAStoreWhenItIsAllowedToAndReportsItAtOnce) {
    EXPECT_EQ(codeOf([&] { (void)slot_.use(); }), ErrorCode::unavailable);
    EXPECT_EQ(registration_->beat(), 0ms);
    EXPECT_EQ(registration_->beat(), 500ms);
    ASSERT_EQ(reports_.size(), 2u);
    EXPECT_EQ(reports_[0].storeId, std::nullopt);
    EXPECT_EQ(reports_[0].problem, "");
    EXPECT_FALSE(reports_[0].mounted);
    EXPECT_EQ(reports_[1].storeId, slot_.use()->identity().storeId);
    EXPECT_EQ(reports_[1].vaultId, "vault");
    EXPECT_EQ(reports_[1].zone, "cellar");
    EXPECT_EQ(reports_[1].url, "http://node1:8001");
    EXPECT_GT(reports_[1].capacityBytes, 0);
    EXPECT_GT(reports_[1].freeBytes, 0);
    beat();
    EXPECT_EQ(reports_[2].catalogSeq, 5);
    EXPECT_EQ(contentOf(folder_ / "catalog_seq"), "5\n");
    start();
    EXPECT_FALSE(slot_.problem().empty());
    beat();
    EXPECT_EQ(reports_.back().storeId, reports_[1].storeId);
    EXPECT_EQ(reports_.back().catalogSeq, 5);
}

TEST_F(RegistrationTest, WritesNothingUntilItIsAllowedTo) {
    refusal_ = Error(ErrorCode::conflict, "The disk of node1 is not mounted.");
    std::filesystem::create_directory(folder_);
    for (int i = 0; i < 3; ++i) beat();
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
    EXPECT_THAT(told_, testing::ElementsAre("registration_refused: The disk of node1 is not mounted."));
    clock_.advance(2 * minuteUs);
    beat();
    EXPECT_EQ(told_.size(), 2u) << "said again after a while";
    refusal_ = Error(ErrorCode::unavailable, "No API server answers.");
    beat();
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
    refusal_.reset();
    beat();
    EXPECT_EQ(slot_.problem(), "");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "vault.json"));
}

TEST_F(RegistrationTest, MakesNoStoreAmongOtherFiles) {
    std::filesystem::create_directory(folder_);
    overwrite(folder_ / "holiday.jpg", "x");
    EXPECT_GT(registration_->beat(), 0ms);
    EXPECT_THAT(slot_.problem(), HasSubstr("has files"));
    EXPECT_TRUE(told("has files"));
    std::filesystem::remove(folder_ / "holiday.jpg");
    beat();
    EXPECT_EQ(slot_.problem(), "");
}

TEST_F(RegistrationTest, RefusesToStartOnAStoreThatIsNotItsOwn) {
    (void)DiskChunkStore::format(*makePosixDisk(folder_), "vault", "node2");
    try {
        start();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::conflict);
        EXPECT_THAT(error.publicMessage(), HasSubstr("is that of node node2, but NODE_ID is node1"));
    }
    overwrite(folder_ / "vault.json", "{");
    EXPECT_EQ(codeOf([&] { start(); }), ErrorCode::conflict);
}

TEST_F(RegistrationTest, DoesNotServeAStoreOfAnotherVault) {
    beat();
    answer_.vaultId = "another";
    beat();
    EXPECT_THAT(slot_.problem(), HasSubstr("belongs to the vault vault"));
    EXPECT_TRUE(told("belongs to the vault vault"));
    beat();
    EXPECT_THAT(problemWhenReporting_, HasSubstr("belongs to the vault vault")) << "not even for a moment";
    EXPECT_EQ(reports_.back().problem, "") << "it is not the store's";
    answer_.vaultId = "vault";
    beat();
    EXPECT_EQ(slot_.problem(), "");
}

TEST_F(RegistrationTest, ReportsAStoreThatLostItsMarkerAndServesItAgainWhenItIsBack) {
    beat();
    const std::string storeId = slot_.use()->identity().storeId;
    std::filesystem::rename(folder_, home_.path() / "unmounted");
    std::filesystem::create_directory(folder_);
    beat();
    EXPECT_THAT(reports_.back().problem, HasSubstr("lost its vault.json"));
    EXPECT_EQ(reports_.back().storeId, storeId);
    EXPECT_EQ(codeOf([&] { (void)slot_.use(); }), ErrorCode::unavailable);
    EXPECT_TRUE(std::filesystem::is_empty(folder_));

    std::filesystem::remove(folder_);
    std::filesystem::rename(home_.path() / "unmounted", folder_);
    beat();
    EXPECT_EQ(reports_.back().problem, "");
    EXPECT_EQ(slot_.use()->identity().storeId, storeId);

    // Another disk of the same node, mounted in its place.
    std::filesystem::rename(folder_, home_.path() / "old");
    const StoreIdentity fresh = DiskChunkStore::format(*makePosixDisk(folder_), "vault", "node1");
    beat();
    EXPECT_EQ(slot_.use()->identity().storeId, fresh.storeId);
    EXPECT_EQ(reports_.back().storeId, fresh.storeId);

    std::filesystem::rename(folder_, home_.path() / "gone");
    beat();
    EXPECT_THAT(slot_.problem(), HasSubstr("is not there"));
}

TEST_F(RegistrationTest, ServesADiskThatWasSwappedOnlyOnceItsVaultIsConfirmed) {
    beat();
    std::filesystem::rename(folder_, home_.path() / "old");
    const StoreIdentity other = DiskChunkStore::format(*makePosixDisk(folder_), "another", "node1");
    beat();
    EXPECT_EQ(reports_.back().storeId, other.storeId);
    EXPECT_THAT(problemWhenReporting_, HasSubstr("has confirmed the vault")) << "not even for a moment";
    EXPECT_THAT(slot_.problem(), HasSubstr("belongs to the vault another"));

    std::filesystem::rename(folder_, home_.path() / "of the other vault");
    std::filesystem::rename(home_.path() / "old", folder_);
    refusal_ = Error(ErrorCode::unavailable, "No API server answers.");
    beat();
    EXPECT_THAT(slot_.problem(), HasSubstr("has confirmed the vault"));
    refusal_.reset();
    beat();
    EXPECT_EQ(slot_.problem(), "");
}

TEST_F(RegistrationTest, ChangesNothingOnADiskWhoseVaultIsNotConfirmed) {
    (void)DiskChunkStore::format(*makePosixDisk(folder_), "another", "node1");
    overwrite(folder_ / "tmp" / "1", "half written");
    std::filesystem::remove_all(folder_ / "chunks");
    const auto state = [&] {
        std::map<std::string, std::filesystem::file_time_type> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_))
            all[entry.path()] = entry.last_write_time();
        all["."] = std::filesystem::last_write_time(folder_);
        return all;
    };
    const auto before = state();
    start();
    for (int i = 0; i < 2; ++i) beat();
    EXPECT_THAT(slot_.problem(), HasSubstr("belongs to the vault another"));
    EXPECT_EQ(state(), before);

    answer_.vaultId = "another";
    beat();
    EXPECT_EQ(slot_.problem(), "");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "tmp" / "1"));
    slot_.use()->put(test::chunkOf("bytes"), 1);

    // What is written from now on stays, whatever an API server says.
    overwrite(folder_ / "tmp" / "2", "being written");
    for (const char* vault : {"vault", "another"}) {
        answer_.vaultId = vault;
        beat();
    }
    EXPECT_EQ(slot_.problem(), "");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "tmp" / "2"));
}

TEST_F(RegistrationTest, ReportsAStoreThatCannotBeTakenIntoUse) {
    beat();
    std::filesystem::remove_all(folder_ / "chunks");
    overwrite(folder_ / "chunks", "a file");
    start();
    beat();
    EXPECT_FALSE(slot_.problem().empty());
    beat();
    EXPECT_THAT(reports_.back().problem, HasSubstr("chunks"));
    std::filesystem::remove(folder_ / "chunks");
    beat();
    EXPECT_EQ(reports_.back().problem, "");
    EXPECT_EQ(slot_.problem(), "");
}

TEST_F(RegistrationTest, SaysThatItStops) {
    registration_->sayStopped();
    EXPECT_THAT(reports_, IsEmpty()) << "nobody knows it";
    beat();
    registration_->sayStopped();
    EXPECT_EQ(reports_.back().storeId, slot_.use()->identity().storeId);
    EXPECT_EQ(reports_.back().problem, "the node was stopped");
    EXPECT_TRUE(reports_.back().stopping);
    refusal_ = Error(ErrorCode::unavailable, "No API server answers.");
    registration_->sayStopped();
    EXPECT_FALSE(told("registration_failed")) << "it will be known by its silence";
}

TEST_F(RegistrationTest, SaysWhenItsStateChanges) {
    beat();
    EXPECT_TRUE(told("state: up"));
    beat();
    EXPECT_THAT(told_, IsEmpty());
    answer_.state = "draining";
    beat();
    EXPECT_TRUE(told("state: draining"));
}

class ApiServersTest : public testing::Test {
  protected:
    // An API server that answers the reports it is told.
    class Api {
      public:
        explicit Api(const Clock& clock) : verifier_(key(), std::string(wire::apiTarget), clock) { server_.start(); }
        [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

        std::optional<Error> refusal;
        std::atomic<int> reports = 0;
        std::atomic<std::int64_t> last = 0;  // the number of the last report
        std::atomic<std::int64_t> told = 0;  // what the next one is told to go on above; 0: it is not

      private:
        wire::RequestVerifier verifier_;
        http::ClusterDoor door_{verifier_, [](wire::Refusal) {}};
        http::Router router_{
            {{http::Method::post, std::string(wire::nodeReportPath), door_.guard([this](http::SignedCall& call) {
                  ++reports;
                  const auto report = wire::parseNodeReport(call.body(wire::maxNodeReportBytes));
                  if (refusal) throw *refusal;
                  last = report.number;
                  const std::int64_t number = told.exchange(0);
                  call.response.send(200, "application/json",
                                     wire::encode(wire::NodeReportAnswer{
                                         .vaultId = "vault of " + report.nodeId.text(),
                                         .state = number == 0 ? "joining" : std::string(wire::outdatedReport),
                                         .number = number}));
              })}}};
        http::Server server_{router_, {.port = 0}, nullptr};
    };
    [[nodiscard]] static wire::ClusterKey key() {
        return wire::ClusterKey("a secret that all programs of a test share");
    }

    test::ManualClock apiClock_, clock_;
    Api one_{apiClock_.clock()}, two_{apiClock_.clock()};
    const wire::NodeReport report_{.nodeId = *wire::NodeId::parse("node1")};
};

TEST_F(ApiServersTest, AreAskedUntilOneAnswers) {
    const std::string nobody = test::FakeServer([](test::FakeServer::Peer&) {}).url();
    ApiServers servers({nobody, one_.url(), two_.url()}, key(), clock_.clock());
    EXPECT_EQ(servers.report(report_).vaultId, "vault of node1");
    EXPECT_EQ(servers.report(report_).state, "joining");
    EXPECT_EQ(one_.reports, 2);
    EXPECT_EQ(two_.reports, 0);
    one_.refusal = Error(ErrorCode::unavailable, "The database is down.");
    EXPECT_EQ(servers.report(report_).vaultId, "vault of node1");
    EXPECT_EQ(two_.reports, 1);
    two_.refusal = Error(ErrorCode::unavailable, "The database is down.");
    try {
        (void)servers.report(report_);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        EXPECT_THAT(error.privateDetail(), HasSubstr("The database is down."));
        EXPECT_THAT(error.privateDetail(), HasSubstr("cannot connect"));
    }
}

TEST_F(ApiServersTest, SayWhyANodeIsRefused) {
    one_.refusal = Error(ErrorCode::conflict, "node1 was removed.");
    ApiServers servers({one_.url(), two_.url()}, key(), clock_.clock());
    try {
        (void)servers.report(report_);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::conflict);
        EXPECT_EQ(error.publicMessage(), "node1 was removed.");
    }
    EXPECT_EQ(two_.reports, 0);
}

TEST_F(ApiServersTest, AreSentNumbersThatOnlyGrowWhateverTheClockDoes) {
    std::int64_t before = 0;
    const auto grew = [&] { return std::exchange(before, one_.last.load()) < one_.last; };
    std::optional<ApiServers> servers;
    servers.emplace(std::vector{one_.url(), two_.url()}, key(), clock_.clock());
    for (const std::int64_t passed : {0L, 0L, secondUs, -dayUs, 0L, dayUs}) {
        clock_.advance(passed);
        EXPECT_EQ(servers->report(report_).state, "joining");
        EXPECT_TRUE(grew()) << passed;
    }
    servers.emplace(std::vector{one_.url(), two_.url()}, key(), clock_.clock());
    clock_.advance(secondUs);
    EXPECT_EQ(servers->report(report_).state, "joining");
    EXPECT_TRUE(grew()) << "of the next process";

    // The one before had a clock that was ahead.
    const int reports = one_.reports;
    one_.told = before = clock_.now() + 300 * dayUs;
    EXPECT_EQ(servers->report(report_).state, "joining");
    EXPECT_TRUE(grew());
    EXPECT_EQ(one_.reports, reports + 2) << "at once";
    EXPECT_EQ(servers->report(report_).state, "joining");
    EXPECT_TRUE(grew());
    EXPECT_EQ(two_.reports, 0);

    one_.told = 1;
    EXPECT_EQ(servers->report(report_).state, "joining");
    EXPECT_EQ(two_.reports, 1) << "what it is told makes no sense";
}

TEST_F(ApiServersTest, CorrectTheClockOfANode) {
    clock_.advance(-dayUs);
    ApiServers servers({one_.url()}, key(), clock_.clock());
    EXPECT_EQ(servers.report(report_).vaultId, "vault of node1");
    EXPECT_EQ(one_.reports, 1);
}

}  // namespace
}  // namespace chunkvault::storagenode
