// Pages for browsers.
#pragma once

#include <string_view>

#include "server/api/call.h"

namespace chunkvault::server {

// A page of webui/ with the headers that keep everything else out of it. Its text is the same for everybody: what it
// shows, it asks for. status: 200, or why there is nothing to show.
void sendPage(Call& call, int status, std::string_view name);

}  // namespace chunkvault::server
