#include "server/storage/replicated_chunk_store.h"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <tuple>
#include <utility>

#include "common/chunk/placement.h"

namespace chunkvault::server {

namespace {

using catalog::StoreRow;
using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

// What tasks answer, in the order of arrival. Shared by the tasks and the call that waits, which may leave before them.
template <typename Answer>
class Answers {
  public:
    void give(Answer answer) {
        {
            const std::lock_guard lock(mutex_);
            answers_.push_back(std::move(answer));
        }
        arrived_.notify_one();
    }

    [[nodiscard]] std::optional<Answer> next(TimePoint until) {
        std::unique_lock lock(mutex_);
        if (!arrived_.wait_until(lock, until, [&] { return !answers_.empty(); })) return std::nullopt;
        Answer answer = std::move(answers_.front());
        answers_.pop_front();
        return answer;
    }

  private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Answer> answers_;
};

// The Error that work throws.
template <typename Work>
std::optional<Error> attempt(Work&& work) {
    try {
        work();
        return std::nullopt;
    } catch (const Error& error) {
        return error;
    } catch (const std::exception& error) {
        return Error(ErrorCode::internal, "The storage failed.", error.what());
    } catch (...) {
        return Error(ErrorCode::internal, "The storage failed.", "something that is no std::exception was thrown");
    }
}

// The same, and whether the store was reached.
template <typename Work>
std::optional<Error> attemptAt(StorePause& pause, Work&& work) {
    auto error = attempt(work);
    if (error && error->code() == ErrorCode::unavailable) pause.failed(SteadyClock::now());
    else pause.reached();
    return error;
}

// Tasks on lanes that answer with their number. Gives up at the end what has not answered.
template <typename Answer>
class Calls {
  public:
    using Box = std::shared_ptr<Answers<Answer>>;

    Calls() = default;
    ~Calls() {
        for (const Call& call : calls_)
            if (call.task != nullptr) call.lane->abandon(call.task);
    }
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    // work gives its one Answer, with the number of the call, to the box.
    template <typename Work>
    void begin(const std::shared_ptr<StoreLane>& lane, std::size_t bytes, Work work) {
        auto task =
            lane->run(bytes, [box = box_, number = calls_.size(), work = std::move(work)] { work(box, number); });
        calls_.push_back({lane, std::move(task)});
        ++outstanding_;
    }

    [[nodiscard]] std::optional<Answer> next(TimePoint until) {
        auto answer = box_->next(until);
        if (answer) {
            calls_[answer->call].task.reset();
            --outstanding_;
        }
        return answer;
    }

    [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
    [[nodiscard]] bool answered(std::size_t call) const { return calls_[call].task == nullptr; }

  private:
    struct Call {
        std::shared_ptr<StoreLane> lane;
        std::shared_ptr<StoreLane::Task> task;  // nullptr once it has answered
    };
    const Box box_ = std::make_shared<Answers<Answer>>();
    std::vector<Call> calls_;
    std::size_t outstanding_ = 0;
};

struct WriteAnswer {
    std::size_t call;
    std::optional<Error> error;
};

struct RemoveAnswer {
    std::size_t call;
    std::optional<Error> error;
    bool removed;
};

struct ReadAnswer {
    std::size_t call;
    std::optional<Error> error;
    std::optional<Chunk> chunk;
};

ReplicaFault faultOf(const Error& error) {
    switch (error.code()) {
        case ErrorCode::chunkMissing: return ReplicaFault::missing;
        case ErrorCode::chunkCorrupt: return ReplicaFault::corrupt;
        case ErrorCode::internal: return ReplicaFault::unreadable;
        default: return ReplicaFault::silent;
    }
}

std::string nameOf(StoreRow store) { return "store " + std::to_string(catalog::valueOf(store)); }

template <typename Range>
auto* memberOf(Range& members, StoreRow store) {
    const auto found =
        std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.replica.store == store; });
    return found == members.end() ? nullptr : &*found;
}

}  // namespace

