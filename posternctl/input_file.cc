#include "posternctl/input_file.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "matrix/refusal.h"

namespace postern::posternctl {

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("{}: cannot be read", path));
  return text;
}

}  // namespace postern::posternctl
