// How long the connection loop waits for a client to send or to take bytes. Time that a handler spends is not counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace chunkvault::http {

class Patience {
  public:
    virtual ~Patience() = default;
    // The longest that the next wait may last.
    [[nodiscard]] virtual std::chrono::nanoseconds left() const = 0;
    // The socket was waited for; false: the client has used up the patience.
    [[nodiscard]] virtual bool waited(std::chrono::nanoseconds time) = 0;
    // That many bytes went through.
    virtual void moved(std::size_t bytes) = 0;
};

// A fixed amount of waiting, however much moves: for a header, a short body, an idle connection.
class Allowance final : public Patience {
  public:
    explicit Allowance(std::chrono::nanoseconds time) : left_(time) {}
    [[nodiscard]] std::chrono::nanoseconds left() const override { return left_; }
    [[nodiscard]] bool waited(std::chrono::nanoseconds time) override { return (left_ -= time).count() > 0; }
    void moved(std::size_t) override {}

  private:
    std::chrono::nanoseconds left_;
};

// Any amount of waiting, as long as something moves within every stallTimeout, and at least minBytesPerS averaged over
// each stallTimeout of waiting.
class TransferPace final : public Patience {
  public:
    TransferPace(std::chrono::nanoseconds stallTimeout, std::uint64_t minBytesPerS)
        : stallTimeout_(stallTimeout), minBytesPerS_(minBytesPerS) {}
    [[nodiscard]] std::chrono::nanoseconds left() const override;
    [[nodiscard]] bool waited(std::chrono::nanoseconds time) override;
    void moved(std::size_t bytes) override;

  private:
    std::chrono::nanoseconds stallTimeout_;
    std::uint64_t minBytesPerS_;
    std::chrono::nanoseconds stalled_{};  // since something moved
    std::chrono::nanoseconds windowWaited_{};
    std::uint64_t windowBytes_ = 0;
};

// Another patience that ends also when, while wanted() says so, the client is more than maxBehind behind minBytesPerS.
class HurriedPace final : public Patience {
  public:
    // inner must outlive this.
    HurriedPace(Patience& inner, std::function<bool()> wanted) : inner_(inner), wanted_(std::move(wanted)) {}
    [[nodiscard]] std::chrono::nanoseconds left() const override;
    [[nodiscard]] bool waited(std::chrono::nanoseconds time) override;
    void moved(std::size_t bytes) override;

    static constexpr std::uint64_t minBytesPerS = 32 << 10;
    static constexpr std::chrono::milliseconds maxBehind{2000};

  private:
    [[nodiscard]] bool tooSlow() const { return behind_ >= maxBehind && wanted_(); }

    Patience& inner_;
    std::function<bool()> wanted_;
    std::chrono::nanoseconds behind_{};
};

}  // namespace chunkvault::http