// Which stores a call may put new copies on, and in which order.
class ReplicatedChunkStore::Choice {
  public:
    Choice(const Members& members, std::size_t quorum) : members_(members) {
        std::vector<const Member*> stuck;
        const TimePoint now = SteadyClock::now();
        for (const Member& member : members) {
            if (!member.replica.acceptsNewChunks) {
                anyFull_ = anyFull_ || member.replica.answers;
                continue;
            }
            if (member.writes->stuck()) stuck.push_back(&member);
            else if (member.pause->lasts(now)) spare_.push_back(&member);
            else open_.push_back(&member);
        }
        // Better to wait for a store that hangs, or was not reached before, than to fail at once.
        for (auto* others : {&spare_, &stuck}) {
            if (open_.size() >= quorum) break;
            open_.insert(open_.end(), others->begin(), others->end());
            others->clear();
        }
        for (const Member* member : open_)
            weights_.push_back({catalog::valueOf(member->replica.store), member->replica.zone,
                                static_cast<double>(std::max<std::int64_t>(member->replica.capacityBytes, 1))});
    }

    [[nodiscard]] std::vector<const Member*> order(const ChunkId& id, std::span<const StoreRow> preferred) const {
        std::vector<const Member*> order;
        order.reserve(preferred.size() + open_.size());
        for (const StoreRow store : preferred)
            if (const Member* member = memberOf(members_, store);
                member != nullptr && !member->writes->stuck() && !member->pause->lasts(SteadyClock::now()))
                order.push_back(member);
        for (const std::size_t i : placementOrder(id, weights_))
            if (std::find(order.begin(), order.end(), open_[i]) == order.end()) order.push_back(open_[i]);
        return order;
    }

    // Those that were not reached of late: for a quorum that the others do not make.
    [[nodiscard]] const std::vector<const Member*>& spare() const { return spare_; }

    // Whether a store was left out because it has no room.
    [[nodiscard]] bool anyFull() const { return anyFull_; }

  private:
    const Members& members_;
    bool anyFull_ = false;
    std::vector<const Member*> open_, spare_;
    std::vector<PlacementCandidate> weights_;
};

// The refusals of one call: reported one by one, and summed up when there is no quorum.
class ReplicatedChunkStore::Failures {
  public:
    explicit Failures(const Events& events, bool anyFull = false) : events_(events), full_(anyFull) {}

    void add(StoreRow store, const Error& error) {
        full_ = full_ || error.code() == ErrorCode::storageFull;
        details_ += "; " + nameOf(store) + ": " + error.what();
        if (events_.onStoreError) events_.onStoreError(store, error);
    }

    void addSilent(StoreRow store) {
        add(store, Error(ErrorCode::unavailable, "The storage does not answer.", "no answer in time"));
    }

    [[noreturn]] void throwNoQuorum(const ChunkId& id, std::size_t good, std::size_t quorum) const {
        const std::string detail = "chunk " + id.toHex() + " is on " + std::to_string(good) + " stores of the " +
                                   std::to_string(quorum) + " it needs" + details_;
        if (full_) throw Error(ErrorCode::storageFull, "The storage is full.", detail);
        throw Error(ErrorCode::unavailable, "Too few stores can be written to now. Try again later.", detail)
            .retryAfter(10);
    }

  private:
    const Events& events_;
    bool full_;
    std::string details_;
};

ReplicatedChunkStore::ReplicatedChunkStore(const ReplicationLimits& limits, Events events)
    : limits_(limits), events_(std::move(events)), members_(std::make_shared<const Members>()) {
    assert(limits.writeQuorum >= 1 && limits.writeQuorum <= limits.replicationFactor);
}

ReplicatedChunkStore::~ReplicatedChunkStore() = default;

void ReplicatedChunkStore::setReplicas(std::vector<Replica> replicas) {
    auto members = std::make_shared<Members>();
    const std::lock_guard lock(mutex_);
    for (Replica& replica : replicas) {
        Member& member = known_[replica.store];
        if (member.writes == nullptr) {
            member.writes = std::make_shared<StoreLane>(limits_.threadsPerStore, limits_.bytesInFlightPerStore);
            member.reads = std::make_shared<StoreLane>(limits_.threadsPerStore, limits_.bytesInFlightPerStore);
            member.pause = std::make_shared<StorePause>(limits_.firstPause, limits_.longestPause);
        }
        members->push_back({std::move(replica), member.writes, member.reads, member.pause});
    }
    members_ = std::move(members);
}

