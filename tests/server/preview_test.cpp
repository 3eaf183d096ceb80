#include "server/api/preview.h"

#include <gtest/gtest.h>

#include "server/api/qr_code.h"
#include "server/api/web_assets.h"

namespace chunkvault::server {
namespace {

TEST(Preview, ShowsOnlyWhatCannotRun) {
    struct Case {
        const char* name;
        const char* kind;
        const char* type;
    };
    constexpr Case cases[] = {
        {"a.png", "image", "image/png"},
        {"A.JPG", "image", "image/jpeg"},
        {"a.ico", "image", "image/vnd.microsoft.icon"},
        {"a.mp3", "audio", "audio/mpeg"},
        {"a.webm", "video", "video/webm"},
        {"a.txt", "text", "text/plain; charset=utf-8"},
        {"a.js", "text", "text/plain; charset=utf-8"},
        {"a.xml", "text", "text/plain; charset=utf-8"},
        {"a.pdf", "pdf", "application/pdf"},
        {"a.svg", nullptr, nullptr},
        {"a.html", nullptr, nullptr},
        {"a.htm", nullptr, nullptr},
        {"a.png.svg", nullptr, nullptr},
        {"a.xhtml", nullptr, nullptr},
        {"a.zip", nullptr, nullptr},
        {"a.docx", nullptr, nullptr},
        {"png", nullptr, nullptr},
        {"", nullptr, nullptr},
    };
    for (const Case& one : cases) {
        SCOPED_TRACE(one.name);
        const auto preview = previewOf(one.name, 100);
        ASSERT_EQ(preview.has_value(), one.kind != nullptr);
        if (!preview) continue;
        EXPECT_EQ(preview->kind, one.kind);
        EXPECT_EQ(preview->contentType, one.type);
    }
}

TEST(Preview, LeavesLongTextsAndEmptyFilesAlone) {
    EXPECT_TRUE(previewOf("a.txt", 1 << 20));
    EXPECT_FALSE(previewOf("a.txt", (1 << 20) + 1));
    EXPECT_TRUE(previewOf("a.mp4", std::int64_t{1} << 40));
    EXPECT_FALSE(previewOf("a.png", 0));
}

TEST(Preview, IsSandboxedButForPdf) {
    for (const char* type : {"image/png", "text/plain; charset=utf-8", "video/mp4"})
        EXPECT_TRUE(previewPolicy(type).ends_with("; sandbox")) << type;
    for (const char* type : {"image/png", "application/pdf"}) {
        EXPECT_TRUE(previewPolicy(type).starts_with("default-src 'none'; ")) << type;
        EXPECT_EQ(previewPolicy(type).find("unsafe"), std::string_view::npos) << type;
    }
}

TEST(QrCode, IsAPictureWithoutAnythingElse) {
    const std::string svg = qrCodeSvg("https://vault.example.org/s/abcdefghijklmnopqrstuv");
    EXPECT_TRUE(svg.starts_with("<svg xmlns="));
    EXPECT_TRUE(svg.ends_with("</svg>"));
    EXPECT_EQ(svg.find("vault"), std::string::npos);
    EXPECT_NE(svg, qrCodeSvg("https://vault.example.org/s/vutsrqponmlkjihgfedcba"));
}

TEST(WebAssets, AreKnownByTheirNamesOnly) {
    for (const char* name : {"share.html", "share.js", "common.js", "page.css", "icon.svg"}) {
        ASSERT_NE(findWebAsset(name), nullptr) << name;
        EXPECT_FALSE(findWebAsset(name)->text.empty()) << name;
    }
    for (const char* name : {"", "share", "..", "../share.html", "Share.js", "web_assets.cpp"})
        EXPECT_EQ(findWebAsset(name), nullptr) << name;
}

}  // namespace
}  // namespace chunkvault::server
