// A YAML file as a tree with line numbers, each map's keys known to differ.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::configuration {

struct YamlValue {
  enum class Kind { kNothing, kScalar, kList, kMap };
  Kind kind = Kind::kNothing;
  int line = 1;                  // counted from 1
  std::string text;              // of a scalar
  std::vector<YamlValue> items;  // of a list
  std::vector<std::pair<std::string, YamlValue>>
      members;  // of a map, in the file's order; a member's line is its key's
};

/// Reads the one document in `path`; an empty file is kNothing. kInvalidArgument, "FILE:LINE: what is wrong", if it
/// cannot be read, is not YAML, has a key twice in one map, or nests more than 32 deep.
absl::StatusOr<YamlValue> ReadYamlFile(const std::string& path);

}  // namespace postern::configuration
