#include "common/chunk/chunk.h"

#include <cstring>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/chunk/manifest.h"
#include "common/error/error.h"

namespace chunkvault {
namespace {

using std::chrono::milliseconds;

ChunkBuffer filled(ChunkBuffers& buffers, std::string_view text) {
    ChunkBuffer buffer = buffers.acquire(text.size());
    std::memcpy(buffer.data(), text.data(), text.size());
    return buffer;
}

TEST(ChunkId, IsTheSha256OfTheBytes) {
    // FIPS 180-4 examples.
    EXPECT_EQ(ChunkId::of(std::string_view("abc")).toHex(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(ChunkId::of(std::string_view("")).toHex(),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(ChunkId, IsParsedOnlyFromExactly64HexDigits) {
    const std::string good(64, 'a');
    EXPECT_EQ(ChunkId::fromHex(good)->toHex(), good);
    EXPECT_EQ(ChunkId::fromHex(std::string(64, 'A'))->toHex(), good);
    for (const std::string& bad : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
                                   "../" + std::string(61, 'a'), std::string(63, 'a') + '\0'})
        EXPECT_FALSE(ChunkId::fromHex(bad)) << bad;
}

TEST(Chunk, IsNotMadeFromBytesThatDifferFromTheName) {
    ChunkBuffers buffers(4, 1024);
    const ChunkId abc = ChunkId::of(std::string_view("abc"));
    EXPECT_TRUE(Chunk::verify(abc, filled(buffers, "abc"), 3));
    EXPECT_FALSE(Chunk::verify(abc, filled(buffers, "abd"), 3));
    EXPECT_FALSE(Chunk::verify(abc, filled(buffers, "abcd"), 4));
}

TEST(Chunk, SharesItsBytesBetweenCopiesAndGivesThemBackOnce) {
    ChunkBuffers buffers(1, 16);
    {
        const Chunk chunk = Chunk::hash(filled(buffers, "abc"), 3);
        const Chunk copy = chunk;  // NOLINT(performance-unnecessary-copy-initialization): the copy is what is tested
        EXPECT_EQ(copy.bytes().data(), chunk.bytes().data());
        EXPECT_EQ(buffers.bytesInUse(), 3u);
    }
    EXPECT_EQ(buffers.bytesInUse(), 0u);
}

TEST(ChunkBuffers, ChargeTheBudgetByWhatIsAskedFor) {
    ChunkBuffers buffers(2, 100);
    auto whole = buffers.tryAcquire(100), most = buffers.tryAcquire(90);
    EXPECT_TRUE(whole && most);
    EXPECT_FALSE(buffers.tryAcquire(11));
    EXPECT_TRUE(buffers.tryAcquire(10));
    most.reset();
    EXPECT_TRUE(buffers.tryAcquire(100));
}

TEST(ChunkBuffers, RefuseWithRetryAfterWhenNothingIsGivenBackInTime) {
    ChunkBuffers buffers(1, 100);
    const ChunkBuffer held = buffers.acquire(100);
    try {
        (void)buffers.acquire(1, milliseconds(1));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        EXPECT_TRUE(error.retryAfterS());
    }
    EXPECT_FALSE(buffers.tryAcquire(1));
}

TEST(ChunkBuffers, GoOnAfterAWaiterGaveUp) {
    ChunkBuffers buffers(1, 100);
    auto held = std::make_unique<ChunkBuffer>(buffers.acquire(100));
    EXPECT_THROW((void)buffers.acquire(50, milliseconds(1)), Error);
    auto waiting =
        std::async(std::launch::async, [&] { return buffers.acquire(50, std::chrono::seconds(30)).capacity(); });
    while (buffers.waits() < 2) std::this_thread::yield();
    held.reset();
    EXPECT_GE(waiting.get(), 50u);
}

TEST(ChunkBuffers, LendALargerChunkThanTheBudgetToOneAlone) {
    ChunkBuffers buffers(2, 100);
    auto huge = buffers.tryAcquire(1000);
    ASSERT_TRUE(huge);
    EXPECT_EQ(huge->capacity(), 1000u);
    EXPECT_FALSE(buffers.tryAcquire(1));
}

TEST(ChunkBuffers, LendSeveralAtOnceOnlyWhenAllFit) {
    ChunkBuffers buffers(3, 100);
    const std::vector<std::size_t> sizes{100, 10, 90};
    {
        auto held = buffers.acquire(100);
        const auto several = buffers.acquireAll(sizes);
        ASSERT_EQ(several.size(), 3u);
        for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_GE(several[i].capacity(), sizes[i]);
        EXPECT_EQ(buffers.bytesInUse(), 300u);
        EXPECT_THROW((void)buffers.acquireAll(sizes, std::chrono::milliseconds(1)), Error);
        EXPECT_EQ(buffers.bytesInUse(), 300u);
    }
    EXPECT_EQ(buffers.bytesInUse(), 0u);
    {
        const auto largerThanAll = buffers.acquireAll(std::vector<std::size_t>{200, 200});
        EXPECT_EQ(buffers.bytesInUse(), 300u);
        EXPECT_FALSE(buffers.tryAcquire(1));
    }
    EXPECT_EQ(buffers.bytesInUse(), 0u);
    EXPECT_TRUE(buffers.acquireAll({}).empty());
}

TEST(ChunkBuffers, ServeManyThreadsWithoutExceedingTheBudget) {
    ChunkBuffers buffers(3, 64);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (std::size_t i = 1; i < 500; ++i) {
                const ChunkBuffer buffer = buffers.acquire((i * static_cast<std::size_t>(t + 7)) % 64 + 1);
                EXPECT_LE(buffers.bytesInUse(), buffers.budgetBytes());
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(buffers.bytesInUse(), 0u);
}

constexpr BufferAccount alice{1}, bob{2};

// A thread that waits for a buffer, has one, or was refused.
class Waiting {
  public:
    Waiting(ChunkBuffers& buffers, BufferAccount account, std::size_t capacity)
        : waitsBefore_(buffers.waits()), buffer_(std::async(std::launch::async, [&buffers, account, capacity] {
              return buffers.acquireFor(account, capacity);
          })) {
        while (buffers.waits() == waitsBefore_) std::this_thread::yield();
    }
    [[nodiscard]] bool served() const { return buffer_.wait_for(milliseconds(0)) == std::future_status::ready; }
    [[nodiscard]] ChunkBuffer get() { return buffer_.get(); }

  private:
    std::uint64_t waitsBefore_;
    std::future<ChunkBuffer> buffer_;
};

TEST(ChunkBuffers, LendHalfOfTheBudgetToOneAccount) {
    ChunkBuffers buffers(4, 100);
    auto first = buffers.tryAcquireFor(alice, 100), second = buffers.tryAcquireFor(alice, 100);
    EXPECT_TRUE(first && second);
    EXPECT_FALSE(buffers.tryAcquireFor(alice, 1));
    EXPECT_THROW((void)buffers.acquireFor(alice, 1, milliseconds(1)), Error);
    auto others = buffers.tryAcquireFor(bob, 100), anybody = buffers.tryAcquire(100);
    EXPECT_TRUE(others && anybody);
    first.reset();
    EXPECT_TRUE(buffers.tryAcquireFor(alice, 100));
}

TEST(ChunkBuffers, LendAnAccountThatHasNoneALoanOfMoreThanHalf) {
    ChunkBuffers buffers(4, 100);
    EXPECT_TRUE(buffers.tryAcquireFor(alice, 300));
    EXPECT_TRUE(buffers.tryAcquireFor(alice, 1000));
}

TEST(ChunkBuffers, GiveRoomForMemoryThatTheBorrowerHas) {
    using std::chrono::milliseconds;
    ChunkBuffers buffers(1, 1000);
    constexpr BufferAccount account{7};
    ChunkBuffer room = buffers.acquireRoomFor(account, 900);
    EXPECT_EQ(room.data(), nullptr);
    EXPECT_EQ(buffers.bytesInUse(), 900u);
    EXPECT_THROW((void)buffers.acquireRoomFor(BufferAccount{8}, 200, milliseconds(10)), Error);
    room.shrinkTo(2000);
    EXPECT_EQ(buffers.bytesInUse(), 900u);
    std::jthread waiting([&] { (void)buffers.acquireRoomFor(BufferAccount{8}, 500); });
    while (!buffers.wanted(account)) std::this_thread::yield();
    room.shrinkTo(500);
    waiting.join();
    EXPECT_EQ(buffers.bytesInUse(), 500u);
    { const ChunkBuffer other = std::move(room); }
    EXPECT_EQ(buffers.bytesInUse(), 0u);
    EXPECT_EQ(buffers.acquireRoomFor(account, 5000).capacity(), 0u) << "as much as there is, alone";
}

TEST(ChunkBuffers, LendNothingToAnAccountThatHasMoreBesides) {
    ChunkBuffers buffers(1, 1000);
    for (const BufferAccount account : {BufferAccount{7}, BufferAccount{8}, BufferAccount::nobody}) {
        ChunkBuffer shrunk = buffers.acquireRoomFor(account, 100);
        const ChunkBuffer nothing = buffers.acquireRoomFor(account, 0);
        shrunk.shrinkTo(0);
        (void)buffers.acquireRoomFor(account, 300);
        const std::vector<std::size_t> more{1000, 500};
        auto several = buffers.acquireAllFor(account, more);
        several.erase(several.begin());
    }
    EXPECT_EQ(buffers.bytesInUse(), 0u);
    const ChunkBuffer half = buffers.acquireRoomFor(BufferAccount{7}, 500);
    EXPECT_FALSE(buffers.tryAcquireFor(BufferAccount{7}, 1)) << "what an account has is known";
    EXPECT_TRUE(buffers.tryAcquireFor(BufferAccount{8}, 500));
}

TEST(ChunkBuffers, PassOverAnAccountThatHasItsHalf) {
    ChunkBuffers buffers(4, 100);
    auto held = std::make_unique<ChunkBuffer>(buffers.acquireFor(alice, 200));
    Waiting more(buffers, alice, 100);
    EXPECT_TRUE(buffers.tryAcquireFor(bob, 200));
    EXPECT_TRUE(buffers.tryAcquire(200));
    EXPECT_FALSE(more.served());
    held.reset();
    EXPECT_EQ(more.get().capacity(), 100u);
}

TEST(ChunkBuffers, ServeAnAccountsRequestsInTheirOrder) {
    ChunkBuffers buffers(4, 100);
    auto held = std::make_unique<ChunkBuffer>(buffers.acquireFor(alice, 150));
    Waiting large(buffers, alice, 100);
    EXPECT_FALSE(buffers.tryAcquireFor(alice, 50));
    held.reset();
    EXPECT_EQ(large.get().capacity(), 100u);
}

TEST(ChunkBuffers, TellWhetherSomebodyWaitsForWhatIsHeld) {
    ChunkBuffers buffers(2, 100);
    auto held = std::make_unique<ChunkBuffer>(buffers.acquireFor(alice, 100));
    EXPECT_FALSE(buffers.wanted());
    {
        Waiting own(buffers, alice, 100);
        EXPECT_TRUE(buffers.wanted(alice));
        EXPECT_FALSE(buffers.wanted(bob));
        EXPECT_FALSE(buffers.wanted());
        held.reset();
        (void)own.get();
    }
    EXPECT_FALSE(buffers.wanted(alice));
    held = std::make_unique<ChunkBuffer>(buffers.acquire(200));
    Waiting another(buffers, alice, 1);
    EXPECT_TRUE(buffers.wanted() && buffers.wanted(alice) && buffers.wanted(bob));
    held.reset();
    (void)another.get();
    EXPECT_FALSE(buffers.wanted());
}

TEST(RootHash, CoversOrderLengthAndHashOfEveryChunk) {
    const ChunkId a = ChunkId::of(std::string_view("a")), b = ChunkId::of(std::string_view("b"));
    EXPECT_EQ(rootOf({}), ChunkId::of(std::string_view("")));
    const auto root = rootOf({{1, a}, {1, b}});
    EXPECT_NE(root, rootOf({{1, b}, {1, a}}));
    EXPECT_NE(root, rootOf({{2, a}, {1, b}}));
    EXPECT_NE(root, rootOf({{1, a}}));
    std::string pairs;
    for (const ChunkId& id : {a, b}) pairs += std::string("\0\0\0\0\0\0\0\1", 8) + std::string(id.raw());
    EXPECT_EQ(root, ChunkId::of(pairs));
}

}  // namespace
}  // namespace chunkvault
