// Decisions taken from bytes: a fuzzer's input, or those of a seed. Where the bytes end, every choice is the first one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace postern::support {

class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}

  bool ended() const { return bytes_.empty(); }

  /// 0 to `limit` − 1.
  std::size_t Below(std::size_t limit) {
    std::size_t value = Byte();
    if (limit > 256) value = value * 256 + Byte();
    return value % limit;
  }
  bool Chance(int percent) { return static_cast<int>(Below(100)) >= 100 - percent; }
  template <typename Values>
  const auto& OneOf(const Values& values) {
    return values[Below(values.size())];
  }

 private:
  std::size_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }

  std::string_view bytes_;
};

/// The same seed gives the same bytes.
inline std::string BytesOfSeed(std::uint32_t seed, std::size_t count) {
  std::mt19937 random(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() & 0xff);
  return bytes;
}

}  // namespace postern::support
