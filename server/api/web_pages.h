// Pages for browsers.
#pragma once

#include <string_view>

#include "server/api/call.h"

namespace chunkvault::server {

// A page of webui/ with the headers that keep everything else out of it. Its text is the same for everybody: what it
// shows, it asks for. status: 200, or why there is nothing to show.
void sendPage(Call& call, int status, std::string_view name);

// What a sandboxed frame of a page shows: a picture, or a player for sound or film. The bytes come from "preview"
// beside the request's path. A browser's own document for such bytes would load them in a way that needs CORS, and
// style itself inline. kind: image, audio or video; key: of previews, checked; empty for none.
void sendFrame(Call& call, std::string_view kind, std::string_view key);

}  // namespace chunkvault::server
