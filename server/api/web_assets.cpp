#include "server/api/web_assets.h"

#include <algorithm>
#include <array>
#include <span>
#include <sstream>

#include <Poco/DeflatingStream.h>

#include "common/chunk/chunk_id.h"
#include "server/api/webui_common_js.h"
#include "server/api/webui_frame_css.h"
#include "server/api/webui_icon_svg.h"
#include "server/api/webui_journal_js.h"
#include "server/api/webui_page_css.h"
#include "server/api/webui_request_css.h"
#include "server/api/webui_request_html.h"
#include "server/api/webui_request_js.h"
#include "server/api/webui_share_html.h"
#include "server/api/webui_share_js.h"
#include "server/api/webui_tus_min_js.h"

namespace chunkvault::server {

namespace {

constexpr std::string_view html = "text/html; charset=utf-8", script = "text/javascript; charset=utf-8",
                           style = "text/css; charset=utf-8", picture = "image/svg+xml";

constexpr int bestCompression = 9;

std::string compressed(std::string_view text) {
    std::ostringstream made;
    Poco::DeflatingOutputStream stream(made, Poco::DeflatingStreamBuf::STREAM_GZIP, bestCompression);
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.close();
    return made.str();
}

WebAsset asset(std::string_view name, std::string_view contentType, std::string_view text) {
    const std::string hash = Sha256Digest::of(std::span(text)).toHex().substr(0, 32);
    return {name, contentType, text, '"' + hash + '"', compressed(text), '"' + hash + "-gzip\""};
}

}  // namespace

const WebAsset* findWebAsset(std::string_view name) {
    static const std::array assets{
        asset("request.html", html, webui_request_html), asset("request.js", script, webui_request_js),
        asset("request.css", style, webui_request_css),  asset("tus.min.js", script, webui_tus_min_js),
        asset("share.html", html, webui_share_html),     asset("common.js", script, webui_common_js),
        asset("share.js", script, webui_share_js),       asset("page.css", style, webui_page_css),
        asset("frame.css", style, webui_frame_css),      asset("icon.svg", picture, webui_icon_svg),
        asset("journal.js", script, webui_journal_js),
    };
    const auto found = std::ranges::find(assets, name, &WebAsset::name);
    return found == assets.end() ? nullptr : &*found;
}

}  // namespace chunkvault::server
