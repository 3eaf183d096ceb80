// The data folder of an embedded server: private to its owner, and to one process at a time.
#pragma once

#include <filesystem>
#include <string>

namespace chunkvault::server {

class DataFolder {
  public:
    // Makes the folder when it is not there. Throws Error unavailable when it cannot be used, conflict when another
    // process uses it.
    explicit DataFolder(const std::string& path);
    ~DataFolder();
    DataFolder(const DataFolder&) = delete;
    DataFolder& operator=(const DataFolder&) = delete;

    [[nodiscard]] std::string database() const { return (path_ / "catalog.sqlite").string(); }

    // Made at the first start: whoever has it can make tokens for every account. Throws Error unavailable when it is
    // there but cannot be read or is no key: a new one would end every session and every link.
    [[nodiscard]] std::string secretKey() const;

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace chunkvault::server
