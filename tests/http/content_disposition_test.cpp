#include "common/http/content_disposition.h"

#include <gtest/gtest.h>

#include "common/http/ascii.h"

namespace chunkvault::http {
namespace {

TEST(ContentDisposition, CarriesTheNameForOldAndNewClients) {
    const struct {
        const char* filename;
        const char* expected;
    } cases[] = {
        {"report.pdf", "filename=\"report.pdf\""},
        {"a b; c=d.txt", "filename=\"a b; c=d.txt\""},
        {"Größe €.txt", "filename=\"Gr__e _.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E2%82%AC.txt"},
        {"😀", "filename=\"_\"; filename*=UTF-8''%F0%9F%98%80"},
        {"\"; x=\"", "filename=\"_; x=_\"; filename*=UTF-8''%22%3B%20x%3D%22"},
        {"a\\", "filename=\"a_\"; filename*=UTF-8''a%5C"},
        {"50%41.txt", "filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"},
        {"é'*()", "filename=\"_'*()\"; filename*=UTF-8''%C3%A9%27%2A%28%29"},
        {"../../etc/passwd", "filename=\".._.._etc_passwd\""},
        {"a\r\nSet-Cookie: x", "filename=\"a__Set-Cookie: x\""},
        {"a\xC2\x85z\x7F", "filename=\"a_z_\""},
        {"\xFF\xC2", "filename=\"__\"; filename*=UTF-8''%EF%BF%BD%EF%BF%BD"},
        {"", "filename=\"download\""},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(contentDisposition(Disposition::attachment, c.filename), std::string("attachment; ") + c.expected);
        EXPECT_EQ(contentDisposition(Disposition::inlined, c.filename), std::string("inline; ") + c.expected);
    }
}

TEST(ContentDisposition, IsPrintableAsciiWhateverTheName) {
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second) {
            const std::string name = {static_cast<char>(first), static_cast<char>(second), 'x'};
            for (const char c : contentDisposition(Disposition::attachment, name))
                ASSERT_TRUE(c >= 0x20 && c < 0x7f) << first << ' ' << second;
        }
}

}  // namespace
}  // namespace chunkvault::http
