// What a power cut, a failing call or a full disk may do to a store, tried at every call that it makes.
#include <cerrno>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storagenode/store/disk_chunk_store.h"
#include "tests/storage/chunk_store_conformance.h"
#include "tests/storage/chunks.h"
#include "tests/support/simulated_disk.h"

namespace chunkvault::storagenode {
namespace {

using test::chunkOf;
using test::codeOf;
using test::DiskCall;
using test::Outcome;
using test::PowerCut;
using test::SimulatedDisk;

constexpr std::uint64_t seeds = 12;

std::string chunkFile(const Chunk& chunk, Generation generation) {
    const std::string hex = chunk.id().toHex();
    return "chunks/" + hex.substr(0, 2) + "/" + hex + (generation > 1 ? "." + std::to_string(generation) : "");
}

std::string folderOf(const Chunk& chunk) { return "chunks/" + chunk.id().toHex().substr(0, 2); }

// A store on a simulated disk, with what it has promised.
class Lab {
  public:
    SimulatedDisk disk;
    std::unique_ptr<DiskChunkStore> store;
    StoreOptions options;

    void format() {
        auto mounted = disk.mount();
        if (DiskChunkStore::isFormatted(*mounted)) return;
        DiskChunkStore::format(*mounted, "vault", "node1");
        formatted_ = true;
    }
    void open() {
        store.reset();
        store = DiskChunkStore::open(disk.mount(), "vault", options);
    }
    void put(const Chunk& chunk, Generation generation) { putAll({{chunk, generation}}); }
    void putAll(const std::vector<PutItem>& items) {
        for (const PutItem& item : items)
            promises_.try_emplace(item.chunk.id(), item.chunk).first->second.mustBeGone = false;
        store->putAll(items);
        for (const PutItem& item : items) {
            Promise& promise = promises_.at(item.chunk.id());
            promise.put = std::max(promise.put, item.generation);
            promise.putAt = disk.time();
            promise.mayBeGone = promise.mustBeGone = false;
        }
    }
    void remove(const Chunk& chunk, Generation generation) {
        discard(chunk, "." + std::to_string(generation), [&] { return store->remove(chunk.id(), generation); });
    }
    void moveAside(const Chunk& chunk) {
        discard(chunk, ".bad-1", [&] { return store->moveAside(chunk.id()); });
    }
    void damage(const Chunk& chunk, Generation generation) {
        disk.damage(chunkFile(chunk, generation));
        promises_.at(chunk.id()).bad = true;
        promises_.at(chunk.id()).put = 0;
    }
    // As by an administrator's cp: the bytes and the name are still in memory.
    void copyByHand(const Chunk& chunk) {
        disk.mount()->create(chunkFile(chunk, 1))->write(0, chunk.bytes());
        promises_.try_emplace(chunk.id(), chunk).first->second.bad = true;
    }
    // Promises nothing about it any more.
    void forget(const Chunk& chunk) { promises_.erase(chunk.id()); }
    void purge() { store->purgeTrash(0, maxPurgedFiles); }

    // The first promise that is not kept, after the power came back; empty when all are.
    std::string broken() {
        try {
            open();
        } catch (const Error& error) {
            if (formatted_) return std::string("it does not open: ") + error.what();
            if (error.code() != ErrorCode::unavailable)
                return std::string("it is neither a store nor none: ") + error.what();
            format();
            open();
        }
        for (const std::string& path : disk.files())
            if (path.starts_with("tmp/")) return "left behind: " + path;
        for (auto& [id, promise] : promises_) {
            if (std::string what = broken(id, promise); !what.empty()) return what;
        }
        for (auto& [id, promise] : promises_) {
            store->put(promise.chunk, promise.put + 1);
            if (!offers(promise.chunk)) return "it does not give back what was put afterwards";
        }
        return "";
    }

  private:
    struct Promise {
        explicit Promise(Chunk promised) : chunk(std::move(promised)) {}
        Chunk chunk;
        Generation put = 0;  // acknowledged; 0: not
        Timestamp putAt = 0;
        bool bad = false;         // its file may be bad as long as no put is acknowledged
        bool mayBeGone = false;   // a removal began
        bool mustBeGone = false;  // and was acknowledged
        std::string trashName;
        Timestamp removedAt = 0;
    };

    template <typename Call>
    void discard(const Chunk& chunk, const std::string& suffix, Call&& call) {
        Promise& promise = promises_.at(chunk.id());
        promise.mayBeGone = true;
        promise.trashName = "trash/" + chunk.id().toHex() + suffix;
        promise.removedAt = disk.time();
        promise.mustBeGone = call();
    }

