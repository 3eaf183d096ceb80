#include "server/cache/local_cache.h"

namespace chunkvault::server {

namespace {

// What an entry costs besides its bytes: list and map nodes.
constexpr std::size_t overhead = 256;

}  // namespace

std::shared_ptr<const std::string> LocalCache::getOrMake(const std::string& key,
                                                         const std::function<std::string()>& make) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(key); found != index_.end()) {
            items_.splice(items_.begin(), items_, found->second);
            ++hits_;
            return found->second->value;
        }
        ++misses_;
    }
    auto value = std::make_shared<const std::string>(make());
    const std::size_t cost = 2 * key.size() + value->size() + overhead;
    if (cost > maxBytes_ / 4) return value;
    const std::lock_guard lock(mutex_);
    if (index_.contains(key)) return value;
    items_.push_front({key, value});
    index_.emplace(key, items_.begin());
    bytes_ += cost;
    while (bytes_ > maxBytes_) {
        const Item& last = items_.back();
        bytes_ -= 2 * last.key.size() + last.value->size() + overhead;
        index_.erase(last.key);
        items_.pop_back();
    }
    return value;
}

std::uint64_t LocalCache::hits() const {
    const std::lock_guard lock(mutex_);
    return hits_;
}

std::uint64_t LocalCache::misses() const {
    const std::lock_guard lock(mutex_);
    return misses_;
}

}  // namespace chunkvault::server
