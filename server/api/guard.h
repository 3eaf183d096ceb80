// Who is asking, and may they: the one place where a request is authorised.
#pragma once

#include "server/api/routes.h"

namespace chunkvault::server {

// Sets call.access or call.upload. Throws Error unauthorized, forbidden, readOnlyToken, passwordChangeRequired or
// notFound.
void authorise(Services& services, Guard guard, Call& call);

}  // namespace chunkvault::server
