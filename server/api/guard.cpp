#include "server/api/guard.h"

#include "common/error/error.h"
#include "common/http/ascii.h"

namespace chunkvault::server {

namespace {

// The token of "Authorization: Bearer <token>" (RFC 6750 section 2.1).
std::string_view bearerToken(const http::Request& request) {
    const std::string_view header = request.header("Authorization").value_or("");
    constexpr std::size_t schemeLength = 7;
    const bool bearer =
        header.size() > schemeLength && http::equalsIgnoringCase(header.substr(0, schemeLength), "Bearer ");
    if (!bearer)
        throw Error(ErrorCode::unauthorized, "Sign in first: send the access token as Authorization: Bearer <token>.");
    return header.substr(schemeLength);
}

catalog::Access resolve(Services& services, std::string_view token) {
    std::optional<catalog::Access> access;
    if (looksLikeApiToken(token)) {
        access = services.catalog.accounts.resolveApiToken(tokenHash(token));
    } else if (const auto session = services.accessTokens.verify(token)) {
        access = services.catalog.accounts.resolveSession(*session);
    }
    if (!access) throw Error(ErrorCode::unauthorized, "The token is unknown, expired or revoked. Sign in again.");
    return std::move(*access);
}

bool changesNothing(http::Method method) { return method == http::Method::get || method == http::Method::head; }

void requireUser(Services& services, Call& call, std::string_view token, bool evenWithOldPassword) {
    call.access = resolve(services, token);
    if (call.user().mustChangePassword && !evenWithOldPassword)
        throw Error(ErrorCode::passwordChangeRequired, "Change the password first: POST /auth/password.");
    if (call.access->readOnly && !changesNothing(call.request.method))
        throw Error(ErrorCode::readOnlyToken, "This API token can only read. Use one that may write.");
}

void requireSession(const Call& call) {
    if (!call.access->session)
        throw Error(ErrorCode::forbidden, "An API token cannot do this. Sign in with user name and password.");
}

void requireAdmin(const Call& call) {
    if (call.user().role != catalog::Role::admin) throw Error(ErrorCode::forbidden, "Only administrators may do this.");
}

// A token says nothing about uploads that it is not of: not even whether they are there.
catalog::Upload uploadOfToken(Services& services, const Call& call, std::string_view token) {
    try {
        catalog::Upload upload = services.catalog.uploads.get(idParam<catalog::UploadId>(call, "id"));
        if (upload.ownerState == catalog::UserState::active &&
            equalInConstantTime(token, uploadToken(services.keys, upload.id, upload.ownerPasswordChangedAt)))
            return upload;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::notFound) throw;
    }
    throw Error(ErrorCode::unauthorized,
                "The upload's token is not valid any more. Begin again with POST /uploads and the same key.");
}

void requireUpload(Services& services, Call& call, std::string_view token) {
    if (looksLikeUploadToken(token)) {
        call.upload = uploadOfToken(services, call, token);
        return;
    }
    requireUser(services, call, token, false);
    catalog::Upload upload = services.catalog.uploads.get(idParam<catalog::UploadId>(call, "id"));
    if (upload.owner != call.owner()) throw Error(ErrorCode::notFound, "There is no upload with this id.");
    call.upload = std::move(upload);
}

}  // namespace

void authorise(Services& services, Guard guard, Call& call) {
    if (guard == Guard::open) return;
    const std::string_view token = bearerToken(call.request);
    switch (guard) {
        case Guard::open: break;
        case Guard::user: requireUser(services, call, token, false); break;
        case Guard::session:
            requireUser(services, call, token, false);
            requireSession(call);
            break;
        case Guard::passwordChange:
            requireUser(services, call, token, true);
            requireSession(call);
            break;
        case Guard::admin:
            requireUser(services, call, token, false);
            requireAdmin(call);
            break;
        case Guard::adminSession:
            requireUser(services, call, token, false);
            requireAdmin(call);
            requireSession(call);
            break;
        case Guard::upload: requireUpload(services, call, token); break;
    }
}

}  // namespace chunkvault::server
