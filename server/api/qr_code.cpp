#include "server/api/qr_code.h"

#include <qrencode.h>

#include <memory>

#include "common/error/error.h"

namespace chunkvault::server {

std::string qrCodeSvg(std::string_view text) {
    constexpr int quietZone = 4, anyVersion = 0;  // in modules; the smallest version that holds the text
    const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
        QRcode_encodeString8bit(std::string(text).c_str(), anyVersion, QR_ECLEVEL_M), &QRcode_free);
    if (!code) throw Error(ErrorCode::internal, "An internal error occurred.", "no QR code of the link");
    const std::string side = std::to_string(code->width + 2 * quietZone);
    std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + side + ' ' + side +
                      "\" shape-rendering=\"crispEdges\"><rect width=\"" + side + "\" height=\"" + side +
                      "\" fill=\"#fff\"/><path d=\"";
    for (int y = 0; y < code->width; ++y)
        for (int x = 0; x < code->width; ++x)
            if ((code->data[y * code->width + x] & 1) != 0)
                svg += 'M' + std::to_string(x + quietZone) + ' ' + std::to_string(y + quietZone) + "h1v1h-1z";
    return svg + "\"/></svg>";
}

}  // namespace chunkvault::server
