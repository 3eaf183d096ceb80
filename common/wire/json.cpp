#include "common/wire/json.h"

#include <algorithm>

#include "common/error/error.h"

namespace chunkvault::wire {

namespace {

std::string join(std::initializer_list<std::string_view> values) {
    std::string joined;
    for (const std::string_view value : values) joined += (joined.empty() ? "" : ", ") + std::string(value);
    return joined;
}

}  // namespace

Json parseJson(std::string_view text, int maxDepth) {
    if (text.starts_with("\xef\xbb\xbf"))
        throw Error(ErrorCode::badRequest,
                    "The body is not valid JSON: it begins with a byte order mark. Send UTF-8 without one.");
    std::vector<std::set<std::string>> open;  // the names so far in each object that has not ended
    std::size_t values = 0;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
        using Event = Json::parse_event_t;
        const bool begins = event == Event::value || event == Event::object_start || event == Event::array_start;
        if (begins && ++values > maxJsonValues)
            throw Error(ErrorCode::badRequest,
                        "The JSON has more than " + std::to_string(maxJsonValues) + " values. Send less at once.");
        if ((event == Event::object_start || event == Event::array_start) && depth >= maxDepth)
            throw Error(ErrorCode::badRequest, "The JSON is nested deeper than " + std::to_string(maxDepth) +
                                                   " levels. Send a flatter document.");
        if (event == Event::object_start) open.emplace_back();
        if (event == Event::object_end) open.pop_back();
        if (event == Event::key) {
            const auto& name = value.get_ref<const std::string&>();
            if (!open.back().insert(name).second)
                throw Error(ErrorCode::badRequest,
                            "\"" + name.substr(0, 64) + "\" is twice in the same JSON object. Send it once.");
            if (open.back().size() > maxFields)
                throw Error(ErrorCode::badRequest,
                            "An object of the JSON has more than " + std::to_string(maxFields) + " fields.");
        }
        return true;
    };
    try {
        return Json::parse(text, check);
        // The parser's own texts quote what they read, which may be a password: they must not come into a log.
    } catch (const Json::parse_error& error) {
        throw Error(ErrorCode::badRequest,
                    "The body is not valid JSON: there is a mistake at byte " + std::to_string(error.byte) + ".");
    } catch (const Json::exception&) {
        throw Error(ErrorCode::badRequest, "The body is not valid JSON: a number in it is out of range.");
    }
}

ObjectReader::ObjectReader(const Json& document, std::string where) : document_(document), where_(std::move(where)) {
    if (!document_.is_object())
        throw Error(ErrorCode::invalidValue, (where_.empty() ? "The body" : where_) + " must be a JSON object.");
}

const Json* ObjectReader::lookUp(std::string_view field) {
    asked_.emplace(field);
    const auto found = document_.find(field);
    return found == document_.end() || found->is_null() ? nullptr : &*found;
}

const Json& ObjectReader::required(std::string_view field) {
    const Json* value = lookUp(field);
    if (value == nullptr) refuse(field, "is required");
    return *value;
}

void ObjectReader::refuse(std::string_view field, const std::string& what) const {
    throw Error(ErrorCode::invalidValue,
                '"' + (where_.empty() ? std::string() : where_ + '.') + std::string(field) + "\" " + what + '.');
}

bool ObjectReader::has(std::string_view field) { return lookUp(field) != nullptr; }

bool ObjectReader::mentions(std::string_view field) {
    asked_.emplace(field);
    return document_.contains(field);
}

std::string ObjectReader::string(std::string_view field, std::size_t maxBytes) {
    const Json& value = required(field);
    if (!value.is_string()) refuse(field, "must be a string");
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > maxBytes) refuse(field, "must have at most " + std::to_string(maxBytes) + " bytes");
    return text;
}

std::optional<std::string> ObjectReader::maybeString(std::string_view field, std::size_t maxBytes) {
    if (!has(field)) return std::nullopt;
    return string(field, maxBytes);
}

std::int64_t ObjectReader::integer(std::string_view field, std::int64_t min, std::int64_t max) {
    const Json& value = required(field);
    const bool fits =
        value.is_number_integer() &&
        (!value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
    if (!fits || value.get<std::int64_t>() < min || value.get<std::int64_t>() > max)
        refuse(field, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return value.get<std::int64_t>();
}

std::optional<std::int64_t> ObjectReader::maybeInteger(std::string_view field, std::int64_t min, std::int64_t max) {
    if (!has(field)) return std::nullopt;
    return integer(field, min, max);
}

bool ObjectReader::boolean(std::string_view field, bool absent) {
    const Json* value = lookUp(field);
    if (value == nullptr) return absent;
    if (!value->is_boolean()) refuse(field, "must be true or false");
    return value->get<bool>();
}

std::optional<Timestamp> ObjectReader::maybeTime(std::string_view field) {
    const auto text = maybeString(field);
    if (!text) return std::nullopt;
    const auto time = parseRfc3339(*text);
    if (!time) refuse(field, "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)");
    return time;
}

Sha256Digest ObjectReader::digest(std::string_view field) {
    const auto digest = maybeDigest(field);
    if (!digest) refuse(field, "is required");
    return *digest;
}

std::optional<Sha256Digest> ObjectReader::maybeDigest(std::string_view field) {
    const auto text = maybeString(field);
    if (!text) return std::nullopt;
    const auto digest = Sha256Digest::fromHex(*text);
    if (!digest) refuse(field, "must be a SHA-256 in 64 hexadecimal digits");
    return digest;
}

const std::vector<Json>& ObjectReader::array(std::string_view field, std::size_t minCount, std::size_t maxCount) {
    const Json& value = required(field);
    if (!value.is_array() || value.size() < minCount || value.size() > maxCount)
        refuse(field,
               "must be an array of " + std::to_string(minCount) + " to " + std::to_string(maxCount) + " elements");
    return value.get_ref<const Json::array_t&>();
}

std::string ObjectReader::oneOf(std::string_view field, std::initializer_list<std::string_view> values,
                                std::string_view absent) {
    const auto text = maybeString(field);
    if (!text) return std::string(absent);
    if (std::find(values.begin(), values.end(), *text) == values.end())
        refuse(field, "must be one of: " + join(values));
    return *text;
}

void ObjectReader::finish() const {
    for (const auto& [name, value] : document_.items())
        if (!asked_.contains(name)) refuse(name.substr(0, 64), "is not a field of this call; check its spelling");
}

}  // namespace chunkvault::wire
