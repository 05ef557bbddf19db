#include "matrix/canonical_json.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace postern::matrix {
namespace {

constexpr std::int64_t kMaxCanonicalInteger = (std::int64_t{1} << 53) - 1;

void WriteEscaped(unsigned char c, std::string& out) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\t': out += "\\t"; return;
    case '\n': out += "\\n"; return;
    case '\f': out += "\\f"; return;
    case '\r': out += "\\r"; return;
    default: break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

void WriteString(std::string_view text, std::string& out) {
  out += '"';
  std::size_t plain_from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain_from, i - plain_from);
    WriteEscaped(c, out);
    plain_from = i + 1;
  }
  out.append(text, plain_from);
  out += '"';
}

void WriteInteger(std::int64_t value, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void Write(const Json& value, std::string& out);

void Write(const JsonObject& object, std::string& out) {
  out += '{';
  bool first = true;
  for (const JsonMember& member : object) {
    if (!first) out += ',';
    first = false;
    WriteString(member.key, out);
    out += ':';
    Write(member.value, out);
  }
  out += '}';
}

void Write(const JsonArray& array, std::string& out) {
  out += '[';
  bool first = true;
  for (const Json& item : array) {
    if (!first) out += ',';
    first = false;
    Write(item, out);
  }
  out += ']';
}

// Recursion ends at kMaxJsonDepth, which ParseJson enforces.
void Write(const Json& value, std::string& out) {
  if (const auto* text = value.AsString()) {
    WriteString(*text, out);
  } else if (const auto* integer = value.AsInteger()) {
    WriteInteger(*integer, out);
  } else if (const auto* object = value.AsObject()) {
    Write(*object, out);
  } else if (const auto* array = value.AsArray()) {
    Write(*array, out);
  } else if (const auto* truth = value.AsBool()) {
    out += *truth ? "true" : "false";
  } else if (const auto* odd = value.AsOddNumber()) {
    out += odd->text;
  } else {
    out += "null";
  }
}

}  // namespace

std::string CanonicalJson(const Json& value) {
  std::string out;
  out.reserve(1536);
  Write(value, out);
  return out;
}

std::string CanonicalJson(const JsonObject& object) {
  std::string out;
  out.reserve(1536);
  Write(object, out);
  return out;
}

bool HasOnlyCanonicalNumbers(const Json& value) {
  if (const auto* integer = value.AsInteger()) return -kMaxCanonicalInteger <= *integer && *integer <= kMaxCanonicalInteger;
  if (value.AsOddNumber()) return false;
  if (const auto* array = value.AsArray()) return std::ranges::all_of(*array, HasOnlyCanonicalNumbers);
  if (const auto* object = value.AsObject()) {
    return std::ranges::all_of(*object, [](const JsonMember& m) { return HasOnlyCanonicalNumbers(m.value); });
  }
  return true;
}

}  // namespace postern::matrix
