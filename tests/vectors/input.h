// Reading a case's input. What is missing or of another type makes the case malformed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::vectors {

/// The members of a case's input, or of an object in it. Each reads nullptr or nullopt where there is none of that
/// type.
class Input {
 public:
  explicit Input(const matrix::JsonObject& members) : members_(members) {}

  const matrix::Json* Any(std::string_view name) const { return members_.Find(name); }
  const std::string* String(std::string_view name) const;
  const std::int64_t* Integer(std::string_view name) const;
  const matrix::JsonObject* Object(std::string_view name) const;
  const matrix::JsonArray* Array(std::string_view name) const;
  /// The rules of `room_version`.
  const matrix::RoomRules* Rules() const;
  /// The bytes that a base64 string stands for.
  std::optional<std::string> Bytes(std::string_view name) const;

 private:
  const matrix::JsonObject& members_;
};

}  // namespace postern::vectors
