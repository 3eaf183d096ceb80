#pragma once

#include <string>
#include <string_view>

namespace chunkvault::server {

// A QR code (ISO/IEC 18004) as SVG, dark on light with its quiet zone. Throws Error internal when text is too long for
// one (some 2,300 bytes).
[[nodiscard]] std::string qrCodeSvg(std::string_view text);

}  // namespace chunkvault::server