    [[nodiscard]] bool offers(const Chunk& chunk) {
        return !codeOf([&] { (void)store->get(chunk.id(), chunk.size(), test::testBuffers().acquire(chunk.size())); });
    }

    std::string broken(const ChunkId& id, const Promise& promise) {
        const std::string name = "chunk of " + std::to_string(promise.chunk.size()) + " bytes ";
        const bool whole = offers(promise.chunk);
        if (store->has(id) && !whole && !promise.bad) return name + "is offered, and not whole";
        std::size_t files = 0;
        for (const KeptChunk& kept : store->list(id.array()[0], 0, std::nullopt, maxKeptPage).chunks) {
            if (kept.id != id) continue;
            ++files;
            if (promise.put > 0 && kept.putAt < promise.putAt) return name + "has forgotten when it was put";
        }
        if (files > 1) return name + "has several files";
        if (promise.mayBeGone && !store->has(id)) {
            const auto content = disk.content(promise.trashName);
            if (!content) return name + "is neither there nor in the trash";
            if (!promise.bad && *content != test::textOf(promise.chunk)) return name + "is not whole in the trash";
            if (disk.mount()->stat(promise.trashName)->modifiedAt < promise.removedAt)
                return name + "has forgotten when it came to the trash";
            return "";
        }
        if (promise.mustBeGone) return name + "is offered after its removal";
        if (promise.put == 0) return "";
        if (!whole) return name + "is lost";
        if (store->remove(id, promise.put - 1)) return name + "was taken by an older removal";
        return "";
    }

