// A name for this run of a program, unlike that of any other: "host-3f9a12c07b44".
#pragma once

#include <string>

namespace chunkvault::process {

[[nodiscard]] std::string newInstanceName();

}  // namespace chunkvault::process
