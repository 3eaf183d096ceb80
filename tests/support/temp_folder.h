// A folder of a test's own.
#pragma once

#include <filesystem>

namespace chunkvault::test {

// Makes an empty folder below $TMPDIR (or /tmp); removes it with all that is in it at the end.
// Throws std::filesystem::filesystem_error when it cannot be made.
class TempFolder {
  public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace chunkvault::test