    std::map<ChunkId, Promise> promises_;
    bool formatted_ = false;
};

struct Scenario {
    std::string name;
    std::function<void(Lab&)> prepare;
    std::function<void(Lab&)> act;  // can be repeated after a failure
    // Beginnings of syncs, as "sync folder chunks/", whose loss need not be noticed: nothing new depends on them here.
    std::vector<std::string> needless = {};
    // Beginnings of calls after whose failure not even a repeat can make sure that everything is durable.
    std::vector<std::string> beyondHelp = {};
};

bool beginsWithOneOf(const std::string& call, const std::vector<std::string>& beginnings) {
    return std::any_of(beginnings.begin(), beginnings.end(), [&](const auto& b) { return call.starts_with(b); });
}

// By gtest, for messages.
void PrintTo(const Scenario& scenario, std::ostream* out) {  // NOLINT(readability-identifier-naming)
    *out << scenario.name;
}

const Chunk& a() {
    static const Chunk chunk = chunkOf(std::string(700, 'a'));
    return chunk;
}
const Chunk& b() {
    static const Chunk chunk = chunkOf(std::string(1300, 'b'));
    return chunk;
}
const Chunk& c() {
    static const Chunk chunk = chunkOf(std::string(2100, 'c'));
    return chunk;
}
const Chunk& d() {
    static const Chunk chunk = chunkOf(std::string(5000, 'd'));
    return chunk;
}

void made(Lab& lab) {
    lab.format();
    lab.open();
    lab.put(d(), 2);
}

std::vector<Scenario> scenarios() {
    const std::vector<std::string> oldCopy = {"sync chunks/"};
    const auto withA = [](Generation generation) {
        return [generation](Lab& lab) {
            made(lab);
            lab.put(a(), generation);
        };
    };
    const auto withBadA = [withA](Generation generation) {
        return [withA, generation](Lab& lab) {
            withA(generation)(lab);
            lab.damage(a(), generation);
        };
    };
    const auto rewriting = [](std::function<void(Lab&)> prepare) {
        return [prepare = std::move(prepare)](Lab& lab) {
            lab.options.rewrites = true;
            prepare(lab);
        };
    };
    const auto putA = [](Generation generation) { return [generation](Lab& lab) { lab.put(a(), generation); }; };
    const auto removeA = [](Generation generation) { return [generation](Lab& lab) { lab.remove(a(), generation); }; };
    return {
        {"PutNew", made, putA(1)},
        {"PutNewAtALaterGeneration", made, putA(3)},
        {"PutExisting", withA(1), putA(1), {"sync folder"}},
        {"PutAtAHigherGeneration", withA(1), putA(4)},
        {"PutWhatWasCopiedByHand",
         [](Lab& lab) {
             made(lab);
             lab.copyByHand(a());
         },
         putA(1),
         {},
         {"sync folder"}},
        {"RewriteExisting", rewriting(withA(1)), putA(1), {"sync folder"}},
        {"RewriteAtAHigherGeneration", rewriting(withA(2)), putA(4)},
        {"RewriteAtALowerGeneration", rewriting(withA(3)), putA(2), {"sync folder"}},
        {"RewriteABadCopy", rewriting(withBadA(1)), putA(1), oldCopy},
        {"PutTwice",
         made,
         [](Lab& lab) {
             lab.put(a(), 1);
             lab.put(a(), 2);
         },
         {"sync"}},
        {"ReplaceABadCopy", withBadA(1), putA(1), oldCopy},
        {"ReplaceABadCopyAtAHigherGeneration", withBadA(2), putA(5), oldCopy},
        {"PutSeveral",
         [](Lab& lab) {
             made(lab);
             lab.copyByHand(b());
             lab.put(c(), 1);
         },
         [](Lab& lab) {
             lab.putAll({{a(), 1}, {b(), 1}, {c(), 2}, {chunkOf(std::string(600, 'e')), 7}});
         },
         {},
         {"sync folder " + folderOf(b())}},
        {"PutSeveralOverABadCopy",
         [withBadA](Lab& lab) {
             withBadA(1)(lab);
             lab.put(b(), 2);
         },
         [](Lab& lab) {
             lab.putAll({{a(), 2}, {b(), 1}, {c(), 1}});
         },
         {"sync chunks/", "sync folder " + folderOf(b())}},
        {"Remove", withA(1), removeA(2)},
        {"RemoveALaterGeneration", withA(3), removeA(3)},
        {"RemoveAndPutAgain",
         withA(1),
         [](Lab& lab) {
             lab.remove(a(), 2);
             lab.put(a(), 3);
         },
         {"sync chunks/", "sync folder"}},
        {"MoveABadCopyAside", withBadA(1),
         [](Lab& lab) {
             if (lab.store->has(a().id())) lab.moveAside(a());
         }},
        {"PurgeTheTrash",
         [withA](Lab& lab) {
             withA(1)(lab);
             lab.put(b(), 1);
             lab.remove(b(), 1);
             lab.forget(b());
         },
         [](Lab& lab) {
             lab.purge();
             lab.put(c(), 1);
         }},
        {"Format",
         [](Lab&) {},
         [](Lab& lab) {
             lab.format();
             lab.open();
             lab.put(a(), 1);
             lab.put(b(), 2);
         },
         {},
         {"sync folder"}},
        {"OpenForTheFirstTime",
         [](Lab& lab) { lab.format(); },
         [](Lab& lab) {
             lab.open();
             lab.put(a(), 1);
         },
         {},
         {"sync folder"}},
    };
}

// The calls of a scenario's act, as "sync tmp/...".
std::vector<std::string> callsOf(const Scenario& scenario) {
    std::vector<std::string> calls;
    Lab lab;
    scenario.prepare(lab);
    lab.disk.setTime(lab.disk.time() + hourUs);
    lab.disk.direct([&](DiskCall call, const std::string& path) {
        calls.push_back(std::string(nameOf(call)) + " " + path);
        return Outcome{};
    });
    scenario.act(lab);
    return calls;
}

// Cuts the power at every call in turn, and after the last, for every seed; with one call that only pretends, if given.
// The first promise that is broken; empty when all are kept.
std::string firstLoss(const Scenario& scenario, std::optional<std::size_t> pretended) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        bool finished = false;
        for (std::size_t cut = 0; !finished; ++cut) {
            Lab lab;
            scenario.prepare(lab);
            lab.disk.setTime(lab.disk.time() + hourUs);
            std::size_t number = 0;
            lab.disk.direct([&](DiskCall, const std::string&) {
                const std::size_t now = number++;
                if (now == cut) return Outcome{Outcome::powerGoes};
                return now == pretended ? Outcome{Outcome::isPretended} : Outcome{};
            });
            try {
                scenario.act(lab);
                finished = true;
            } catch (const PowerCut&) {
            }
            lab.disk.cutPower(seed);
            std::string what;
            try {
                what = lab.broken();
            } catch (const Error& error) {
                what = std::string("it fails: ") + error.what();
            }
            if (!what.empty())
                return what + " (cut at call " + std::to_string(cut) + ", seed " + std::to_string(seed) + ")";
        }
    }
    return "";
}

class PowerCutTest : public testing::TestWithParam<Scenario> {};

TEST_P(PowerCutTest, LosesNothingThatWasAcknowledgedAndOffersNothingThatIsNotWhole) {
    EXPECT_EQ(firstLoss(GetParam(), std::nullopt), "");
}

