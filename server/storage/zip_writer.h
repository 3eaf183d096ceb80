// Makes a ZIP archive as it goes: entries stored, sizes and numbers beyond ZIP's old limits (zip64), names in UTF-8,
// times in UTC beside DOS's local ones. It keeps what it has made until that is taken, and for each entry a little for
// the directory at the end. Belongs to one thread.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/wire/timestamp.h"

namespace chunkvault::server {

class ZipWriter {
  public:
    ZipWriter();
    ~ZipWriter();
    ZipWriter(const ZipWriter&) = delete;
    ZipWriter& operator=(const ZipWriter&) = delete;

    // path: UTF-8, parts joined by '/', without one at either end. Throws Error internal when libarchive refuses.
    void addFolder(std::string_view path, Timestamp modifiedAt);
    // Then exactly size bytes must follow, in any pieces.
    void beginFile(std::string_view path, std::int64_t size, Timestamp modifiedAt);
    void write(std::span<const char> data);
    // The directory at the end; after it nothing may be added. madeMore runs whenever there is more of it, so that it
    // need not be in memory twice; what it throws is thrown.
    void finish(const std::function<void()>& madeMore = [] {});

    // What was made and not taken yet.
    [[nodiscard]] std::string& made() { return made_; }

  private:
    struct Archive;
    void begin(std::string_view path, bool folder, std::int64_t size, Timestamp modifiedAt);

    std::string made_;
    std::function<void()> madeMore_ = [] {};
    std::exception_ptr failure_;
    std::unique_ptr<Archive> archive_;
    std::int64_t left_ = 0;  // bytes that the entry still needs
};

}  // namespace chunkvault::server
