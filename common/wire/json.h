// JSON as it comes from outside: bounded, strict, with messages that say which field to change. Free of Qt and Poco.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/chunk/chunk_id.h"
#include "common/wire/timestamp.h"

namespace chunkvault::wire {

using Json = nlohmann::ordered_json;

constexpr std::size_t maxFields = 1000;        // of one object: to add one looks at all before it
constexpr std::size_t maxJsonValues = 20'000;  // of one document: each takes some 100 bytes, however short it is

// UTF-8 without a byte order mark, at most maxDepth levels, maxJsonValues values, and maxFields in an object, each name
// once. Throws Error badRequest with the position of the first mistake, or with the name that is there twice.
[[nodiscard]] Json parseJson(std::string_view text, int maxDepth = 16);

// One object of a request. Each getter throws Error invalidValue naming the field; finish() refuses fields that nobody
// asked for, so that a misspelt option is never silently ignored. null is the same as absent.
class ObjectReader {
  public:
    // document must outlive the reader. where names it in messages ("files[3]"), "" at the top.
    explicit ObjectReader(const Json& document, std::string where = {});

    [[nodiscard]] bool has(std::string_view field);
    // Present, null included: for fields where null means "take it away".
    [[nodiscard]] bool mentions(std::string_view field);
    [[nodiscard]] std::string string(std::string_view field, std::size_t maxBytes = 4096);
    [[nodiscard]] std::optional<std::string> maybeString(std::string_view field, std::size_t maxBytes = 4096);
    [[nodiscard]] std::int64_t integer(std::string_view field, std::int64_t min, std::int64_t max);
    [[nodiscard]] std::optional<std::int64_t> maybeInteger(std::string_view field, std::int64_t min, std::int64_t max);
    [[nodiscard]] bool boolean(std::string_view field, bool absent);
    [[nodiscard]] std::optional<Timestamp> maybeTime(std::string_view field);
    [[nodiscard]] Sha256Digest digest(std::string_view field);
    [[nodiscard]] std::optional<Sha256Digest> maybeDigest(std::string_view field);
    // The elements of an array of minCount to maxCount.
    [[nodiscard]] const std::vector<Json>& array(std::string_view field, std::size_t minCount, std::size_t maxCount);
    [[nodiscard]] std::string oneOf(std::string_view field, std::initializer_list<std::string_view> values,
                                    std::string_view absent);
    void finish() const;

  private:
    [[nodiscard]] const Json* lookUp(std::string_view field);
    [[nodiscard]] const Json& required(std::string_view field);
    [[noreturn]] void refuse(std::string_view field, const std::string& what) const;

    const Json& document_;
    std::string where_;
    std::set<std::string, std::less<>> asked_;
};

}  // namespace chunkvault::wire