TEST_P(PowerCutTest, WouldLoseSomethingWithoutAnyOneOfItsSyncs) {
    const auto calls = callsOf(GetParam());
    int tried = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        if (!calls[i].starts_with("sync ")) continue;  // of a file or a folder
        if (beginsWithOneOf(calls[i], GetParam().needless)) continue;
        EXPECT_NE(firstLoss(GetParam(), i), "") << "nobody would notice the loss of: " << calls[i];
        ++tried;
    }
    EXPECT_TRUE(tried > 1 || !GetParam().needless.empty());
}

TEST_P(PowerCutTest, KeepsItsPromisesWhenItIsKilledAtAnyCallAndThePowerGoesAfterTheNextRun) {
    const std::size_t calls = callsOf(GetParam()).size();
    for (std::size_t last = 0; last < calls; ++last) {
        Lab lab;
        GetParam().prepare(lab);
        lab.disk.setTime(lab.disk.time() + hourUs);
        std::size_t number = 0;
        lab.disk.direct(
            [&](DiskCall, const std::string&) { return number++ == last ? Outcome{Outcome::powerGoes} : Outcome{}; });
        EXPECT_THROW(GetParam().act(lab), PowerCut);
        lab.disk.killProcess();
        lab.format();
        lab.open();
        GetParam().act(lab);
        lab.disk.cutPower(0);
        EXPECT_EQ(lab.broken(), "") << "killed at call " << last;
    }
}

TEST_P(PowerCutTest, StaysWholeWhateverCallFails) {
    const std::size_t calls = callsOf(GetParam()).size();
    for (const auto& [errnoValue, code] :
         {std::pair(ENOSPC, ErrorCode::storageFull), std::pair(EIO, ErrorCode::internal)})
        for (std::size_t failing = 0; failing < calls; ++failing) {
            Lab lab;
            GetParam().prepare(lab);
            lab.disk.setTime(lab.disk.time() + hourUs);
            std::size_t number = 0;
            std::string failed;
            lab.disk.direct([&, error = errnoValue](DiskCall call, const std::string& path) {
                if (number++ != failing) return Outcome{};
                failed = std::string(nameOf(call)) + " " + path;
                return Outcome{Outcome::fails, error};
            });
            const auto thrown = codeOf([&] { GetParam().act(lab); });
            EXPECT_TRUE(!thrown || thrown == code) << failed << " gave " << static_cast<int>(*thrown);
            lab.disk.direct(nullptr);
            for (const std::string& path : lab.disk.files())
                EXPECT_FALSE(path.starts_with("tmp/")) << failed << " left " << path;
            EXPECT_FALSE(codeOf([&] { GetParam().act(lab); })) << "again, after a failed " << failed;
            if (beginsWithOneOf(failed, GetParam().beyondHelp)) continue;
            lab.disk.cutPower(0);
            EXPECT_EQ(lab.broken(), "") << "after a failed " << failed << " with " << errnoValue;
        }
}

INSTANTIATE_TEST_SUITE_P(SimulatedDisk, PowerCutTest, testing::ValuesIn(scenarios()),
                         [](const testing::TestParamInfo<Scenario>& scenario) { return scenario.param.name; });

