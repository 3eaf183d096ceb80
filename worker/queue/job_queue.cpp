#include "worker/queue/job_queue.h"

#include <array>
#include <charconv>

namespace chunkvault::worker {

namespace {

struct KindRow {
    JobKind kind;
    std::string_view name;
};

constexpr std::array kinds{
    KindRow{JobKind::repairChunk, "repair_chunk"},
    KindRow{JobKind::rebalanceChunk, "rebalance_chunk"},
    KindRow{JobKind::trimChunk, "trim_chunk"},
    KindRow{JobKind::verifyChunk, "verify_chunk"},
    KindRow{JobKind::removeChunk, "remove_chunk"},
    KindRow{JobKind::verifyContent, "verify_content"},
    KindRow{JobKind::purge, "purge"},
};

}  // namespace

bool isUrgent(JobKind kind) noexcept { return kind == JobKind::repairChunk || kind == JobKind::verifyChunk; }

std::string_view toString(JobKind kind) noexcept {
    for (const KindRow& row : kinds)
        if (row.kind == kind) return row.name;
    return "unknown";
}

std::optional<JobKind> parseJobKind(std::string_view name) noexcept {
    for (const KindRow& row : kinds)
        if (row.name == name) return row.kind;
    return std::nullopt;
}

std::string toString(const Job& job) { return std::string(toString(job.kind)) + ':' + std::to_string(job.id); }

Job parseJob(std::string_view text) noexcept {
    Job job{JobKind::unknown, 0};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return job;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, job.id);
    if (error != std::errc() || stop != end) return {JobKind::unknown, 0};
    job.kind = parseJobKind(text.substr(0, colon)).value_or(JobKind::unknown);
    return job;
}

}  // namespace chunkvault::worker
