// Answers that were worked out before. Keys carry the owner's revision, so an entry is never wrong, only unused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace chunkvault::server {

// Thread-safe.
class Cache {
  public:
    virtual ~Cache() = default;

    // The value of exactly this key; made when it is not there, on the caller's thread, without any lock. Throws only
    // what make throws, and nothing is kept then.
    [[nodiscard]] virtual std::shared_ptr<const std::string> getOrMake(const std::string& key,
                                                                       const std::function<std::string()>& make) = 0;

    [[nodiscard]] virtual std::uint64_t hits() const = 0;
    [[nodiscard]] virtual std::uint64_t misses() const = 0;
};

}  // namespace chunkvault::server
