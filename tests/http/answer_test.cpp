// How answers leave the connection loop, and what becomes of those that go wrong.
#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "tests/http/raw_client.h"
#include "tests/http/test_server.h"

namespace chunkvault::http::test {
namespace {

std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

Route answering(std::string path, Handler handler) {
    return {.method = Method::get, .pattern = std::move(path), .handler = std::move(handler)};
}

TEST(Answers, HaveTheHeadersOfEveryAnswer) {
    TestServer server;
    const Answer answer = ask(server.port(), get("/hello"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(answer.header("Content-Type"), "text/plain");
    EXPECT_EQ(answer.header("Content-Length"), "5");
    EXPECT_EQ(answer.header("Server"), std::nullopt);
    ASSERT_TRUE(answer.header("Date"));
    EXPECT_TRUE(answer.header("Date")->ends_with(" GMT"));
    EXPECT_EQ(answer.header("Date")->size(), 29u);
    ASSERT_TRUE(answer.header("X-Request-Id"));
    EXPECT_EQ(answer.header("X-Request-Id")->size(), 32u);
}

TEST(Answers, CarryRequestIdsThatDiffer) {
    TestServer server;
    RawClient client(server.port());
    std::vector<std::string> ids;
    for (int i = 0; i < 10; ++i) {
        client.send(get("/hello"));
        ids.push_back(client.readAnswer().header("X-Request-Id").value());
        EXPECT_EQ(server.nextTold().requestId, ids.back());
    }
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

TEST(Answers, ToHeadHaveNoBody) {
    TestServer server;
    RawClient client(server.port());
    for (const char* path : {"/hello", "/bytes/100000", "/stream/1000", "/nothing"}) {
        client.send("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_NE(client.readAnswer(true).status, 0) << path;
    }
    client.send("HEAD /bytes/100000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.readAnswer(true).header("Content-Length"), "100000");
    client.send(get("/hello"));
    EXPECT_EQ(client.readAnswer().body, "hello");
}

TEST(Answers, AreStreamedWithAndWithoutAKnownLength) {
    TestServer server;
    RawClient client(server.port());
    for (const std::size_t count : {0, 1, 1000, 1 << 20, 5'000'000}) {
        for (const char* path : {"/bytes/", "/stream/"}) {
            client.send(get(path + std::to_string(count)));
            const Answer answer = client.readAnswer();
            EXPECT_EQ(answer.status, 200);
            EXPECT_TRUE(answer.whole);
            std::string expected;
            while (expected.size() < count)
                expected += pattern(std::min<std::size_t>(256 << 10, count - expected.size()));
            EXPECT_TRUE(answer.body == expected) << path << count;
            const Told told = server.nextTold();
            EXPECT_EQ(told.bytesOut, count);
            EXPECT_FALSE(told.truncated);
            EXPECT_EQ(told.error, "");
        }
    }
}

TEST(Answers, OfUnknownLengthEndWithTheConnectionInHttp10) {
    TestServer server;
    RawClient client(server.port());
    client.send("GET /stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Answer answer = client.readAnswer();
    EXPECT_EQ(answer.header("Transfer-Encoding"), std::nullopt);
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_EQ(answer.body.size(), 100000u);
}

TEST(Answers, ToErrorsAreProblemsByTheTable) {
    const auto throwing = [](const Error& error) { return [error](Request&, Response&) { throw error; }; };
    TestServer server({},
                      {
                          answering("/gone", throwing(Error(ErrorCode::gone, "It is gone.", "secret detail"))),
                          answering("/busy", throwing(Error(ErrorCode::unavailable, "Come back.").retryAfter(7))),
                          answering("/login", throwing(Error(ErrorCode::unauthorized, "Log in."))),
                          answering("/oops", [](Request&, Response&) { throw std::runtime_error("secret detail"); }),
                          answering("/odd", [](Request&, Response&) { throw 42; }),
                          answering("/silent", [](Request&, Response&) {}),
                          answering("/headers",
                                    [](Request&, Response& response) {
                                        response.setHeader("Cache-Control", "immutable");
                                        throw Error(ErrorCode::notFound, "Not here.");
                                    }),
                      });
    RawClient client(server.port());
    const auto asked = [&](std::string_view path) {
        client.send(get(path));
        Answer answer = client.readAnswer();
        EXPECT_EQ(answer.body.find("secret"), std::string::npos);
        EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
        return answer;
    };
    const Answer gone = asked("/gone");
    EXPECT_EQ(gone.status, 410);
    const auto problem = nlohmann::json::parse(gone.body);
    EXPECT_EQ(problem["type"], "urn:chunkvault:error:gone");
    EXPECT_EQ(problem["detail"], "It is gone.");
    EXPECT_EQ(problem["request_id"], gone.header("X-Request-Id").value());
    EXPECT_EQ(server.nextTold().error, "secret detail");

    EXPECT_EQ(asked("/busy").header("Retry-After"), "7");
    EXPECT_EQ(asked("/login").header("WWW-Authenticate"), "Bearer");
    for (const char* path : {"/oops", "/odd", "/silent"}) EXPECT_EQ(asked(path).status, 500) << path;
    const Answer headers = asked("/headers");
    EXPECT_EQ(headers.status, 404);
    EXPECT_EQ(headers.header("Cache-Control"), std::nullopt);
    EXPECT_EQ(asked("/nothing").status, 404);

    client.send("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    const Answer notAllowed = client.readAnswer();
    EXPECT_EQ(notAllowed.status, 405);
    EXPECT_EQ(notAllowed.header("Allow"), "GET, HEAD, OPTIONS");
}

TEST(Answers, ThatBreakOffAreSeenToBeTruncated) {
    const auto breaking = [](std::optional<std::uint64_t> length) {
        return [length](Request&, Response& response) {
            BodyWriter& writer = response.begin(200, "text/plain", length);
            writer.write(std::string_view("some"));
            throw Error(ErrorCode::chunkCorrupt, "Part of the content is unavailable.", "all copies are bad");
        };
    };
    TestServer server({}, {
                              answering("/counted", breaking(10)),
                              answering("/chunked", breaking(std::nullopt)),
                              answering("/short",
                                        [](Request&, Response& response) {
                                            response.begin(200, "text/plain", 10).write(std::string_view("some"));
                                        }),
                              answering("/long",
                                        [](Request&, Response& response) {
                                            BodyWriter& writer = response.begin(200, "text/plain", 5);
                                            writer.write(std::string_view("some"));
                                            writer.write(std::string_view("more"));
                                        }),
                          });
    for (const char* path : {"/counted", "/chunked", "/short", "/long"}) {
        RawClient client(server.port());
        client.send(get(path));
        const Answer answer = client.readAnswer();
        EXPECT_EQ(answer.status, 200) << path;
        EXPECT_FALSE(answer.whole) << path;
        const Told told = server.nextTold();
        EXPECT_TRUE(told.truncated) << path;
        EXPECT_NE(told.error, "") << path;
    }
    EXPECT_EQ(ask(server.port(), get("/hello")).body, "hello");
}

TEST(Answers, ThatFailBeforeTheirFirstByteStillBecomeAProblem) {
    TestServer server({}, {answering("/late", [](Request&, Response& response) {
                          response.setHeader("ETag", "\"x\"");
                          response.begin(200, "text/plain", 10);
                          throw Error(ErrorCode::chunkMissing, "Part of the content is unavailable.");
                      })});
    const Answer answer = ask(server.port(), get("/late"));
    EXPECT_EQ(answer.status, 503);
    EXPECT_TRUE(answer.whole);
    EXPECT_EQ(answer.header("ETag"), std::nullopt);
    EXPECT_FALSE(server.nextTold().truncated);
}

TEST(Answers, ThatAreWholeStandWhenTheHandlerFailsAfterThem) {
    TestServer server({}, {answering("/after", [](Request&, Response& response) {
                          response.send(200, "text/plain", "done");
                          throw std::runtime_error("too late");
                      })});
    RawClient client(server.port());
    client.send(get("/after") + get("/hello"));
    EXPECT_EQ(client.readAnswer().body, "done");
    EXPECT_EQ(client.readAnswer().body, "hello");
    const Told told = server.nextTold();
    EXPECT_EQ(told.status, 200);
    EXPECT_EQ(told.error, "too late");
}

TEST(Answers, KeepTheirHeadersFreeOfControlCharacters) {
    const auto setting = [](const std::string& name, const std::string& value) {
        return [name, value](Request&, Response& response) {
            response.setHeader(name, value);
            response.send(200, "text/plain", "sent");
        };
    };
    TestServer server(
        {},
        {
            answering("/crlf", setting("X", "a\r\nSet-Cookie: b=c")),
            answering("/lf", setting("X", "a\nb")),
            answering("/nul", setting("X", std::string("a\0b", 3))),
            answering("/name", setting("X: y\r\nZ", "a")),
            answering("/type", [](Request&, Response& response) { response.send(200, "text/plain\r\nX: y", "sent"); }),
        });
    for (const char* path : {"/crlf", "/lf", "/nul", "/name", "/type"}) {
        const Answer answer = ask(server.port(), get(path));
        EXPECT_EQ(answer.status, 500) << path;
        EXPECT_EQ(answer.header("Set-Cookie"), std::nullopt) << path;
    }
}

TEST(Answers, ReplaceAHeaderThatIsSetAgainExceptCookies) {
    TestServer server({}, {answering("/headers", [](Request&, Response& response) {
                          response.setHeader("X-Thing", "one");
                          response.setHeader("x-thing", "two");
                          response.setHeader("Set-Cookie", "a=1");
                          response.setHeader("Set-Cookie", "b=2");
                          response.sendEmpty(204);
                      })});
    const Answer answer = ask(server.port(), get("/headers"));
    EXPECT_EQ(answer.status, 204);
    EXPECT_EQ(answer.header("Content-Length"), std::nullopt);
    EXPECT_EQ(answer.header("X-Thing"), "two");
    EXPECT_EQ(std::count_if(answer.headers.begin(), answer.headers.end(),
                            [](const auto& header) { return header.first == "Set-Cookie"; }),
              2);
}

TEST(Answers, WithoutABodySaySo) {
    TestServer server({}, {
                              answering("/created", [](Request&, Response& response) { response.sendEmpty(201); }),
                              answering("/same", [](Request&, Response& response) { response.sendEmpty(304); }),
                          });
    RawClient client(server.port());
    client.send(get("/created") + get("/same") + get("/hello"));
    EXPECT_EQ(client.readAnswer().header("Content-Length"), "0");
    EXPECT_EQ(client.readAnswer().status, 304);
    EXPECT_EQ(client.readAnswer().body, "hello");
}

TEST(Answers, ToClientsThatLeaveAreToldAsTruncated) {
    TestServer server;
    RawClient client(server.port());
    client.send(get("/bytes/1000000000"));
    EXPECT_NE(client.readSome(), "");
    client.reset();
    const Told told = server.nextTold();
    EXPECT_TRUE(told.truncated);
    EXPECT_LT(told.bytesOut, 1'000'000'000u);
    EXPECT_NE(told.error, "");
}

TEST(Requests, GiveTheirHandlerHeadersQueryAndCookies) {
    TestServer server({}, {answering("/show/{name}", [](Request& request, Response& response) {
                          nlohmann::json shown = {{"param", request.param("name")},
                                                  {"agent", request.header("user-agent").value_or("none")},
                                                  {"q", request.queryValue("q").value_or("none")},
                                                  {"cookie", request.cookie("session").value_or("none")},
                                                  {"other", request.cookie("ession").value_or("none")}};
                          response.send(200, "application/json", shown.dump());
                      })});
    const Answer answer = ask(server.port(),
                              "GET /show/a%20b?x=1&q=c+d HTTP/1.1\r\nHost: x\r\nUSER-AGENT: me\r\n"
                              "Cookie: a=b; xsession=no\r\nCookie: session=abc=; session=second\r\n\r\n");
    EXPECT_EQ(nlohmann::json::parse(answer.body),
              nlohmann::json({{"param", "a b"}, {"agent", "me"}, {"q", "c d"}, {"cookie", "abc="}, {"other", "none"}}));
}

}  // namespace
}  // namespace chunkvault::http::test
