// JSON as Matrix needs it: one strict reader, one tree. Nothing is lost and nothing is guessed: numbers that are no
// plain 64-bit integer keep their text, since room versions 1-5 hash and sign them as written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::matrix {

class Json;
struct JsonMember;
using JsonArray = std::vector<Json>;

/// The members of a JSON object: unique keys, kept sorted by code point (which is the order of their UTF-8 bytes).
class JsonObject {
 public:
  JsonObject();
  JsonObject(const JsonObject&);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(const JsonObject&);
  JsonObject& operator=(JsonObject&&) noexcept;
  ~JsonObject();

  /// nullptr if there is no such member.
  const Json* Find(std::string_view key) const;
  Json* Find(std::string_view key);
  bool Contains(std::string_view key) const { return Find(key) != nullptr; }
  /// Adds the member, or replaces the one of that key.
  void Set(std::string_view key, Json value);
  /// Returns whether there was one.
  bool Erase(std::string_view key);

  std::size_t size() const;
  bool empty() const;
  std::vector<JsonMember>::const_iterator begin() const;
  std::vector<JsonMember>::const_iterator end() const;

  bool operator==(const JsonObject& other) const;

 private:
  friend class JsonBuilder;
  friend class Json;
  std::vector<JsonMember> members_;
};

/// A number that is no plain 64-bit integer: a fraction, an exponent, `-0`, or out of range. Text as it was written.
struct OddNumber {
  std::string text;
  bool operator==(const OddNumber&) const = default;
};

/// One JSON value. Reading the wrong kind yields nullptr, never an exception. Copying, comparing and destroying are
/// iterative, however deep the tree.
class Json {
 public:
  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(OddNumber value) : value_(std::move(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(JsonArray value) : value_(std::move(value)) {}
  Json(JsonObject value) : value_(std::move(value)) {}
  Json(const Json& other);
  Json(Json&&) noexcept = default;
  Json& operator=(const Json& other);
  Json& operator=(Json&&) noexcept = default;
  ~Json();

  bool IsNull() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* AsBool() const { return std::get_if<bool>(&value_); }
  const std::int64_t* AsInteger() const { return std::get_if<std::int64_t>(&value_); }
  const OddNumber* AsOddNumber() const { return std::get_if<OddNumber>(&value_); }
  const std::string* AsString() const { return std::get_if<std::string>(&value_); }
  const JsonArray* AsArray() const { return std::get_if<JsonArray>(&value_); }
  JsonArray* AsArray() { return std::get_if<JsonArray>(&value_); }
  const JsonObject* AsObject() const { return std::get_if<JsonObject>(&value_); }
  JsonObject* AsObject() { return std::get_if<JsonObject>(&value_); }

  bool operator==(const Json& other) const;

 private:
  bool IsContainer() const { return AsArray() != nullptr || AsObject() != nullptr; }
  void MoveContainersTo(std::vector<Json>& pending);
  template <typename Pending>
  void CopyOneLevel(const Json& from, Pending& pending);
  template <typename Pending>
  bool EqualsOneLevel(const Json& other, Pending& pending) const;

  std::variant<std::monostate, bool, std::int64_t, OddNumber, std::string, JsonArray, JsonObject> value_;
};

/// A member of an object.
struct JsonMember {
  std::string key;
  Json value;
  bool operator==(const JsonMember&) const = default;
};

inline JsonObject::JsonObject() = default;
inline JsonObject::JsonObject(const JsonObject&) = default;
inline JsonObject::JsonObject(JsonObject&&) noexcept = default;
inline JsonObject& JsonObject::operator=(const JsonObject&) = default;
inline JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
inline JsonObject::~JsonObject() = default;
inline std::size_t JsonObject::size() const { return members_.size(); }
inline bool JsonObject::empty() const { return members_.empty(); }
inline std::vector<JsonMember>::const_iterator JsonObject::begin() const { return members_.begin(); }
inline std::vector<JsonMember>::const_iterator JsonObject::end() const { return members_.end(); }
inline bool JsonObject::operator==(const JsonObject& other) const { return members_ == other.members_; }

/// Deepest nesting that is read. Peers may nest deeply; beyond this it is an attack. Boost's basic_parser takes stack
/// frames for each level: about 2 MB at this depth with sanitizers and 0.4 MB without, of a thread's 8 MB.
inline constexpr std::size_t kMaxJsonDepth = 2048;

/// Reads one RFC 8259 document.
///
/// Refuses: kNotJson for what is no JSON or no UTF-8; kBadJson for duplicate keys (at any depth, also when spelled with
/// escapes), lone surrogates, nesting beyond kMaxJsonDepth, and exponents of more than nine digits.
absl::StatusOr<Json> ParseJson(std::string_view text);

}  // namespace postern::matrix