std::shared_ptr<const ReplicatedChunkStore::Members> ReplicatedChunkStore::members() const {
    const std::lock_guard lock(mutex_);
    return members_;
}

std::vector<StoreRow> ReplicatedChunkStore::put(const Chunk& chunk, Generation generation,
                                                std::span<const StoreRow> preferred) {
    const auto all = members();
    const Choice choice(*all, limits_.writeQuorum);
    auto order = choice.order(chunk.id(), preferred);
    const std::size_t usual = order.size();
    order.insert(order.end(), choice.spare().begin(), choice.spare().end());
    std::vector<StoreRow> good;
    Failures failures(events_, choice.anyFull());
    Calls<WriteAnswer> calls;
    std::size_t begun = 0, late = 0;
    const auto begin = [&] {
        for (; begun < order.size(); ++begun) {
            const Member& member = *order[begun];
            const std::size_t wanted = begun < usual ? limits_.replicationFactor : limits_.writeQuorum;
            if (good.size() + calls.outstanding() >= wanted + late) return;
            member.pause->trying(SteadyClock::now());
            calls.begin(member.writes, chunk.size(),
                        [chunks = member.replica.chunks, pause = member.pause, chunk, generation](const auto& box,
                                                                                                  std::size_t call) {
                            box->give({call, attemptAt(*pause, [&] { chunks->put(chunk, generation); })});
                        });
        }
    };
    begin();
    const TimePoint deadline = SteadyClock::now() + limits_.writeDeadline;
    TimePoint until = std::min(deadline, SteadyClock::now() + limits_.stragglerWait);
    while (calls.outstanding() > 0) {
        const auto answer = calls.next(until);
        if (!answer) {
            if (good.size() >= limits_.writeQuorum || until >= deadline) break;
            // Not enough in good time: the next stores, besides those that may still answer.
            late = calls.outstanding();
            begin();
            until = std::min(deadline, SteadyClock::now() + limits_.stragglerWait);
        } else if (answer->error) {
            failures.add(order[answer->call]->replica.store, *answer->error);
            begin();
        } else {
            good.push_back(order[answer->call]->replica.store);
            if (good.size() == limits_.writeQuorum)
                until = std::min(deadline, SteadyClock::now() + limits_.stragglerWait);
            if (good.size() >= limits_.replicationFactor) break;
        }
    }
    for (std::size_t call = 0; call < begun; ++call)
        if (!calls.answered(call)) failures.addSilent(order[call]->replica.store);
    if (good.size() < limits_.writeQuorum) failures.throwNoQuorum(chunk.id(), good.size(), limits_.writeQuorum);
    return good;
}

