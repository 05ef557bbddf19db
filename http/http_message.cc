#include "http/http_message.h"

#include <algorithm>
#include <cctype>

namespace postern::http {
namespace {

char Lower(char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

int HexValue(char c) {
  if ('0' <= c && c <= '9') return c - '0';
  const char lower = Lower(c);
  return 'a' <= lower && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool IsUnreserved(char c) {
  return ('0' <= c && c <= '9') || ('a' <= Lower(c) && Lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

std::optional<std::string_view> FindHeader(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> FindHeaders(const Headers& headers, std::string_view name) {
  std::vector<std::string_view> found;
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) found.emplace_back(value);
  }
  return found;
}

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

namespace {

/// Calls `take` with each value, not decoded yet, of a parameter, until it returns false.
template <typename Take>
void ForEachValue(std::string_view target, std::string_view name, Take take) {
  const std::size_t mark = target.find('?');
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (PercentDecode(pair.substr(0, equals)) != name) continue;
    if (!take(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1))) return;
  }
}

}  // namespace

std::optional<std::string> QueryParameter(std::string_view target, std::string_view name) {
  std::optional<std::string> first;
  ForEachValue(target, name, [&](std::string_view value) {
    first = PercentDecode(value);
    return false;
  });
  return first;
}

std::optional<std::vector<std::string>> QueryParameters(std::string_view target, std::string_view name) {
  std::optional<std::vector<std::string>> values(std::in_place);
  ForEachValue(target, name, [&](std::string_view value) {
    auto decoded = PercentDecode(value);
    if (decoded) {
      values->push_back(*std::move(decoded));
    } else {
      values = std::nullopt;
    }
    return values.has_value();
  });
  return values;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = HexValue(text[i + 1]), low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (IsUnreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHex[byte >> 4U];
    encoded += kHex[byte & 0xfU];
  }
  return encoded;
}

}  // namespace postern::http
