// Work that is done soon, apart from any request. Jobs carry ids, never bytes; each may run twice or be lost: the
// sweeps post again what is still true.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/wire/timestamp.h"

namespace chunkvault::worker {

// Each has its name in the table of job_queue.cpp.
enum class JobKind {
    unknown,         // of another version of ChunkVault; seen only in the list of dead jobs, never run
    repairChunk,     // id: catalog::ChunkRow; bring it to its number of good copies
    rebalanceChunk,  // id: catalog::ChunkRow; put its copies where placement wants them
    trimChunk,       // id: catalog::ChunkRow; take away copies that are too many
    verifyChunk,     // id: catalog::ChunkRow; read every copy of it
    removeChunk,     // id: catalog::ChunkRow; collect it, if nothing refers to it still
    verifyContent,   // id: catalog::ContentId; read it once and check the hash of the whole
    purge,           // id: catalog::UserId; the rows of what was deleted for good, also of whole accounts
};

struct Job {
    JobKind kind;
    std::int64_t id;
    friend auto operator<=>(const Job&, const Job&) = default;
};

// Whether it goes before all jobs that are not: a copy may be missing.
[[nodiscard]] bool isUrgent(JobKind kind) noexcept;

// snake_case, stable: they are in Redis and in JSON.
[[nodiscard]] std::string_view toString(JobKind kind) noexcept;
[[nodiscard]] std::optional<JobKind> parseJobKind(std::string_view name) noexcept;
// "repair_chunk:17". What cannot be read has the kind unknown, and the id where there is one.
[[nodiscard]] std::string toString(const Job& job);
[[nodiscard]] Job parseJob(std::string_view text) noexcept;

// Thrown by a job that ends early because its program does: the job is given back as it was taken.
class JobStopped : public Error {
  public:
    JobStopped() : Error(ErrorCode::unavailable, "The server is being stopped.") {}
};

// A job that failed as often as it was allowed to.
struct DeadJob {
    Job job;
    int failures;      // tries that failed
    std::string what;  // the last failure, for people
    Timestamp since;
};

// Thread-safe.
class JobQueue {
  public:
    virtual ~JobQueue() = default;
    // Never blocks for long and never throws: a job that cannot be kept is one that a sweep posts again. A job that
    // waits is not posted twice; one that runs, runs again afterwards.
    virtual void post(const Job& job) noexcept = 0;

    // Jobs that wait, now or for their next try, and those that run.
    [[nodiscard]] virtual std::size_t length() const = 0;
    // Those that were given up last, newest first. A job leaves the list when it succeeds after all. Throws Error
    // unavailable.
    [[nodiscard]] virtual std::vector<DeadJob> dead(int limit) const = 0;
    // Posts one dead job again, or all of them (nullopt); how many. Throws Error unavailable.
    virtual int retryDead(const std::optional<Job>& job) = 0;
};

}  // namespace chunkvault::worker
