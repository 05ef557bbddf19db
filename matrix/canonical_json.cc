#include "matrix/canonical_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace postern::matrix {
namespace {

constexpr std::size_t kUsualBytes = 1536;  // most events fit
constexpr std::int64_t kMaxCanonicalInteger = (std::int64_t{1} << 53) - 1;

void WriteEscaped(unsigned char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

bool IsPlain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

void WriteString(std::string_view text, std::string& out) {
  out += '"';
  const char* from = text.data();
  const char* const end = from + text.size();
  while (true) {
    const char* const odd = std::find_if_not(from, end, IsPlain);
    out.append(from, odd);
    if (odd == end) break;
    WriteEscaped(static_cast<unsigned char>(*odd), out);
    from = odd + 1;
  }
  out += '"';
}

void WriteInteger(std::int64_t value, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void WriteScalar(const Json& value, std::string& out) {
  if (const auto* text = value.AsString()) {
    WriteString(*text, out);
  } else if (const auto* integer = value.AsInteger()) {
    WriteInteger(*integer, out);
  } else if (const auto* truth = value.AsBool()) {
    out += *truth ? "true" : "false";
  } else if (const auto* odd = value.AsOddNumber()) {
    out += odd->text;
  } else {
    out += "null";
  }
}

/// An array or object half written: what is left of it.
struct Unfinished {
  const Json* item = nullptr;
  const Json* items_end = nullptr;
  const JsonMember* member = nullptr;
  const JsonMember* members_end = nullptr;
  char close = ']';
  bool begun = false;
};

/// Writes one value depth first, with a stack of its own: a peer chooses the nesting.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void Write(const Json& value) {
    Begin(value);
    while (!unfinished_.empty()) Continue();
  }

 private:
  void Begin(const Json& value) {
    if (const JsonObject* object = value.AsObject()) {
      out_ += '{';
      const JsonMember* first = object->empty() ? nullptr : &*object->begin();
      unfinished_.push_back({.member = first, .members_end = first + object->size(), .close = '}'});
    } else if (const JsonArray* array = value.AsArray()) {
      out_ += '[';
      unfinished_.push_back({.item = array->data(), .items_end = array->data() + array->size()});
    } else {
      WriteScalar(value, out_);
    }
  }

  void Continue() {
    Unfinished& top = unfinished_.back();
    if (top.item == top.items_end && top.member == top.members_end) {
      out_ += top.close;
      unfinished_.pop_back();
      return;
    }
    if (top.begun) out_ += ',';
    top.begun = true;
    if (top.close == ']') {
      Begin(*top.item++);
      return;
    }
    const JsonMember& member = *top.member++;
    WriteString(member.key, out_);
    out_ += ':';
    Begin(member.value);  // may move `top`
  }

  std::string& out_;
  absl::InlinedVector<Unfinished, 16> unfinished_;
};

std::size_t MostBytesOfText(std::string_view text) {
  constexpr std::size_t kLongestEscape = 6;
  return kLongestEscape * text.size() + 2;
}

/// What `value` takes without its items and members, and the comma after it.
std::size_t MostBytesOfOne(const Json& value) {
  constexpr std::size_t kLongestInteger = 20;
  if (const auto* text = value.AsString()) return MostBytesOfText(*text) + 1;
  if (const auto* odd = value.AsOddNumber()) return odd->text.size() + 1;
  return kLongestInteger + 1;
}

bool IsCanonicalNumber(const Json& value) {
  const auto* integer = value.AsInteger();
  if (integer) return -kMaxCanonicalInteger <= *integer && *integer <= kMaxCanonicalInteger;
  return value.AsOddNumber() == nullptr;
}

}  // namespace

std::string CanonicalJson(const Json& value) {
  std::string out;
  out.reserve(kUsualBytes);
  Writer(out).Write(value);
  return out;
}

std::string CanonicalJson(const JsonObject& object) { return CanonicalJsonWithout(object, {}); }

std::string CanonicalJsonWithout(const JsonObject& object, std::initializer_list<std::string_view> left_out) {
  std::string out;
  out.reserve(kUsualBytes);
  CanonicalObjectWriter writer(out);
  for (const JsonMember& member : object) {
    if (std::ranges::find(left_out, member.key) == left_out.end()) writer.Add(member.key, member.value);
  }
  writer.End();
  return out;
}

void CanonicalObjectWriter::BeginMember(std::string_view key) {
  if (!std::exchange(empty_, false)) out_ += ',';
  WriteString(key, out_);
  out_ += ':';
}

void CanonicalObjectWriter::Add(std::string_view key, const Json& value) {
  BeginMember(key);
  Writer(out_).Write(value);
}

void CanonicalObjectWriter::Add(std::string_view key, std::string_view text) {
  BeginMember(key);
  WriteString(text, out_);
}

bool FitsCanonically(const Json& value, std::size_t limit) {
  std::size_t most = 0;  // bytes of what has been seen, were each of its characters escaped
  absl::InlinedVector<const Json*, 32> pending{&value};
  while (!pending.empty() && most <= limit) {
    const Json& next = *pending.back();
    pending.pop_back();
    most += MostBytesOfOne(next);
    if (const auto* array = next.AsArray()) {
      for (const Json& item : *array) pending.push_back(&item);
    } else if (const auto* object = next.AsObject()) {
      for (const JsonMember& member : *object) {
        most += MostBytesOfText(member.key) + 1;
        pending.push_back(&member.value);
      }
    }
  }
  return most <= limit || CanonicalJson(value).size() <= limit;
}

bool HasOnlyCanonicalNumbers(const Json& value) {
  absl::InlinedVector<const Json*, 32> pending{&value};
  while (!pending.empty()) {
    const Json& next = *pending.back();
    pending.pop_back();
    if (!IsCanonicalNumber(next)) return false;
    if (const auto* array = next.AsArray()) {
      for (const Json& item : *array) pending.push_back(&item);
    } else if (const auto* object = next.AsObject()) {
      for (const JsonMember& member : *object) pending.push_back(&member.value);
    }
  }
  return true;
}

}  // namespace postern::matrix
