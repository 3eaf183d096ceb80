#include "common/process/instance_name.h"

#include <unistd.h>

#include <array>

#include "common/wire/secrets.h"

namespace chunkvault::process {

std::string newInstanceName() {
    constexpr std::size_t randomPartBytes = 6;
    static constexpr char digits[] = "0123456789abcdef";
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
    std::string name = std::string(host.data()) + '-';
    for (const char byte : randomBytes(randomPartBytes)) {
        name += digits[static_cast<unsigned char>(byte) >> 4];
        name += digits[static_cast<unsigned char>(byte) & 15];
    }
    return name;
}

}  // namespace chunkvault::process
