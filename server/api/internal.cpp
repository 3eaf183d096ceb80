#include "common/error/error.h"
#include "common/http/client.h"
#include "common/wire/node_report.h"
#include "server/api/call.h"
#include "server/api/encode.h"
#include "server/api/handlers.h"

namespace chunkvault::server {

namespace {

// An address that cannot be parsed must not come into the catalog: everybody would try to use it.
void requireUrl(const std::string& url) {
    try {
        (void)http::ServerAddress::parse(url);
    } catch (const Error& error) {
        throw Error(ErrorCode::badRequest, "url: " + error.publicMessage());
    }
}

}  // namespace

// The beat of a storage node.
void nodeReport(Services& services, http::SignedCall& call) {
    const wire::NodeReport report = wire::parseNodeReport(call.body(wire::maxNodeReportBytes));
    requireUrl(report.url);
    const auto send = [&](const wire::NodeReportAnswer& answer) {
        call.response.send(200, "application/json", wire::encode(answer));
    };
    const std::string vaultId = services.catalog.chunks.vaultId();
    wire::NodeReportAnswer answer;
    answer.vaultId = vaultId;
    answer.beat = services.settings.nodeBeat;
    answer.time = services.clock();
    if (!report.storeId) {
        services.catalog.nodes.requireMayFormat(report.nodeId.text(), report.url, report.mounted,
                                                services.settings.nodeTimes);
        answer.state = "unformatted";
        return send(answer);
    }
    if (report.vaultId != vaultId) {
        // Another vault's disk. The node sees that in the answer, and neither gives nor takes anything then.
        answer.state = "another vault";
        return send(answer);
    }
    auto verdict = services.catalog.nodes.report({.nodeId = report.nodeId.text(),
                                                  .storeId = *report.storeId,
                                                  .zone = report.zone,
                                                  .url = report.url,
                                                  .capacityBytes = report.capacityBytes,
                                                  .freeBytes = report.freeBytes,
                                                  .mounted = report.mounted,
                                                  .catalogSeq = report.catalogSeq,
                                                  .problem = report.problem,
                                                  .stopping = report.stopping,
                                                  .number = report.number},
                                                 services.settings.nodeTimes);
    if (verdict.outdatedBy) {
        // Sent again by somebody who read it on its way, or come late. The node itself goes on above the number.
        services.cluster->onOutdatedReport();
        answer.state = wire::outdatedReport;
        answer.number = *verdict.outdatedBy;
        return send(answer);
    }
    answer.catalogSeq = verdict.catalogSeq;
    answer.state = stateName(verdict.state);
    if (verdict.mustBeReached && report.problem.empty()) {
        services.cluster->requireReachable(report.nodeId.text(), report.url, *report.storeId);
        services.catalog.nodes.reached(verdict.row);
        if (const auto node = services.catalog.nodes.find(report.nodeId.text())) answer.state = stateName(node->state);
    }
    send(answer);
}

}  // namespace chunkvault::server
