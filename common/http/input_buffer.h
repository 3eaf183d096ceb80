// Bytes that have arrived on a connection and were not used yet. Holds no memory while a connection is idle.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace chunkvault::http {

class InputBuffer {
  public:
    [[nodiscard]] std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
    [[nodiscard]] bool empty() const { return begin_ == end_; }

    void consume(std::size_t count) {
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    // Free memory behind view(), at least one byte, whose first bytes filled() then adds to view().
    [[nodiscard]] std::span<char> room() {
        if (end_ == capacity_) makeRoom();
        return {data_.get() + end_, capacity_ - end_};
    }
    void filled(std::size_t count) { end_ += count; }

    // Gives the memory back; only when empty.
    void release() {
        data_.reset();
        capacity_ = 0;
    }

  private:
    static constexpr std::size_t initialBytes = 8 << 10;

    void makeRoom() {
        const std::size_t used = end_ - begin_;
        if (used > capacity_ / 2 || capacity_ == 0) {
            capacity_ = std::max(2 * capacity_, initialBytes);
            auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
            if (used > 0) std::memcpy(larger.get(), data_.get() + begin_, used);
            data_ = std::move(larger);
        } else {
            std::memmove(data_.get(), data_.get() + begin_, used);
        }
        begin_ = 0;
        end_ = used;
    }

    std::unique_ptr<char[]> data_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace chunkvault::http
