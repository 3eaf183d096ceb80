// What a storage node and an API server tell each other with every beat: POST /internal/nodes, signed. Free of Qt and
// Poco.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/timestamp.h"

namespace chunkvault::wire {

inline constexpr std::string_view nodeReportPath = "/internal/nodes";
inline constexpr std::size_t maxNodeReportBytes = 16 << 10;
// The state in the answer to a report that changed nothing, because its number is not above that of one before.
inline constexpr std::string_view outdatedReport = "outdated";

// NODE_ID: 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit.
class NodeId {
  public:
    [[nodiscard]] static std::optional<NodeId> parse(std::string_view text);
    [[nodiscard]] const std::string& text() const { return text_; }
    friend bool operator==(const NodeId&, const NodeId&) = default;

  private:
    explicit NodeId(std::string_view text) : text_(text) {}
    std::string text_;
};

struct NodeReport {
    NodeId nodeId;
    std::optional<std::string> storeId;  // nullopt: the folder has no marker yet, and the node asks whether it may
                                         // make one
    std::optional<std::string> vaultId;  // of the marker; together with storeId
    std::string zone;
    std::string url;                 // where API servers and workers reach the node: "http://host:port"
    std::int64_t capacityBytes = 0;  // 0 with freeBytes: not known
    std::int64_t freeBytes = 0;      // above its reserve
    bool mounted = false;            // the folder is a mount point of its own
    std::int64_t catalogSeq = 0;     // the highest that the store was told
    std::string problem;             // empty, or why the store cannot be used now
    bool stopping = false;           // the process ends in order: its last report
    std::int64_t number = 0;         // above that of the node's last report, so that nobody can send one again
};

struct NodeReportAnswer {
    std::string vaultId;  // of the API server's catalog
    std::string state;    // what the catalog makes of the node: "joining", "up" and so on
    std::int64_t catalogSeq = 0;
    std::int64_t number = 0;            // with the state outdatedReport: that of the node's last report
    std::chrono::milliseconds beat{0};  // how often the API server wants to hear; 0: it does not say
    Timestamp time = 0;                 // the API server's clock
};

[[nodiscard]] std::string encode(const NodeReport& report);
[[nodiscard]] std::string encode(const NodeReportAnswer& answer);
// Throw Error badRequest or invalidValue. Unknown fields are left alone: the other side may be newer.
[[nodiscard]] NodeReport parseNodeReport(std::string_view json);
[[nodiscard]] NodeReportAnswer parseNodeReportAnswer(std::string_view json);

}  // namespace chunkvault::wire
