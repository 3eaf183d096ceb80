// A multipart/form-data body (RFC 7578, RFC 2046 section 5.1), part by part as it arrives.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/http/message.h"

namespace chunkvault::http {

// Belongs to one request's thread. Anything malformed, and a body that ends before its last boundary, throws Error
// badRequest.
class MultipartReader {
  public:
    static constexpr std::size_t maxPartHeaderBytes = 16 << 10;
    static constexpr int maxParts = 64;

    // body must outlive the reader. Throws unsupportedMediaType unless contentType is multipart/form-data with a
    // boundary.
    MultipartReader(BodyReader& body, std::string_view contentType);

    // Goes to the next part, past what is left of this one; false after the last.
    [[nodiscard]] bool next();
    [[nodiscard]] const std::string& name() const { return name_; }
    // As it was sent, a path in it kept, whatever its bytes; filename* (RFC 8187) wins.
    [[nodiscard]] const std::optional<std::string>& filename() const { return filename_; }
    // As it was sent; empty when it was not.
    [[nodiscard]] std::string_view contentType() const { return contentType_; }

    // Waits until some of the part's bytes are there; false at its end.
    [[nodiscard]] bool awaitData();
    // The part's bytes; 0 at its end.
    std::size_t read(std::span<char> buffer);
    // Until buffer is full or the part ends.
    std::size_t readFull(std::span<char> buffer);

  private:
    static constexpr std::size_t windowBytes = 128 << 10;

    [[nodiscard]] std::string_view window() const { return {data_.get() + begin_, end_ - begin_}; }
    void consume(std::size_t bytes);
    void fill();
    void require(std::size_t bytes);
    void readPartHeader();
    void parseDisposition(std::string_view value);

    BodyReader& body_;
    std::string delimiter_;  // CR LF, two hyphens, boundary
    std::unique_ptr<char[]> data_;
    std::size_t begin_ = 0, end_ = 0;
    std::size_t clear_ = 0;  // bytes from begin_ on that are known to be the part's
    int parts_ = 0;
    bool inPart_ = false;
    bool ended_ = false;
    std::string name_;
    std::optional<std::string> filename_;
    std::string contentType_;
};

}  // namespace chunkvault::http