TEST(FullDisk, RefusesWritesAndGoesOnReadingUntilThereIsRoomAgain) {
    SimulatedDisk disk(20'000);
    (void)DiskChunkStore::format(*disk.mount(), "vault", "node1");
    const auto store = DiskChunkStore::open(disk.mount(), "vault");
    std::vector<Chunk> put;
    std::optional<ErrorCode> refused;
    for (int i = 0; !refused; ++i) {
        const Chunk chunk = chunkOf(std::string(3000, static_cast<char>('a' + i)));
        refused = codeOf([&] { store->put(chunk, 1); });
        if (!refused) put.push_back(chunk);
    }
    EXPECT_EQ(refused, ErrorCode::storageFull);
    ASSERT_GT(put.size(), 2u);
    for (const std::string& path : disk.files()) EXPECT_FALSE(path.starts_with("tmp/")) << path;
    for (const Chunk& chunk : put) EXPECT_EQ(store->check(chunk.id(), chunk.size()), CopyState::good);
    EXPECT_TRUE(store->remove(put[0].id(), 1));
    EXPECT_TRUE(store->remove(put[1].id(), 1));
    disk.setTime(disk.time() + dayUs);
    EXPECT_EQ(store->purgeTrash(dayUs, maxPurgedFiles).purged.files, 2u);
    store->put(chunkOf(std::string(3000, 'Z')), 1);
}

TEST(FailingDisk, MakesACopyBadOnlyWhenItIsTheDisksFault) {
    SimulatedDisk disk;
    (void)DiskChunkStore::format(*disk.mount(), "vault", "node1");
    const auto store = DiskChunkStore::open(disk.mount(), "vault");
    const Chunk chunk = chunkOf("kept");
    store->put(chunk, 1);
    for (const DiskCall failing : {DiskCall::open, DiskCall::read})
        for (const int errnoValue : {ENOMEM, EMFILE, ENFILE, EIO, EACCES, EPERM}) {
            disk.direct([&](DiskCall call, const std::string&) {
                return call == failing ? Outcome{Outcome::fails, errnoValue} : Outcome{};
            });
            std::optional<CopyState> state;
            const auto thrown = codeOf([&] { state = store->check(chunk.id(), chunk.size()); });
            disk.direct(nullptr);
            if (errnoValue == EIO || errnoValue == EACCES || errnoValue == EPERM) EXPECT_EQ(state, CopyState::bad);
            else EXPECT_EQ(thrown, ErrorCode::unavailable) << nameOf(failing) << ' ' << errnoValue;
        }
    EXPECT_EQ(store->check(chunk.id(), chunk.size()), CopyState::good);
}

TEST(FailingDisk, LosesNoGoodCopyByARewriteThatFails) {
    SimulatedDisk disk;
    (void)DiskChunkStore::format(*disk.mount(), "vault", "node1");
    const auto store = DiskChunkStore::open(disk.mount(), "vault", {.rewrites = true});
    const Chunk chunk = chunkOf("kept");
    store->put(chunk, 2);
    for (const Generation generation : {1, 2, 3})
        for (const DiskCall failing : {DiskCall::write, DiskCall::sync, DiskCall::rename, DiskCall::syncFolder}) {
            disk.direct([&](DiskCall call, const std::string&) {
                return call == failing ? Outcome{Outcome::fails, EIO} : Outcome{};
            });
            EXPECT_TRUE(codeOf([&] { store->put(chunk, generation); })) << nameOf(failing);
            disk.direct(nullptr);
            EXPECT_EQ(store->check(chunk.id(), chunk.size()), CopyState::good) << nameOf(failing);
        }
}

TEST(FailingDisk, KeepsACopyInItsPlaceUnlessItWasReadAndIsWrong) {
    SimulatedDisk disk;
    (void)DiskChunkStore::format(*disk.mount(), "vault", "node1");
    const auto store = DiskChunkStore::open(disk.mount(), "vault");
    const Chunk chunk = chunkOf("kept");
    store->put(chunk, 1);
    for (const bool damaged : {false, true}) {
        if (damaged) disk.damage(chunkFile(chunk, 1));
        // A copy that cannot be touched would come to the trash with its old age, and leave it at once.
        for (const DiskCall failing : {DiskCall::open, DiskCall::read, DiskCall::touch, DiskCall::sync})
            for (const int errnoValue : {EIO, EACCES}) {
                disk.direct([&](DiskCall call, const std::string& path) {
                    return call == failing && path.starts_with("chunks/") ? Outcome{Outcome::fails, errnoValue}
                                                                          : Outcome{};
                });
                std::optional<bool> moved;
                const auto thrown = codeOf([&] { moved = store->moveAside(chunk.id()); });
                disk.direct(nullptr);
                EXPECT_TRUE(thrown == ErrorCode::internal || moved == false) << nameOf(failing) << ' ' << errnoValue;
                EXPECT_TRUE(disk.content(chunkFile(chunk, 1)));
            }
    }
    EXPECT_TRUE(store->moveAside(chunk.id()));
}

class SimulatedUnderTest final : public test::StoreUnderTest {
  public:
    SimulatedUnderTest() {
        (void)DiskChunkStore::format(*disk_.mount(), "vault", "node1");
        store_ = DiskChunkStore::open(disk_.mount(), "vault");
    }
    ChunkStore& store() override { return *store_; }
    void damage(const ChunkId& id) override { disk_.damage(fileOf(id)); }
    void shorten(const ChunkId& id) override { disk_.shorten(fileOf(id)); }

  private:
    [[nodiscard]] std::string fileOf(const ChunkId& id) {
        for (const std::string& path : disk_.files())
            if (path.starts_with("chunks/") && path.find(id.toHex()) != std::string::npos) return path;
        throw std::logic_error("no file of the chunk");
    }

    SimulatedDisk disk_;
    std::unique_ptr<DiskChunkStore> store_;
};

}  // namespace
}  // namespace chunkvault::storagenode

namespace chunkvault::test {

INSTANTIATE_TEST_SUITE_P(SimulatedDisk, ChunkStoreConformance,
                         testing::Values(StoreKind{"DiskChunkStore",
                                                   [] { return std::make_unique<storagenode::SimulatedUnderTest>(); }}),
                         kindName);

}  // namespace chunkvault::test
