// A file's or folder's name, checked and normalised. Free of Qt and Poco.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chunkvault {

// Any Unicode: valid UTF-8, normalised to NFC, 1 to 255 bytes after that, no '/', no NUL, no control characters (C0,
// DEL, C1), not "." or "..". Two names clash when their keys are equal.
class FileName {
  public:
    // Throws Error invalidValue that says what is wrong with the name.
    [[nodiscard]] static FileName parse(std::string_view text);
    // "a/b/c": every part a name; leading, trailing and doubled slashes are refused. At least one part, at most
    // maxPathNames.
    static constexpr std::size_t maxPathNames = 200;
    [[nodiscard]] static std::vector<FileName> parsePath(std::string_view path);
    // The part of a name that is searched for, as it is compared: NFC and case-folded. Throws invalidValue.
    [[nodiscard]] static std::string searchKey(std::string_view text);

    [[nodiscard]] const std::string& text() const { return text_; }  // as it is shown
    [[nodiscard]] const std::string& key() const { return key_; }    // Unicode case folding of text, NFC

    // "report.pdf" -> "report (2).pdf"; cut at a character so that it stays within 255 bytes.
    [[nodiscard]] FileName numbered(int number) const;

  private:
    FileName(std::string text, std::string key) : text_(std::move(text)), key_(std::move(key)) {}

    std::string text_;
    std::string key_;
};

}  // namespace chunkvault
