#include "server/cache/redis_cache.h"

#include "common/error/error.h"

namespace chunkvault::server {

using worker::RedisReply;

RedisCache::RedisCache(RedisCacheSettings settings)
    : settings_(std::move(settings)), pool_(settings_.address, settings_.pool) {}

std::shared_ptr<const std::string> RedisCache::getOrMake(const std::string& key,
                                                         const std::function<std::string()>& make) {
    bool keep = key.size() <= settings_.maxKeyBytes;
    const std::string name = settings_.prefix + key;
    if (keep) {
        try {
            RedisReply found = pool_.call({"GET", name});
            if (found.kind == RedisReply::Kind::text) {
                ++hits_;
                return std::make_shared<const std::string>(std::move(found.text));
            }
        } catch (const Error&) {
            ++failures_;
            keep = false;
        }
    }
    ++misses_;
    auto value = std::make_shared<const std::string>(make());
    if (keep && value->size() <= settings_.maxValueBytes) {
        try {
            pool_.call({"SET", name, *value, "EX", std::to_string(settings_.timeToLive.count())});
        } catch (const Error&) {
            ++failures_;
        }
    }
    return value;
}

}  // namespace chunkvault::server
