// Answers that were worked out before. Keys carry the owner's seq, so an entry is never wrong, only unused.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace chunkvault::server {

// In this process, least recently used first out. Thread-safe.
class Cache {
  public:
    explicit Cache(std::size_t maxBytes) : maxBytes_(maxBytes) {}

    // The value of key; made, outside of the lock, when it is not there.
    [[nodiscard]] std::shared_ptr<const std::string> getOrMake(const std::string& key,
                                                               const std::function<std::string()>& make);

    [[nodiscard]] std::uint64_t hits() const;
    [[nodiscard]] std::uint64_t misses() const;

  private:
    struct Item {
        std::string key;
        std::shared_ptr<const std::string> value;
    };

    const std::size_t maxBytes_;
    mutable std::mutex mutex_;
    std::list<Item> items_;  // most recently used first
    std::unordered_map<std::string, std::list<Item>::iterator> index_;
    std::size_t bytes_ = 0;
    std::uint64_t hits_ = 0, misses_ = 0;
};

}  // namespace chunkvault::server
