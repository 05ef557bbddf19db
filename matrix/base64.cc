#include "matrix/base64.h"

#include <array>
#include <cstdint>

namespace postern::matrix {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kInvalid = 255;

constexpr std::array<std::uint8_t, 256> ReverseOf(std::string_view alphabet) {
  std::array<std::uint8_t, 256> reverse{};
  reverse.fill(kInvalid);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    reverse[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return reverse;
}

std::string Encode(std::string_view bytes, std::string_view alphabet) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += alphabet[(bits >> count) & 63];
    }
  }
  if (count > 0) out += alphabet[(bits << (6 - count)) & 63];
  return out;
}

// Padding, where it is given, must fill up the last group of four; stray bits of the last digit do not count.
std::optional<std::string_view> WithoutPadding(std::string_view text) {
  std::size_t padding = 0;
  while (padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  if (padding > 2 || (padding > 0 && text.size() % 4 != 0)) return std::nullopt;
  text.remove_suffix(padding);
  if (text.size() % 4 == 1) return std::nullopt;
  return text;
}

std::optional<std::string> Decode(std::string_view text, const std::array<std::uint8_t, 256>& reverse) {
  const auto digits = WithoutPadding(text);
  if (!digits) return std::nullopt;
  std::string out;
  out.reserve(digits->size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : *digits) {
    const std::uint8_t value = reverse[static_cast<unsigned char>(c)];
    if (value == kInvalid) return std::nullopt;
    bits = (bits << 6) | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 255);
    }
  }
  return out;
}

constexpr auto kFromStandard = ReverseOf(kStandard);
constexpr auto kFromUrlSafe = ReverseOf(kUrlSafe);

}  // namespace

std::string EncodeBase64(std::string_view bytes) { return Encode(bytes, kStandard); }
std::string EncodeUrlSafeBase64(std::string_view bytes) { return Encode(bytes, kUrlSafe); }
std::optional<std::string> DecodeBase64(std::string_view text) { return Decode(text, kFromStandard); }
std::optional<std::string> DecodeUrlSafeBase64(std::string_view text) { return Decode(text, kFromUrlSafe); }

}  // namespace postern::matrix
