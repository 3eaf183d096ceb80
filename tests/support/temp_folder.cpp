#include "tests/support/temp_folder.h"

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>

namespace chunkvault::test {

TempFolder::TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "chunkvault-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw std::filesystem::filesystem_error("mkdtemp", name, std::error_code(errno, std::system_category()));
    path_ = name;
}

TempFolder::~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) std::cerr << "cannot remove " << path_ << ": " << error.message() << '\n';
}

}  // namespace chunkvault::test
