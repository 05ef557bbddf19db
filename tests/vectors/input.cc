#include "tests/vectors/input.h"

#include "matrix/base64.h"

namespace postern::vectors {

const std::string* Input::String(std::string_view name) const {
  const matrix::Json* value = Any(name);
  return value ? value->AsString() : nullptr;
}

const std::int64_t* Input::Integer(std::string_view name) const {
  const matrix::Json* value = Any(name);
  return value ? value->AsInteger() : nullptr;
}

const matrix::JsonObject* Input::Object(std::string_view name) const {
  const matrix::Json* value = Any(name);
  return value ? value->AsObject() : nullptr;
}

const matrix::JsonArray* Input::Array(std::string_view name) const {
  const matrix::Json* value = Any(name);
  return value ? value->AsArray() : nullptr;
}

const matrix::RoomRules* Input::Rules() const {
  const std::string* version = String("room_version");
  return version ? matrix::FindRoomRules(*version) : nullptr;
}

std::optional<std::string> Input::Bytes(std::string_view name) const {
  const std::string* text = String(name);
  return text ? matrix::DecodeBase64(*text) : std::nullopt;
}

}  // namespace postern::vectors
