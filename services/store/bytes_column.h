// bytea columns as libpqxx 6 and 7 both give them: text in hex.
#pragma once

#include <pqxx/pqxx>
#include <string>

namespace postern::store {

/// "" for null.
inline std::string BytesOf(const pqxx::field& field) {
  if (field.is_null()) return {};
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  const std::string_view hex(field.c_str() + 2, field.size() - 2);  // after "\x"
  std::string bytes(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  return bytes;
}

}  // namespace postern::store
