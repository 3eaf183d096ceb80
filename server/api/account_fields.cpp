#include "server/api/account_fields.h"

#include "common/error/error.h"
#include "server/auth/password.h"

namespace chunkvault::server {

namespace {

bool isAlphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::string usernameField(wire::ObjectReader& body) {
    std::string name = body.string("username", 64);
    bool good = !name.empty() && isAlphanumeric(name.front());
    for (const char c : name) good = good && (isAlphanumeric(c) || c == '.' || c == '-' || c == '_' || c == '@');
    if (!good)
        throw Error(ErrorCode::invalidValue,
                    "\"username\" must begin with a letter or digit and have only letters, digits and . - _ @ in it (1 "
                    "to 64).");
    return name;
}

std::string emailField(wire::ObjectReader& body, bool required) {
    if (!required && !body.has("email")) return {};
    std::string email = body.string("email", 254);
    const auto at = email.find('@');
    bool good =
        at != std::string::npos && at > 0 && at + 1 < email.size() && email.find('@', at + 1) == std::string::npos;
    for (const char c : email) good = good && static_cast<unsigned char>(c) > ' ' && c != 0x7f;
    if (!good) throw Error(ErrorCode::invalidValue, "\"email\" must be an address such as name@example.org.");
    return email;
}

std::string newPasswordField(wire::ObjectReader& body, std::string_view field) {
    std::string password = body.string(field, 1024);
    Passwords::check(password);
    return password;
}

void refuseSamePassword(std::string_view current, std::string_view next) {
    if (current == next)
        throw Error(ErrorCode::invalidValue, "The new password is the same as the current one. Choose another.");
}

}  // namespace chunkvault::server
