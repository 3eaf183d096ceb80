// The data folder of an embedded server: of one process at a time, and private when it was made by it.
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

    // Whether nobody else may look or write into it, as when it was made here.
    [[nodiscard]] bool isPrivate() const;

    [[nodiscard]] std::string database() const { return (path_ / "catalog.sqlite").string(); }

    // Made at the first start: whoever has it can make tokens for every account. Throws Error unavailable when it is
    // there but cannot be read or is no key: a new one would end every session and every link.
    [[nodiscard]] std::string secretKey() const;

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace chunkvault::server
