// A folder with all that is below it as one ZIP, made while it is sent.
#pragma once

#include <atomic>
#include <functional>

#include "server/api/call.h"

namespace chunkvault::server {

// A ZIP's directory is in memory until it is sent. This bounds what all ZIPs of a server take for that. Thread-safe.
class ZipMemory {
  public:
    explicit ZipMemory(std::int64_t maxBytes = 512 << 20) : maxBytes_(maxBytes), left_(maxBytes) {}

    // The part of one ZIP, for its life.
    class Part {
      public:
        // Throws Error invalidValue when there is never so much, unavailable when others have it.
        Part(ZipMemory& memory, std::int64_t bytes);
        ~Part() { memory_.left_ += bytes_; }
        Part(const Part&) = delete;
        Part& operator=(const Part&) = delete;

      private:
        ZipMemory& memory_;
        const std::int64_t bytes_;
    };

  private:
    const std::int64_t maxBytes_;
    std::atomic<std::int64_t> left_;
};

// 200 with a body of unknown length. folder: live, of its owner; a file, and a folder with too much in it, are Error
// invalidValue. beforeFirstByte runs
// when something to send has been read; what it throws is the answer, as is what fails before. A failure later cuts the
// connection. HEAD reads nothing and does not call it.
void sendZip(Services& services, Call& call, const catalog::Entry& folder,
             const std::function<void()>& beforeFirstByte);

}  // namespace chunkvault::server