std::vector<std::vector<StoreRow>> ReplicatedChunkStore::putAll(std::span<const PutItem> items) {
    const auto all = members();
    const Choice choice(*all, limits_.writeQuorum);
    // By id, so that the items of a task share folders, and with them the folders' syncs.
    std::vector<std::size_t> sorted(items.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = i;
    std::sort(sorted.begin(), sorted.end(),
              [&](std::size_t a, std::size_t b) { return items[a].chunk.id() < items[b].chunk.id(); });

    struct Part {
        const Member* member;
        std::vector<std::size_t> items;
        std::size_t bytes;
    };
    std::vector<Part> parts;
    std::map<const Member*, std::size_t> open;  // the part that is being filled
    for (const std::size_t i : sorted) {
        auto order = choice.order(items[i].chunk.id(), {});
        order.resize(std::min(order.size(), limits_.replicationFactor));
        for (const Member* member : order) {
            const auto [at, isNew] = open.try_emplace(member, parts.size());
            if (!isNew && (parts[at->second].items.size() >= limits_.itemsPerTask ||
                           parts[at->second].bytes + items[i].chunk.size() > limits_.bytesInFlightPerStore / 4))
                at->second = parts.size();
            if (at->second == parts.size()) parts.push_back({member, {}, 0});
            parts[at->second].items.push_back(i);
            parts[at->second].bytes += items[i].chunk.size();
        }
    }

    std::vector<std::vector<StoreRow>> good(items.size());
    std::size_t lacking = items.size();  // of the quorum
    Failures failures(events_);
    {
        Calls<WriteAnswer> calls;
        for (const Part& part : parts) {
            std::vector<PutItem> batch;
            batch.reserve(part.items.size());
            for (const std::size_t i : part.items) batch.push_back(items[i]);
            part.member->pause->trying(SteadyClock::now());
            calls.begin(part.member->writes, part.bytes,
                        [chunks = part.member->replica.chunks, pause = part.member->pause, batch = std::move(batch)](
                            const auto& box, std::size_t call) {
                            box->give({call, attemptAt(*pause, [&] { chunks->putAll(batch); })});
                        });
        }
        TimePoint until = SteadyClock::now() + limits_.writeDeadline;
        while (calls.outstanding() > 0) {
            const auto answer = calls.next(until);
            if (!answer) break;
            const Part& part = parts[answer->call];
            if (answer->error) {
                failures.add(part.member->replica.store, *answer->error);
                continue;
            }
            for (const std::size_t i : part.items) {
                good[i].push_back(part.member->replica.store);
                if (good[i].size() == limits_.writeQuorum) --lacking;
            }
            if (lacking == 0) until = std::min(until, SteadyClock::now() + limits_.stragglerWait);
        }
        for (std::size_t call = 0; call < parts.size(); ++call)
            if (!calls.answered(call)) failures.addSilent(parts[call].member->replica.store);
    }
    // Where a batch failed as a whole, its items may not: singly, and on other stores.
    for (std::size_t i = 0; i < items.size() && lacking > 0; ++i)
        if (good[i].size() < limits_.writeQuorum) good[i] = put(items[i].chunk, items[i].generation, good[i]);
    return good;
}

Chunk ReplicatedChunkStore::get(const ChunkId& id, std::size_t size, std::span<const StoreRow> holders,
                                ChunkBuffers& buffers, std::span<const StoreRow> doubtful) {
    return read(id, size, holders, doubtful, buffers, std::nullopt, true);
}

Chunk ReplicatedChunkStore::get(const ChunkId& id, std::size_t size, std::span<const StoreRow> holders,
                                ChunkBuffers& buffers, ChunkBuffer buffer, std::span<const StoreRow> doubtful) {
    return read(id, size, holders, doubtful, buffers, std::move(buffer), false);
}

Chunk ReplicatedChunkStore::read(const ChunkId& id, std::size_t size, std::span<const StoreRow> holders,
                                 std::span<const StoreRow> doubtful, ChunkBuffers& buffers,
                                 std::optional<ChunkBuffer> buffer, bool mayWait) {
    const auto all = members();
    struct Holder {
        const Member* member;
        bool doubtful;
        bool silent;
        std::size_t load;
        std::size_t turn;
    };
    std::vector<Holder> order;
    const std::size_t turn = turn_++;
    const TimePoint now = SteadyClock::now();
    const auto add = [&](std::span<const StoreRow> stores, bool areDoubtful) {
        for (std::size_t i = 0; i < stores.size(); ++i)
            if (const Member* member = memberOf(*all, stores[i]))
                order.push_back({member, areDoubtful,
                                 member->reads->stuck() || !member->replica.answers || member->pause->lasts(now),
                                 member->reads->load(), (i + turn) % stores.size()});
    };
    add(holders, false);
    bool mayBeGood = order.size() < holders.size();  // on a store that is not live
    bool damaged = false;
    add(doubtful, true);
    std::sort(order.begin(), order.end(), [](const Holder& a, const Holder& b) {
        return std::tie(a.doubtful, a.silent, a.load, a.turn) < std::tie(b.doubtful, b.silent, b.load, b.turn);
    });
    const auto report = [&](const Holder& holder, ReplicaFault fault) {
        mayBeGood = mayBeGood || fault == ReplicaFault::silent || fault == ReplicaFault::unreadable;
        damaged = damaged || fault == ReplicaFault::corrupt;
        if (!holder.doubtful && events_.onBadReplica) events_.onBadReplica(id, holder.member->replica.store, fault);
    };

    Calls<ReadAnswer> calls;
    std::size_t begun = 0;
    // False when there is no other copy, or no memory to read it into.
    const auto begin = [&] {
        if (begun == order.size()) return false;
        if (!buffer && mayWait && calls.outstanding() == 0) buffer.emplace(buffers.acquire(size));
        if (!buffer) buffer = buffers.tryAcquire(size);
        if (!buffer) return false;
        auto loan = std::make_shared<ChunkBuffer>(std::move(*buffer));
        buffer.reset();
        const Member& member = *order[begun].member;
        member.pause->trying(SteadyClock::now());
        calls.begin(
            member.reads, size,
            [chunks = member.replica.chunks, pause = member.pause, id, size, loan](const auto& box, std::size_t call) {
                ReadAnswer answer{call, std::nullopt, std::nullopt};
                answer.error = attemptAt(*pause, [&] { answer.chunk = chunks->get(id, size, std::move(*loan)); });
                box->give(std::move(answer));
            });
        ++begun;
        return true;
    };

    const TimePoint deadline = SteadyClock::now() + limits_.readDeadline;
    bool reading = begin();
    bool more = reading;
    while (reading) {
        const auto answer = calls.next(more ? std::min(deadline, SteadyClock::now() + limits_.readPatience) : deadline);
        if (!answer) {
            if (SteadyClock::now() >= deadline) break;
            more = begin();
        } else if (answer->chunk) {
            for (std::size_t call = 0; call < answer->call; ++call)
                if (!calls.answered(call)) report(order[call], ReplicaFault::silent);
            return *answer->chunk;
        } else {
            report(order[answer->call], faultOf(*answer->error));
            more = begin();
            reading = calls.outstanding() > 0;
        }
    }
    for (std::size_t call = 0; call < begun; ++call)
        if (!calls.answered(call)) report(order[call], ReplicaFault::silent);
    const std::string detail = "chunk " + id.toHex() + ": no good copy on " + std::to_string(begun) + " of " +
                               std::to_string(holders.size() + doubtful.size()) + " stores";
    if (mayBeGood || begun < order.size())
        throw Error(ErrorCode::unavailable, "Part of the content is unavailable now. Try again later.", detail)
            .retryAfter(10);
    if (damaged) throw Error(ErrorCode::chunkCorrupt, "Part of the content is damaged.", detail);
    throw Error(ErrorCode::chunkMissing, "Part of the content is missing.", detail);
}

std::vector<StoreRow> ReplicatedChunkStore::remove(const ChunkId& id, Generation generation,
                                                   std::span<const StoreRow> holders) {
    const auto all = members();
    Failures failures(events_);
    Calls<RemoveAnswer> calls;
    std::vector<StoreRow> asked, removed;
    for (const StoreRow store : holders) {
        const Member* const member = memberOf(*all, store);
        if (member == nullptr) continue;
        asked.push_back(store);
        calls.begin(member->writes, 0,
                    [chunks = member->replica.chunks, id, generation](const auto& box, std::size_t call) {
                        RemoveAnswer answer{call, std::nullopt, false};
                        answer.error = attempt([&] { answer.removed = chunks->remove(id, generation); });
                        box->give(std::move(answer));
                    });
    }
    const TimePoint until = SteadyClock::now() + limits_.writeDeadline;
    while (calls.outstanding() > 0) {
        const auto answer = calls.next(until);
        if (!answer) break;
        if (answer->error) failures.add(asked[answer->call], *answer->error);
        else if (answer->removed) removed.push_back(asked[answer->call]);
    }
    for (std::size_t call = 0; call < asked.size(); ++call)
        if (!calls.answered(call)) failures.addSilent(asked[call]);
    return removed;
}

}  // namespace chunkvault::server
