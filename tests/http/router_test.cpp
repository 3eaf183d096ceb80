#include "common/http/router.h"

#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace chunkvault::http {
namespace {

Route route(Method method, std::string pattern) {
    return {.method = method, .pattern = std::move(pattern), .handler = [](Request&, Response&) {}};
}

Request request(Method method, std::string path) {
    Request made;
    made.method = method;
    made.path = std::move(path);
    return made;
}

Router files() {
    std::vector<Route> routes;
    routes.push_back(route(Method::get, "/"));
    routes.push_back(route(Method::get, "/files"));
    routes.push_back(route(Method::post, "/files/upload"));
    routes.push_back(route(Method::get, "/files/{id}"));
    routes.push_back(route(Method::del, "/files/{id}"));
    routes.push_back(route(Method::get, "/files/{id}/download"));
    routes.push_back(route(Method::head, "/files/{id}/download"));
    routes.push_back(route(Method::put, "/uploads/{upload}/chunks/{index}"));
    routes.push_back(route(Method::get, "/s/{token}"));
    return Router(std::move(routes));
}

TEST(Router, FindsTheRouteAndItsParameters) {
    const struct {
        Method method;
        const char* path;
        const char* pattern;
        std::vector<std::pair<std::string, std::string>> params;
    } cases[] = {
        {Method::get, "/", "/", {}},
        {Method::get, "/files", "/files", {}},
        {Method::get, "/fil%65s", "/files", {}},
        {Method::get, "/files/7", "/files/{id}", {{"id", "7"}}},
        {Method::head, "/files/7", "/files/{id}", {{"id", "7"}}},
        {Method::del, "/files/7", "/files/{id}", {{"id", "7"}}},
        {Method::get, "/files/a%20b%C3%A4", "/files/{id}", {{"id", "a b\xc3\xa4"}}},
        {Method::get, "/files/%7Bid%7D", "/files/{id}", {{"id", "{id}"}}},
        {Method::post, "/files/upload", "/files/upload", {}},
        {Method::get, "/files/upload/download", "/files/{id}/download", {{"id", "upload"}}},
        {Method::put, "/uploads/u/chunks/3", "/uploads/{upload}/chunks/{index}", {{"upload", "u"}, {"index", "3"}}},
        {Method::get, "/s/...", "/s/{token}", {{"token", "..."}}},
    };
    const Router router = files();
    for (const auto& c : cases) {
        Request asked = request(c.method, c.path);
        EXPECT_EQ(router.match(asked).pattern, c.pattern) << c.path;
        EXPECT_EQ(asked.params, c.params) << c.path;
    }
}

TEST(Router, PrefersARouteOfItsOwnForHead) {
    const Router router = files();
    Request asked = request(Method::head, "/files/7/download");
    EXPECT_EQ(router.match(asked).method, Method::head);
}

TEST(Router, SaysWhyNothingMatches) {
    const struct {
        Method method;
        const char* path;
        ErrorCode code;
    } cases[] = {
        {Method::get, "/nothing", ErrorCode::notFound},
        {Method::get, "", ErrorCode::notFound},
        {Method::get, "*", ErrorCode::notFound},
        {Method::get, "files", ErrorCode::notFound},
        {Method::get, "//", ErrorCode::notFound},
        {Method::get, "/files/", ErrorCode::notFound},
        {Method::get, "//files", ErrorCode::notFound},
        {Method::get, "/files//download", ErrorCode::notFound},
        {Method::get, "/files/7/", ErrorCode::notFound},
        {Method::options, "/nothing", ErrorCode::notFound},
        {Method::put, "/files/7", ErrorCode::methodNotAllowed},
        {Method::get, "/files/upload", ErrorCode::methodNotAllowed},
        {Method::get, "/files/..", ErrorCode::badRequest},
        {Method::get, "/files/.", ErrorCode::badRequest},
        {Method::get, "/files/%2e%2E/download", ErrorCode::badRequest},
        {Method::get, "/files/a%2Fb", ErrorCode::badRequest},
        {Method::get, "/files/%2f", ErrorCode::badRequest},
        {Method::get, "/files/%00", ErrorCode::badRequest},
        {Method::get, "/files/a%0d%0ab", ErrorCode::badRequest},
        {Method::get, "/files/%7f", ErrorCode::badRequest},
        {Method::get, "/files/%", ErrorCode::badRequest},
        {Method::get, "/files/%4", ErrorCode::badRequest},
        {Method::get, "/files/%ff", ErrorCode::badRequest},
        {Method::get, "/nothing/%zz", ErrorCode::badRequest},
    };
    const Router router = files();
    for (const auto& c : cases) {
        Request asked = request(c.method, c.path);
        try {
            static_cast<void>(router.match(asked));
            ADD_FAILURE() << c.path;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), c.code) << c.path;
        }
    }
}

TEST(Router, ListsTheMethodsOfAPath) {
    const Router router = files();
    EXPECT_EQ(router.allowed("/files/7"), "GET, HEAD, DELETE, OPTIONS");
    EXPECT_EQ(router.allowed("/files/upload"), "POST, OPTIONS");
    EXPECT_EQ(router.allowed("/nothing"), "");
}

TEST(Router, AnswersOptionsForEveryPath) {
    const Router router = files();
    Request asked = request(Method::options, "/files/7");
    EXPECT_EQ(router.match(asked).method, Method::options);
}

TEST(Router, RefusesTablesThatCannotBeMeant) {
    const auto make = [](std::vector<Route> routes) { const Router router(std::move(routes)); };
    EXPECT_THROW(make({route(Method::get, "files")}), std::logic_error);
    EXPECT_THROW(make({route(Method::get, "/a/{x}"), route(Method::get, "/a/{y}")}), std::logic_error);
    EXPECT_NO_THROW(make({route(Method::get, "/a/{x}"), route(Method::put, "/a/{y}")}));
}

TEST(Router, CopesWithThousandsOfSegments) {
    std::string path;
    for (int i = 0; i < 4000; ++i) path += "/files";
    const Router router = files();
    Request asked = request(Method::get, path);
    EXPECT_THROW(static_cast<void>(router.match(asked)), Error);
}

}  // namespace
}  // namespace chunkvault::http
