// The cache of the embedded server: in this process, least recently used first out.
#pragma once

#include <list>
#include <mutex>
#include <unordered_map>

#include "server/cache/cache.h"

namespace chunkvault::server {

class LocalCache final : public Cache {
  public:
    explicit LocalCache(std::size_t maxBytes) : maxBytes_(maxBytes) {}

    [[nodiscard]] std::shared_ptr<const std::string> getOrMake(const std::string& key,
                                                               const std::function<std::string()>& make) override;

    [[nodiscard]] std::uint64_t hits() const override;
    [[nodiscard]] std::uint64_t misses() const override;

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
